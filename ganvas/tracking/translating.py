"""A trained translator behind MLflow's interface: images in, images out.

MLflow runs this file by itself ("models from code"), out of the model's folder, where the package
lies beside it.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ganvas import layout
from ganvas.drawing import translating
from ganvas.training import checkpoints

GIVEN = "given"  # as registry.py calls it, which a server has no use for
MOST_IMAGES = 10_000  # that one request may bring


class Translations(PythonModel):
    """Translates on the CPU, so that an image gives the same bytes beside a GPU and without one."""

    def load_context(self, context: PythonModelContext) -> None:
        artifacts = {name: Path(path) for name, path in context.artifacts.items()}
        architecture = checkpoints.architecture(artifacts["config"])
        self.generator = checkpoints.load(artifacts["generator"], architecture)
        given = json.loads(artifacts["config"].read_text()).get(GIVEN, {})
        self.domains: list[str] = given.get("domains", [])

    def predict(
        self,
        context: PythonModelContext,
        model_input: np.ndarray,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """To each image, uint8 (N, H, W) or (N, H, W, 3), another one, in their order.

        Of `params` `to` names the domain to translate to, where there are several, and `seed` is of
        the noise of layers. Raises `MlflowException` on what is not allowed; a server answers it
        with 400.
        """
        import torch  # not before ganvas, which sets how many threads it has and how they wait

        asked = params or {}
        if not 1 <= len(model_input) <= MOST_IMAGES:
            raise MlflowException.invalid_parameter_value(
                f"{len(model_input)} images are not allowed; 1 to {MOST_IMAGES} are"
            )
        side = self.generator.image_size
        if model_input.shape[1:3] != (side, side):
            height, width = model_input.shape[1:3]
            raise MlflowException.invalid_parameter_value(
                f"images of {width} x {height} pixels are not allowed; {side} x {side} are"
            )
        told = None
        if self.domains:
            to = asked.get("to", self.domains[-1])
            if to not in self.domains:
                raise MlflowException.invalid_parameter_value(
                    f"to: {to!r} is not allowed; allowed: {', '.join(self.domains)}"
                )
            told = torch.full((len(model_input),), self.domains.index(to))
        images = torch.from_numpy(layout.for_networks(np.ascontiguousarray(model_input)))
        seed = int(asked.get("seed", 0))
        translated = translating.translate(self.generator, images, told, seed)
        return layout.for_files(translated.numpy())


mlflow.models.set_model(Translations())
