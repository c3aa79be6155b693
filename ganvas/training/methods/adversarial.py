"""A generator against a discriminator: Goodfellow 2014, algorithm 1.

An iteration is `discriminator_steps` updates of the discriminator, each on a fresh batch of real
images against fresh fakes, and one update of the generator on the last of them. Where the networks
are told classes, the fakes are asked to be of the real images' classes. Penalties may be computed
at each `penalty_every`-th iteration alone, as many times as strong (Karras 2020, arXiv:1912.04958,
appendix B): their mean over iterations is the same, and most of their cost is gone.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from inspect import signature
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganvas import networks, parts, seeds
from ganvas.errors import GanvasError
from ganvas.networks import Architecture
from ganvas.training.optimizers import Optimizer

if TYPE_CHECKING:
    from ganvas.config import Recipe
    from ganvas.training.engine import Batch, Engine

DRAWN = 5  # images along each side of a progress picture, of the same latent points all along
OF_A_CLASS = 10  # in a row, where the generator is told classes: a row a class


class Method:
    generators = ("generator",)
    capturable = shareable = True

    def __init__(self, recipe: "Recipe", data: Mapping[str, Tensor], seed: int) -> None:
        self.recipe, self.batches = recipe, recipe.discriminator_steps
        self.objective = parts.load("objective", recipe.objective)
        self.penalties = [
            (parts.load("penalties", name), weight) for name, weight in recipe.penalties.items()
        ]
        if recipe.penalty_every > 1 and not self.penalties:
            raise GanvasError(
                f"penalty_every: {recipe.penalty_every}, but there are no penalties; set it to 1"
            )
        self.every = recipe.penalty_every
        self.augmentations = [parts.load("augment", name).augment for name in recipe.augment]
        # A keyword, since not every objective has a target to smooth.
        self._smoothing = {"smoothing": s} if (s := recipe.label_smoothing) else {}
        if s and "smoothing" not in signature(self.objective.discriminator_loss).parameters:
            raise GanvasError(
                f"label_smoothing: {s}, but {recipe.objective} has no target to smooth; set it to 0"
            )
        told, self._auxiliary = recipe.classes != "none", recipe.classes == "auxiliary"
        if told and "labels" not in data:
            raise GanvasError(f"classes: {recipe.classes} needs labels, and these images have none")
        channels, size = data["images"].shape[1:3]
        counts = torch.bincount(data["labels"]).tolist() if told else []
        facts = {"channels": channels, "image_size": size, "class_counts": counts}
        architecture = Architecture.read(recipe.model_dump() | facts)
        self.architectures = {"generator": architecture._asdict()}
        pair = networks.build(architecture, seeds.derive(seed, "weights"))
        self.generator, self.discriminator = pair
        self.networks: dict[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        self.memories: dict[str, nn.Module] = {}
        # The means of D over the real and the fake batch beside the losses.
        kind = "probability" if self.objective.PROBABILITY else "logit"
        self.measures = (
            *("discriminator_loss", "generator_loss"),
            *(["penalty"] if self.penalties else []),
            *(["class_loss"] if self._auxiliary else []),
            *(f"real_{kind}", f"fake_{kind}"),
        )
        # Where no layer looks across the batch, all images pass as one batch: the same function.
        batch_norm = nn.modules.batchnorm._BatchNorm
        self._joint = not any(isinstance(m, batch_norm) for m in self.discriminator.modules())

    def examples(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: data[name] for name in ("images", "labels") if name in data}

    def optimizers(self) -> dict[str, Optimizer]:
        make = parts.load("optimizer", self.recipe.optimizer).make
        return {
            name: make(network.parameters(), getattr(self.recipe, f"lr_{name}"), self.recipe)
            for name, network in self.networks.items()
        }

    def iterate(self, engine: "Engine", batch: "Batch") -> tuple[Tensor, ...]:
        share = len(batch["images"]) // self.batches
        for step in range(self.batches):
            of_step = slice(step * share, (step + 1) * share)
            real = networks.from_uint8(batch["images"][of_step])
            labels = batch["labels"][of_step] if self.generator.class_counts else None
            # Only the last fakes also train the generator: the others need no graph.
            with engine.autocast(), torch.set_grad_enabled(step == self.batches - 1):
                z = networks.latent(
                    self.generator, self.recipe.batch_size, generator=engine.streams["noise"]
                )
                fake = self.generator(engine.sharing.mine(z), labels).float()
            stream = engine.streams["augment"]
            both = {"real": real, "fake": fake.detach()}
            shown = {name: self._shown(each, engine, stream) for name, each in both.items()}
            measured = self._teach_discriminator(engine, shown, labels)
        generator_loss = self._teach_generator(engine, fake, shown["real"], labels)
        discriminator_loss, *others = measured
        return discriminator_loss, generator_loss, *others

    def columns(self, domains: Sequence[str]) -> list[str]:
        return []  # what stands in a row has no names

    def draw(self, engine: "Engine", real: "Batch") -> Tensor:
        stream, classes = seeds.generator(engine.seed, "pictures"), self.generator.classes
        rows, columns = (len(classes), OF_A_CLASS) if classes else (DRAWN, DRAWN)
        drawn = 1 if classes else rows  # each row of a class is of the same latent points
        z = networks.latent(self.generator, drawn * columns, generator=stream).to(engine.device)
        labels = None
        if classes:
            z = z.repeat(rows, 1)
            labels = torch.tensor(classes, device=engine.device).repeat_interleave(columns)
        with engine.drawing("generator") as generator:
            images = networks.to_uint8(generator(z, labels)).cpu()
        grid: Tensor = images.unflatten(0, (rows, columns))
        return grid

    def judge(
        self, engine: "Engine", real: "Sequence[Batch]", stream: torch.Generator
    ) -> list[Tensor]:
        """Images are augmented and noisy as in training: no others has the discriminator seen."""
        told = [batch["labels"] if self.generator.class_counts else None for batch in real]
        images = [networks.from_uint8(batch["images"]) for batch in real]
        with engine.autocast():
            z = networks.latent(self.generator, len(images[0]), generator=stream)
            images.append(self.generator(z, told[0]).float())
            shown = [self._shown(each, engine, stream) for each in images]
            answers = [
                self._answers([each], labels)
                for each, labels in zip(shown, [*told, told[0]], strict=True)
            ]
        return [answer[:, 0] for (answer,) in answers]

    def _teach_discriminator(
        self, engine: "Engine", shown: dict[str, Tensor], labels: Tensor | None
    ) -> tuple[Tensor, ...]:
        """One update; returns its measures, without the generator's loss."""
        due = self.penalties if engine.full else []
        wanted = {penalty.AT for penalty, _ in due}
        if "between" in wanted:
            stream, size = engine.streams["noise"], self.recipe.batch_size
            share = torch.rand(size, 1, 1, 1, generator=stream, device=engine.device)
            share = engine.sharing.mine(share)
            shown = shown | {"between": share * shown["real"] + (1 - share) * shown["fake"]}
        images = {
            name: each.detach().requires_grad_(name in wanted) for name, each in shown.items()
        }
        # A gradient of a gradient is left in full precision.
        with nullcontext() if wanted else engine.autocast():
            answers = dict(zip(images, self._answers([*images.values()], labels), strict=True))
        logits = {name: answer[:, 0] for name, answer in answers.items()}
        real, fake = logits["real"], logits["fake"]
        loss = total = self.objective.discriminator_loss(real, fake, **self._smoothing)
        extra: list[Tensor] = []
        if wanted:
            at = [name for name in images if name in wanted]
            sums, where = [logits[name].sum() for name in at], [images[name] for name in at]
            slopes = torch.autograd.grad(sums, where, create_graph=True)
            of = dict(zip(at, slopes, strict=True))
            weighted = [weight * each.penalty(of[each.AT]) for each, weight in due]
            extra.append(self.every * torch.stack(weighted).sum())
        elif self.penalties:
            extra.append(torch.zeros_like(loss))
        if self._auxiliary:
            assert labels is not None
            both = [cross_entropy(answers[name][:, 1:], labels) for name in ("real", "fake")]
            extra.append(torch.stack(both).mean())
        for each in extra:
            total = total + each
        engine.update("discriminator", total)
        means = [each.detach() for each in (real, fake)]
        if self.objective.PROBABILITY:
            means = [each.sigmoid() for each in means]
        return loss, *extra, *(each.mean() for each in means)

    def _teach_generator(
        self, engine: "Engine", fake: Tensor, real: Tensor, labels: Tensor | None
    ) -> Tensor:
        """One update; returns the generator's loss."""
        # In full precision, as the discriminator's lesson was.
        shown = self._shown(fake, engine, engine.streams["augment"])
        with engine.autocast():
            (answer,) = self._answers([shown], labels)
        others: list[Tensor] = []
        if self.objective.PAIRED:
            with engine.autocast(), torch.no_grad():
                others = [each[:, 0] for each in self._answers([real], labels)]
        loss: Tensor = self.objective.generator_loss(answer[:, 0], *others)
        total = loss
        if self._auxiliary:
            assert labels is not None
            total = loss + cross_entropy(answer[:, 1:], labels)
        engine.update("generator", total)
        return loss

    def _shown(self, images: Tensor, engine: "Engine", stream: torch.Generator) -> Tensor:
        """What the discriminator sees of images: augmented, then noisy.

        Instance noise (Sønderby 2017, arXiv:1610.04490, section 3.2) stays as strong as it is: its
        optimum is the same, and a longer training goes on from a shorter one.
        """
        sharing = engine.sharing
        for augment in self.augmentations:
            images = sharing.mine(augment(sharing.whole(images), stream))
        if self.recipe.instance_noise:
            shape = sharing.processes * len(images), *images.shape[1:]
            noise = torch.randn(shape, generator=stream, device=stream.device)
            images = images + self.recipe.instance_noise * sharing.mine(noise)
        return images

    def _answers(self, images: Sequence[Tensor], labels: Tensor | None) -> list[Tensor]:
        """The discriminator's, float32 (B, 1 + K), to each of the batches of images."""
        told = labels if self.recipe.classes == "concatenated" else None
        if not self._joint or len(images) == 1:
            return [self.discriminator(each, told).float() for each in images]
        told = None if told is None else told.repeat(len(images))
        return list(self.discriminator(torch.cat([*images]), told).float().chunk(len(images)))
