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

from ganvas import networks
from ganvas.errors import GanvasError
from ganvas.training.methods import _translation
from ganvas.training.optimizers import Optimizer

if TYPE_CHECKING:
    from ganvas.config import Translating
    from ganvas.training.engine import Batch, Engine

DOMAINS = ("inputs", "images")  # what a batch calls the images of the first and of the second


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
    generators = ("generator",)
    measures = (
        *("discriminator_loss", "generator_loss", "reconstruction_loss", "identity_loss"),
        *("real_logit", "fake_logit"),
    )
    batches = 1
    capturable = shareable = True

    def __init__(self, recipe: "Translating", data: Mapping[str, Tensor], seed: int) -> None:
        self.examples(data)  # whether there are two domains
        self.recipe = recipe
        self.objective = _translation.objective(recipe, "pool", "identity_weight")
        channels, size = data["images"].shape[1], data["images"].shape[-1]
        facts = {"in_channels": channels, "out_channels": channels, "image_size": size}
        architecture = _translation.architecture(recipe, facts | {"domains": 2, "per_domain": True})
        self.architectures = {"generator": architecture._asdict()}
        # By the domain that a generator leads to, and that a discriminator knows.
        self.generator = _translation.build(architecture, seed, "generator")
        self.discriminator = nn.ModuleList(
            _translation.discriminator(
                recipe, architecture._replace(domains=0), seed, f"discriminator {to}", channels
            )
            for to in (0, 1)
        )
        self.networks: dict[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        self.pools = [Pool(recipe.pool, data["images"].shape[1:]) for _ in (0, 1)]
        self.memories: dict[str, nn.Module] = {f"pool {to}": self.pools[to] for to in (0, 1)}

    def examples(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An image of each domain; those of the smaller one come again."""
        found = data["domains"].unique().tolist() if "domains" in data else []
        if found != [0, 1]:
            raise GanvasError(
                f"method: cyclegan needs images of two domains, and here are {len(found)}"
            )
        rows = [(data["domains"] == domain).nonzero()[:, 0] for domain in (0, 1)]
        every = torch.arange(max(map(len, rows)))
        return {
            name: data["images"][of[every % len(of)]]
            for name, of in zip(DOMAINS, rows, strict=True)
        }

    def optimizers(self) -> dict[str, Optimizer]:
        return _translation.optimizers(self.recipe, self.networks)

    def iterate(self, engine: "Engine", batch: "Batch") -> tuple[Tensor, ...]:
        recipe, lead = self.recipe, self.generator
        real = [networks.from_uint8(batch[name]) for name in DOMAINS]
        with engine.autocast():
            fake = [lead[to](real[1 - to]).float() for to in (0, 1)]
            again = [lead[to](fake[1 - to]).float() for to in (0, 1)]
            answers = [self._logits(to, fake[to]) for to in (0, 1)]
        losses = [self.objective.generator_loss(answer) for answer in answers]
        generator_loss, reconstruction_loss = losses[0] + losses[1], _distance(again, real)
        total = recipe.adversarial_weight * generator_loss
        total = total + recipe.reconstruction_weight * reconstruction_loss
        identity_loss = torch.zeros_like(generator_loss)
        if recipe.identity_weight:
            with engine.autocast():
                same = [lead[to](real[to]).float() for to in (0, 1)]
            identity_loss = _distance(same, real)
            total = total + recipe.identity_weight * identity_loss
        engine.update("generator", total)
        stream, losses, means = engine.streams["augment"], [], []
        for to in (0, 1):
            shown = fake[to].detach()
            if self.recipe.pool:  # all processes have the same, of the fakes of all
                shown = self.pools[to].exchanged(engine.sharing.gathered(shown), stream)
                shown = engine.sharing.mine(shown)
            with engine.autocast():
                logits = self._logits(to, real[to]), self._logits(to, shown)
            losses.append(self.objective.discriminator_loss(*logits))
            means.append(torch.stack([each.detach().mean() for each in logits]))
        discriminator_loss = losses[0] + losses[1]
        engine.update("discriminator", discriminator_loss)
        return (
            *(discriminator_loss, generator_loss, reconstruction_loss, identity_loss),
            *torch.stack(means).mean(0),
        )

    def columns(self, domains: Sequence[str]) -> list[str]:
        first, second = domains
        there = [first, f"as {second}", f"{first} again"]
        return [*there, second, f"as {first}", f"{second} again"]

    def draw(self, engine: "Engine", real: "Batch") -> Tensor:
        """Rows of images of a domain, of what is made of them, and of what is left after both."""
        rows = []
        for domain, name in enumerate(DOMAINS):
            images = networks.from_uint8(real[name][: _translation.DRAWN].to(engine.device))
            rows.append(images)
            for to in (1 - domain, domain):
                with engine.drawing("generator") as generator:
                    told = torch.full((len(images),), to, device=engine.device)
                    images = generator(images, told)
                rows.append(images)
        return _translation.picture(*rows)

    def judge(
        self, engine: "Engine", real: "Sequence[Batch]", stream: torch.Generator
    ) -> list[Tensor]:
        """By the discriminator of the second domain."""
        images = [networks.from_uint8(batch["images"]) for batch in real]
        with engine.autocast():
            first = networks.from_uint8(real[0]["inputs"])
            images.append(self.generator[1](first).float())
            return [self._logits(1, each).mean((1, 2)) for each in images]

    def _logits(self, domain: int, images: Tensor) -> Tensor:
        """Of each patch, float32 (B, h, w), by that domain's discriminator."""
        logits: Tensor = self.discriminator[domain](images).float()
        return logits[:, 0]


def _distance(images: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """L1, of both domains together."""
    both = zip(images, others, strict=True)
    return torch.stack([_translation.distance(*pair) for pair in both]).sum()
