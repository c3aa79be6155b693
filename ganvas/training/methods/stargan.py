"""Many domains, one generator: Choi 2018, "StarGAN: Unified Generative Adversarial Networks for
Multi-Domain Image-to-Image Translation" (arXiv:1711.09020).

The generator is told the target domain; the discriminator also names an image's domain. An
iteration is `discriminator_steps` updates of the discriminator, each on a fresh batch, and one of
the generator on the last: equations 5 and 6, the adversarial loss with a gradient penalty of
equation 8. Targets are the batch's own domains in another order, so that they are as frequent.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganvas import networks, parts
from ganvas.errors import GanvasError
from ganvas.training.methods import _translation
from ganvas.training.optimizers import Optimizer

if TYPE_CHECKING:
    from ganvas.config import Translating
    from ganvas.training.engine import Batch, Engine


class Method:
    generators = ("generator",)
    measures = (
        *("discriminator_loss", "generator_loss", "penalty", "reconstruction_loss"),
        *("real_domain_loss", "fake_domain_loss", "real_logit", "fake_logit"),
    )
    capturable = shareable = True

    def __init__(self, recipe: "Translating", data: Mapping[str, Tensor], seed: int) -> None:
        domains = int(data["domains"].max()) + 1 if "domains" in data else 0
        if domains < 2:
            raise GanvasError("method: stargan needs images of two domains or more")
        self.recipe, self.batches, self.domains = recipe, recipe.discriminator_steps, domains
        if recipe.batch_size < 2:
            raise GanvasError(
                "batch_size: 1, but stargan translates to the domains of the batch's other images; "
                "set 2 or more"
            )
        follows = ("penalties", "discriminator_steps", "domain_weight")
        self.objective = _translation.objective(recipe, *follows)
        self.penalties = [
            (parts.load("penalties", name), weight) for name, weight in recipe.penalties.items()
        ]
        channels, size = data["images"].shape[1], data["images"].shape[-1]
        facts = {"in_channels": channels, "out_channels": channels, "image_size": size}
        architecture = _translation.architecture(recipe, facts | {"domains": domains})
        self.architectures = {"generator": architecture._asdict()}
        self.generator = _translation.build(architecture, seed, "generator")
        self.discriminator = _translation.discriminator(
            recipe, architecture, seed, "discriminator", channels
        )
        self.networks: dict[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        self.memories: dict[str, nn.Module] = {}

    def examples(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: data[name] for name in ("images", "domains")}

    def optimizers(self) -> dict[str, Optimizer]:
        return _translation.optimizers(self.recipe, self.networks)

    def iterate(self, engine: "Engine", batch: "Batch") -> tuple[Tensor, ...]:
        recipe, sharing = self.recipe, engine.sharing
        share = len(batch["images"]) // self.batches
        for step in range(self.batches):
            of_step = slice(step * share, (step + 1) * share)
            real, domains = networks.from_uint8(batch["images"][of_step]), batch["domains"][of_step]
            stream, size = engine.streams["noise"], recipe.batch_size
            order = torch.rand(size, generator=stream, device=engine.device)
            targets = sharing.mine(sharing.gathered(domains)[order.argsort()])
            # Only the last fakes also train the generator: the others need no graph.
            with engine.autocast(), torch.set_grad_enabled(step == self.batches - 1):
                fake = self.generator(real, targets).float()
            measured = self._teach_discriminator(engine, real, domains, fake.detach())
        with engine.autocast():
            again = self.generator(fake, domains).float()
            logits, named = self.discriminator(fake)
        generator_loss = self.objective.generator_loss(logits.float())
        fake_domain_loss = cross_entropy(named.float(), targets)
        reconstruction_loss = _translation.distance(again, real)
        engine.update(
            "generator",
            recipe.adversarial_weight * generator_loss
            + recipe.domain_weight * fake_domain_loss
            + recipe.reconstruction_weight * reconstruction_loss,
        )
        discriminator_loss, penalty, real_domain_loss, *means = measured
        return (
            *(discriminator_loss, generator_loss, penalty, reconstruction_loss),
            *(real_domain_loss, fake_domain_loss, *means),
        )

    def columns(self, domains: Sequence[str]) -> list[str]:
        return ["input", *(f"as {name}" for name in domains)]

    def draw(self, engine: "Engine", real: "Batch") -> Tensor:
        """A row of images, and of each domain one with what is made of them there."""
        images = networks.from_uint8(real["images"][: _translation.DRAWN].to(engine.device))
        rows = [images]
        with engine.drawing("generator") as generator:
            for domain in range(self.domains):
                told = torch.full((len(images),), domain, device=engine.device)
                rows.append(generator(images, told))
        return _translation.picture(*rows)

    def judge(
        self, engine: "Engine", real: "Sequence[Batch]", stream: torch.Generator
    ) -> list[Tensor]:
        images = [networks.from_uint8(batch["images"]) for batch in real]
        order = torch.rand(len(images[0]), generator=stream, device=engine.device).argsort()
        with engine.autocast():
            images.append(self.generator(images[0], real[0]["domains"][order]).float())
            return [self.discriminator(each)[0].float().mean((1, 2, 3)) for each in images]

    def _teach_discriminator(
        self, engine: "Engine", real: Tensor, domains: Tensor, fake: Tensor
    ) -> tuple[Tensor, ...]:
        """One update; returns its loss, penalty and domain loss, and the means of its outputs."""
        wanted = {penalty.AT for penalty, _ in self.penalties}
        shown = {"real": real, "fake": fake}
        if "between" in wanted:
            stream, size = engine.streams["noise"], self.recipe.batch_size
            share = torch.rand(size, 1, 1, 1, generator=stream, device=engine.device)
            share = engine.sharing.mine(share)
            shown["between"] = share * real + (1 - share) * fake
        shown = {name: each.detach().requires_grad_(name in wanted) for name, each in shown.items()}
        # A gradient of a gradient is left in full precision.
        with nullcontext() if wanted else engine.autocast():
            answers = {name: self.discriminator(each) for name, each in shown.items()}
        logits = {name: answer[0].float() for name, answer in answers.items()}
        loss = self.objective.discriminator_loss(logits["real"], logits["fake"])
        domain_loss = cross_entropy(answers["real"][1].float(), domains)
        total = loss + self.recipe.domain_weight * domain_loss
        penalty = torch.zeros_like(loss)
        if wanted:
            at = [name for name in shown if name in wanted]
            sums = [logits[name].sum() for name in at]  # over patches too, as the authors' code
            slopes = torch.autograd.grad(sums, [shown[n] for n in at], create_graph=True)
            of = dict(zip(at, slopes, strict=True))
            weighted = [weight * each.penalty(of[each.AT]) for each, weight in self.penalties]
            penalty = torch.stack(weighted).sum()
            total = total + penalty
        engine.update("discriminator", total)
        return loss, penalty, domain_loss, logits["real"].mean(), logits["fake"].mean()
