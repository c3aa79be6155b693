"""Two domains without pairs: Zhu 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks" (arXiv:1703.10593).

One generator leads from the first domain to the second, one back, and a discriminator of each
domain judges patches. Both generators minimise, with the weights of the recipe, the adversarial
losses (equation 1), the distance of an image from what is left of it after both (equation 2), and
that of an image of a generator's own target from what it makes of it (section 5.2). Discriminators
are shown earlier fakes too (section 4, from Shrivastava 2016, arXiv:1612.07828).

No term looks at an image of both domains at once, so it does not matter that in each iteration the
same ones come together.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganvas import networks, parts
from ganvas.errors import GanvasError
from ganvas.training.methods import _translation
from ganvas.training.optimizers import Optimizer

if TYPE_CHECKING:
    from ganvas.config import Translating
    from ganvas.training.engine import Batch, Engine

DOMAINS = ("inputs", "images")  # the first and the second


class Pool(nn.Module):
    """Fakes of earlier iterations, as many as `size`, which discriminators are shown in turn."""

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def exchanged(self, fakes: Tensor, stream: torch.Generator) -> Tensor:
        """Of fakes float (B, C, H, W) about half, for each of which an earlier one is given.

        The new one takes its place. Until the pool is full all are kept, and given back.
        """
        size = len(self.images)
        if not size:
            return fakes
        shown = []
        for fake in fakes:  # each may meet the one before it
            coin = torch.rand((), generator=stream, device=fake.device) < 0.5
            slot = torch.randint(size, (), generator=stream, device=fake.device)
            full = self.filled >= size
            place = torch.where(full, slot, self.filled)[None]
            earlier = self.images.index_select(0, place)[0]
            shown.append(torch.where(full & coin, earlier, fake))
            kept = torch.where(full & ~coin, earlier, fake)
            self.images.index_copy_(0, place, kept[None])
            self.filled += ~full
        return torch.stack(shown)


class Method:
    generators = ("generator", "generator_back")
    measures = (
        *("discriminator_loss", "generator_loss", "reconstruction_loss", "identity_loss"),
        *("real_logit", "fake_logit"),
    )
    batches = 1
    capturable = True

    def __init__(self, recipe: "Translating", data: Mapping[str, Tensor], seed: int) -> None:
        found = data["domains"].unique().tolist() if "domains" in data else []
        if found != [0, 1]:
            raise GanvasError(
                f"method: cyclegan needs images of two domains, and here are {len(found)}"
            )
        self.recipe = recipe
        self.objective = parts.load("objective", recipe.objective)
        channels, size = data["images"].shape[1], data["images"].shape[-1]
        facts = {"in_channels": channels, "out_channels": channels, "image_size": size}
        architecture = _translation.architecture(recipe, facts | {"domains": 0})
        self.architectures = dict.fromkeys(self.generators, architecture._asdict())
        self.networks: dict[str, nn.Module] = {
            name: _translation.build(architecture, seed, name) for name in self.generators
        }
        for name in ("discriminator", "discriminator_back"):
            self.networks[name] = _translation.discriminator(
                recipe, architecture, seed, name, channels
            )
        shape = data["images"].shape[1:]
        self.pools = {name: Pool(recipe.pool, shape) for name in self.generators}
        self.memories: dict[str, nn.Module] = {**self.pools}

    def examples(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An image of each domain; those of the smaller one come again."""
        rows = [(data["domains"] == domain).nonzero()[:, 0] for domain in (0, 1)]
        every = torch.arange(max(map(len, rows)))
        return {
            name: data["images"][of[every % len(of)]]
            for name, of in zip(DOMAINS, rows, strict=True)
        }

    def optimizers(self) -> dict[str, Optimizer]:
        return _translation.optimizers(
            self.recipe,
            {
                kind: [self.networks[kind], self.networks[f"{kind}_back"]]
                for kind in ("generator", "discriminator")
            },
        )

    def iterate(self, engine: "Engine", batch: "Batch") -> tuple[Tensor, ...]:
        nets, recipe = self.networks, self.recipe
        first, second = (networks.from_uint8(batch[name]) for name in DOMAINS)
        with engine.autocast():
            there = nets["generator"](first).float()
            back = nets["generator_back"](second).float()
            first_again = nets["generator_back"](there).float()
            second_again = nets["generator"](back).float()
            answers = self._logits("", there), self._logits("_back", back)
        generator_loss = self.objective.generator_loss(answers[0])
        generator_loss = generator_loss + self.objective.generator_loss(answers[1])
        cycles = (first_again, first), (second_again, second)
        reconstruction_loss = torch.stack([_translation.distance(*c) for c in cycles]).sum()
        total = recipe.adversarial_weight * generator_loss
        total = total + recipe.reconstruction_weight * reconstruction_loss
        identity_loss = torch.zeros_like(generator_loss)
        if recipe.identity_weight:
            with engine.autocast():
                same = nets["generator"](second).float(), nets["generator_back"](first).float()
            kept = (same[0], second), (same[1], first)
            identity_loss = torch.stack([_translation.distance(*k) for k in kept]).sum()
            total = total + recipe.identity_weight * identity_loss
        engine.update("generator", total)
        stream, losses, means = engine.streams["augment"], [], []
        for which, fake, real in (("", there, second), ("_back", back, first)):
            shown = self.pools[f"generator{which}"].exchanged(fake.detach(), stream)
            with engine.autocast():
                logits = self._logits(which, real), self._logits(which, shown)
            losses.append(self.objective.discriminator_loss(*logits))
            means.append(torch.stack([each.detach().mean() for each in logits]))
        discriminator_loss = torch.stack(losses).sum()
        engine.update("discriminator", discriminator_loss)
        return (
            *(discriminator_loss, generator_loss, reconstruction_loss, identity_loss),
            *torch.stack(means).mean(0),
        )

    def draw(self, engine: "Engine", real: "Batch") -> Tensor:
        """Rows of images of a domain, of what is made of them, and of what is left after both."""
        rows = []
        for name, ways in zip(DOMAINS, (self.generators, self.generators[::-1]), strict=True):
            images = networks.from_uint8(real[name][: _translation.DRAWN].to(engine.device))
            rows.append(images)
            for way in ways:
                with engine.drawing(way) as generator:
                    images = generator(images)
                rows.append(images)
        return _translation.picture(*rows)

    def judge(
        self, engine: "Engine", real: "Sequence[Batch]", stream: torch.Generator
    ) -> list[Tensor]:
        """By the discriminator of the second domain."""
        images = [networks.from_uint8(batch["images"]) for batch in real]
        with engine.autocast():
            first = networks.from_uint8(real[0]["inputs"])
            images.append(self.networks["generator"](first).float())
            return [self._logits("", each).mean((1, 2)) for each in images]

    def _logits(self, which: str, images: Tensor) -> Tensor:
        """Of each patch, float32 (B, h, w), by the discriminator of the generator's target."""
        logits: Tensor = self.networks[f"discriminator{which}"](images).float()
        return logits[:, 0]
