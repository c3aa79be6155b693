"""A trained generator behind MLflow's interface: a table of what to draw in, images out.

MLflow runs this file by itself ("models from code"), out of the model's folder, where the package
lies beside it.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ganvas.drawing import conditional, sampling
from ganvas.errors import GanvasError
from ganvas.evaluation import classifier
from ganvas.evaluation.classifier import Classifier
from ganvas.training import checkpoints

MOST_IMAGES = 10_000  # that one request may ask for
MOST_ROWS = 100  # each row draws whole batches, however few images it asks for


class Images(PythonModel):
    """Draws on the CPU, so that a row gives the same bytes beside a GPU and without one."""

    classifier: Classifier | None = None  # where images have no classes

    def load_context(self, context: PythonModelContext) -> None:
        artifacts = {name: Path(path) for name, path in context.artifacts.items()}
        architecture = checkpoints.architecture(artifacts["config"])
        self.generator = checkpoints.load(artifacts["generator"], architecture)
        import torch  # not before ganvas, which sets how many threads it has and how they wait

        if "classifier" in artifacts:
            # Four times as fast as in the layout of the file.
            found = classifier.load(artifacts["classifier"])
            self.classifier = found.to(memory_format=torch.channels_last)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """The images of every row in their order, uint8 (sum of `images`, H, W), or (…, H, W, 3).

        Columns: `images`, how many; `seed`, 0 or more; `class`, which may be absent or null. A row
        gives the same images whatever the other rows are. Raises `MlflowException` on a row that
        is not allowed; a server answers it with 400.
        """
        # Nulls come as None, NaN or NA, by what else is in the column.
        rows = model_input.astype(object).where(model_input.notna(), None).to_dict("records")
        try:
            _check(rows, len(self.generator.class_counts) or self._told_apart())
            return np.concatenate([self._draw(row) for row in rows])
        except GanvasError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None

    def _told_apart(self) -> int:
        return self.classifier.told_apart if self.classifier else 0

    def _draw(self, row: dict[str, Any]) -> np.ndarray:
        count, seed, wanted = int(row["images"]), int(row["seed"]), row.get("class")
        if wanted is None or self.classifier is None:
            return sampling.images(self.generator, count, seed)
        return conditional.images(self.generator, self.classifier, int(wanted), count, seed)


def _check(rows: list[dict[str, Any]], classes: int) -> None:
    """Raise `GanvasError` on the first row that is not allowed, before anything is drawn."""
    if not 1 <= len(rows) <= MOST_ROWS:
        raise GanvasError(f"{len(rows)} rows are not allowed; allowed: 1 to {MOST_ROWS}")
    for number, row in enumerate(rows, start=1):
        if row["images"] < 1:
            raise GanvasError(f"row {number}: images: {row['images']} is not allowed; 1 at least")
        if row["seed"] < 0:
            raise GanvasError(f"row {number}: seed: {row['seed']} is not allowed; 0 at least")
        if row.get("class") is not None and not classes:
            raise GanvasError(
                f"row {number}: class: {row['class']!r} is not allowed; these images have no "
                "classes: null, or leave it out"
            )
        if row.get("class") not in (None, *range(classes)):
            raise GanvasError(
                f"row {number}: class: {row['class']!r} is not allowed; allowed: 0 to "
                f"{classes - 1}, or null for any"
            )
    total = sum(row["images"] for row in rows)
    if total > MOST_IMAGES:
        raise GanvasError(f"{total} images are not allowed; allowed: {MOST_IMAGES} in all")


mlflow.models.set_model(Images())
