"""Pairs of images: Isola 2017, "Image-to-Image Translation with Conditional Adversarial Networks"
(arXiv:1611.07004).

The discriminator sees the input beside the true answer or beside the generator's, and judges each
patch of it. The generator minimises what that says of its answer and, `reconstruction_weight`
times, the answer's distance from the true one: equation 4, where both weights stand, so that
`adversarial_weight: 0` is L1 alone. Its noise is the dropout of its layers, section 3.1.
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


class Method:
    generators = ("generator",)
    batches = 1
    capturable = shareable = True

    def __init__(self, recipe: "Translating", data: Mapping[str, Tensor], seed: int) -> None:
        if "inputs" not in data:
            raise GanvasError("method: pix2pix needs pairs, and these images have no inputs")
        self.recipe = recipe
        self.objective = _translation.objective(recipe)
        channels = [data[name].shape[1] for name in ("inputs", "images")]
        size = data["images"].shape[-1]
        facts = {"in_channels": channels[0], "out_channels": channels[1], "image_size": size}
        architecture = _translation.architecture(recipe, facts)
        self.architectures = {"generator": architecture._asdict()}
        self.generator = _translation.build(architecture, seed, "generator")
        self.discriminator = _translation.discriminator(
            recipe, architecture, seed, "discriminator", sum(channels)
        )
        self.networks: dict[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        self.memories: dict[str, nn.Module] = {}
        kind = "probability" if self.objective.PROBABILITY else "logit"
        self.measures = (
            *("discriminator_loss", "generator_loss", "reconstruction_loss"),
            *(f"real_{kind}", f"fake_{kind}"),
        )

    def examples(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: data[name] for name in ("inputs", "images")}

    def optimizers(self) -> dict[str, Optimizer]:
        return _translation.optimizers(self.recipe, self.networks)

    def iterate(self, engine: "Engine", batch: "Batch") -> tuple[Tensor, ...]:
        inputs, truth = (networks.from_uint8(batch[name]) for name in ("inputs", "images"))
        with engine.autocast():
            fake = self.generator(inputs).float()
            real_logits = self._logits(inputs, truth)
            fake_logits = self._logits(inputs, fake.detach())
        discriminator_loss = self.objective.discriminator_loss(real_logits, fake_logits)
        engine.update("discriminator", discriminator_loss)
        with engine.autocast():
            answer = self._logits(inputs, fake)
        generator_loss = self.objective.generator_loss(answer)
        reconstruction_loss = _translation.distance(fake, truth)
        weights = self.recipe.adversarial_weight, self.recipe.reconstruction_weight
        engine.update("generator", weights[0] * generator_loss + weights[1] * reconstruction_loss)
        means = [each.detach() for each in (real_logits, fake_logits)]
        if self.objective.PROBABILITY:
            means = [each.sigmoid() for each in means]
        return (
            *(discriminator_loss, generator_loss, reconstruction_loss),
            *(each.mean() for each in means),
        )

    def columns(self, domains: Sequence[str]) -> list[str]:
        return ["input", "output", "truth"]

    def draw(self, engine: "Engine", real: "Batch") -> Tensor:
        """Rows of inputs, of what is made of them, and of the truth."""
        inputs, truth = (real[name][: _translation.DRAWN] for name in ("inputs", "images"))
        with engine.drawing("generator") as generator:
            made = generator(networks.from_uint8(inputs.to(engine.device)))
        return _translation.picture(inputs, made, truth)

    def judge(
        self, engine: "Engine", real: "Sequence[Batch]", stream: torch.Generator
    ) -> list[Tensor]:
        pairs = [
            tuple(networks.from_uint8(batch[name]) for name in ("inputs", "images"))
            for batch in real
        ]
        with engine.autocast():
            pairs.append((pairs[0][0], self.generator(pairs[0][0]).float()))
            return [self._logits(*pair).mean((1, 2)) for pair in pairs]

    def _logits(self, inputs: Tensor, answer: Tensor) -> Tensor:
        """Of each patch, float32 (B, h, w)."""
        logits: Tensor = self.discriminator(torch.cat([inputs, answer], 1)).float()
        return logits[:, 0]
