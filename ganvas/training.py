"""Adversarial training: one iteration as fast and as repeatable as we know how.

The data lie on the device as one uint8 tensor; batches, noise and measurements stay there too, so
that the processor never waits for the device inside the loop. On CUDA one iteration is captured
as a CUDA graph and replayed; everywhere else the same code runs eagerly.
"""

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from ganvas import networks, objectives, seeds
from ganvas.adam import Adam
from ganvas.config import Recipe
from ganvas.errors import GanvasError

# What an iteration measures: both losses, and the mean of D over the real and the fake batch.
MEASURED = ("discriminator_loss", "generator_loss", "real_probability", "fake_probability")


class Training:
    """Two networks, their optimizers and random streams, after `iteration` iterations.

    An iteration is `discriminator_steps` updates of the discriminator on one real batch, each
    against fresh fakes, and one update of the generator (Goodfellow 2014, algorithm 1). An epoch
    is N // batch_size iterations in a fresh random order; the images left over are dropped,
    since a CUDA graph needs one batch shape.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Tensor,
        seed: int,
        device: torch.device,
        precision: str = "float32",
        longest: int = 100,
    ) -> None:
        """`images` is uint8 (N, 1, H, W); `longest` bounds the iterations of one `advance`.

        Raises `GanvasError` when a batch is larger than the data.
        """
        if recipe.batch_size > len(images):
            raise GanvasError(
                f"batch_size: {recipe.batch_size} is more than the {len(images)} training images"
            )
        self.recipe, self.seed, self.device, self.precision = recipe, seed, device, precision
        self.iteration = 0
        self.iterations_per_epoch = len(images) // recipe.batch_size
        generator, discriminator = networks.build(
            recipe.network, recipe.latent_dim, images.shape[-1], seeds.derive(seed, "weights")
        )
        self.generator = generator.to(memory_format=torch.channels_last).to(device)
        self.discriminator = discriminator.to(memory_format=torch.channels_last).to(device)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False) if recipe.ema_decay else None
        self.optimizers = {
            "generator": self._adam(self.generator, recipe.lr_generator),
            "discriminator": self._adam(self.discriminator, recipe.lr_discriminator),
        }
        # Where no layer looks across the batch, real and fake pass as one batch: the same function.
        self._joint = not any(
            isinstance(layer, nn.modules.batchnorm._BatchNorm)
            for layer in self.discriminator.modules()
        )
        self._noise = seeds.generator(seed, "noise", device=device)
        self._images = images.to(device)
        self._order = torch.zeros(len(images), dtype=torch.int64, device=device)
        self._order_epoch = -1
        # Counters live on the device, since a replayed graph runs no Python.
        self._lane = torch.arange(recipe.batch_size, device=device)
        self._cursor = torch.zeros((), dtype=torch.int64, device=device)
        self._measured = torch.zeros(longest, len(MEASURED), device=device)
        self._row = torch.zeros(1, dtype=torch.int64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None

    def advance(self, iterations: int) -> Tensor:
        """Run that many iterations; return MEASURED of each, float32 (iterations, 4) on the CPU.

        The processor waits for the device at the end alone, and where an epoch's order is drawn.
        """
        if self.device.type == "cuda" and self._graph is None:
            self._capture()
        self._row.zero_()
        for _ in range(iterations):
            epoch, position = divmod(self.iteration, self.iterations_per_epoch)
            if epoch != self._order_epoch:
                self._shuffle(epoch)
                self._cursor.fill_(position * self.recipe.batch_size)
            if self._graph:
                self._graph.replay()
            else:
                self._iterate()
            self.iteration += 1
        return self._measured[:iterations].cpu()

    @torch.no_grad()
    def generate(self, z: Tensor) -> Tensor:
        """Images uint8 (B, 1, H, W) on the CPU from z (B, latent_dim); changes nothing.

        The moving average draws them where there is one. BatchNorm uses its running statistics,
        so that a picture depends on its own z alone.
        """
        network = self.ema or self.generator
        network.eval()
        images = to_uint8(network(z.to(self.device))).cpu()
        network.train()
        return images

    def state(self) -> dict[str, Tensor]:
        """Everything the next iteration depends on, as named tensors (no copies)."""
        tensors = {"iteration": torch.tensor(self.iteration), "noise": self._noise.get_state()}
        for name, network in self._networks().items():
            tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            tensors |= {f"adam.{name}.{key}": value for key, value in optimizer.state().items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go back to what `state` returned. Raises `KeyError` or `RuntimeError` on a misfit."""
        own = self.state()
        if missing := own.keys() - tensors.keys():  # before anything is changed
            raise KeyError(min(missing))
        for name, network in self._networks().items():
            network.load_state_dict(_below(tensors, name))
        for key, value in own.items():
            if key.startswith("adam."):
                value.copy_(tensors[key])
        self._noise.set_state(tensors["noise"])
        self.iteration = int(tensors["iteration"])
        self._order_epoch = -1
        self._graph = None

    def _networks(self) -> dict[str, nn.Module]:
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return networks | ({"ema": self.ema} if self.ema else {})

    def _adam(self, network: nn.Module, lr: float) -> Adam:
        return Adam(network.parameters(), lr, (self.recipe.betas[0], self.recipe.betas[1]))

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _shuffle(self, epoch: int) -> None:
        stream = seeds.generator(self.seed, "order", epoch)
        self._order.copy_(torch.randperm(len(self._order), generator=stream))
        self._order_epoch = epoch

    def _iterate(self) -> None:
        recipe = self.recipe
        batch = self._order[self._cursor + self._lane]
        real = self._images[batch].float().div_(127.5).sub_(1)
        for step in range(recipe.discriminator_steps):
            # Only the last fakes also train the generator: the others need no graph.
            with self._autocast(), torch.set_grad_enabled(step == recipe.discriminator_steps - 1):
                z = torch.randn(
                    recipe.batch_size, recipe.latent_dim, generator=self._noise, device=self.device
                )
                fake = self.generator(z)
            with self._autocast():
                real_logits, fake_logits = self._discriminate(real, fake.detach())
            discriminator_loss = objectives.discriminator_loss(real_logits, fake_logits)
            _update(self.optimizers["discriminator"], discriminator_loss)
        with self._autocast():  # a new context: the old one caches the weights before the update
            logits = self.discriminator(fake).float()
        generator_loss = objectives.generator_loss(logits)
        _update(self.optimizers["generator"], generator_loss)
        with torch.no_grad():
            if self.ema:
                self._average(self.ema)
            row = torch.stack(
                [
                    discriminator_loss,
                    generator_loss,
                    real_logits.sigmoid().mean(),
                    fake_logits.sigmoid().mean(),
                ]
            )
            self._measured.index_copy_(0, self._row, row[None])
            self._row += 1
            self._cursor += recipe.batch_size

    def _discriminate(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if self._joint:
            real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).float().chunk(2)
            return real_logits, fake_logits
        return self.discriminator(real).float(), self.discriminator(fake).float()

    def _average(self, ema: nn.Module) -> None:
        weights: list[Tensor] = list(self.generator.parameters())
        torch._foreach_lerp_(list[Tensor](ema.parameters()), weights, 1 - self.recipe.ema_decay)
        # Running statistics are averages already.
        for average, buffer in zip(ema.buffers(), self.generator.buffers(), strict=True):
            average.copy_(buffer)

    def _capture(self) -> None:
        """Record one iteration as a CUDA graph; leaves the state as it was."""
        before = {name: value.clone() for name, value in self.state().items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # lets cuDNN choose and allocate outside the capture
                self._row.zero_()
                self._cursor.zero_()
                self._iterate()
        torch.cuda.current_stream().wait_stream(stream)
        self._row.zero_()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._noise)
        with torch.cuda.graph(graph):
            self._iterate()
        # The graph holds these very tensors: they are written back in place.
        for name, value in self.state().items():
            if name == "noise":
                self._noise.set_state(before["noise"])
            elif name != "iteration":
                value.copy_(before[name])
        self._order_epoch = -1
        self._graph = graph


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1], float, as uint8 from 0 to 255."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def _update(optimizer: Adam, loss: Tensor) -> None:
    # Gradients of this network's parameters only: none are computed for the other network's.
    optimizer.step(torch.autograd.grad(loss, optimizer.parameters))


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(f"{name}."): value
        for key, value in tensors.items()
        if key.startswith(f"{name}.")
    }
