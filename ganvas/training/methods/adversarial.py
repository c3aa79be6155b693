"""A generator against a discriminator: Goodfellow 2014, algorithm 1.

An iteration is `discriminator_steps` updates of the discriminator on one real batch, each against
fresh fakes, and one update of the generator on the last of them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganvas import networks, parts, seeds
from ganvas.training.adam import Adam

if TYPE_CHECKING:
    from ganvas.config import Recipe
    from ganvas.training.engine import Batch, Engine

DRAWN = 25  # images of a progress picture, of the same latent points all along


class Method:
    # The means of D over the real and the fake batch beside both losses.
    measures = ("discriminator_loss", "generator_loss", "real_probability", "fake_probability")
    generators = ("generator",)

    def __init__(self, recipe: "Recipe", data: Mapping[str, Tensor], seed: int) -> None:
        self.recipe = recipe
        self.objective = parts.load("objective", recipe.objective)
        image_size, weights = data["images"].shape[-1], seeds.derive(seed, "weights")
        pair = networks.build(recipe.network, recipe.latent_dim, image_size, weights)
        self.generator, self.discriminator = pair
        self.networks = {"generator": self.generator, "discriminator": self.discriminator}
        # Where no layer looks across the batch, real and fake pass as one batch: the same function.
        batch_norm = nn.modules.batchnorm._BatchNorm
        self._joint = not any(isinstance(m, batch_norm) for m in self.discriminator.modules())

    def optimizers(self) -> dict[str, Adam]:
        beta1, beta2 = self.recipe.betas
        return {
            name: Adam(network.parameters(), getattr(self.recipe, f"lr_{name}"), (beta1, beta2))
            for name, network in self.networks.items()
        }

    def iterate(self, engine: "Engine", batch: "Batch") -> tuple[Tensor, ...]:
        real = networks.from_uint8(batch["images"])
        for step in range(self.recipe.discriminator_steps):
            # Only the last fakes also train the generator: the others need no graph.
            last = step == self.recipe.discriminator_steps - 1
            with engine.autocast(), torch.set_grad_enabled(last):
                fake = self.generator(engine.noise(len(real), self.recipe.latent_dim))
            with engine.autocast():
                real_logits, fake_logits = self._discriminate(real, fake.detach())
            discriminator_loss = self.objective.discriminator_loss(real_logits, fake_logits)
            engine.update("discriminator", discriminator_loss)
        with engine.autocast():
            logits = self.discriminator(fake).float()
        generator_loss = self.objective.generator_loss(logits)
        engine.update("generator", generator_loss)
        probabilities = (logits.detach().sigmoid().mean() for logits in (real_logits, fake_logits))
        return discriminator_loss, generator_loss, *probabilities

    def draw(self, engine: "Engine") -> Tensor:
        stream = seeds.generator(engine.seed, "pictures")
        z = torch.randn(DRAWN, self.recipe.latent_dim, generator=stream)
        with engine.drawing("generator") as generator:
            return networks.to_uint8(generator(z.to(engine.device))).cpu()

    def _discriminate(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if self._joint:
            real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).float().chunk(2)
            return real_logits, fake_logits
        return self.discriminator(real).float(), self.discriminator(fake).float()
