"""TensorBoard's event files: the same curves and pictures as in MLflow, for those who prefer it."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)


class Events:
    """Event files in `folder`. Without the package tensorboard: one line in the log, and nothing.

    `since` is the step that a training goes on from: what an earlier process, killed since, wrote
    of later steps is hidden. Use as a context.
    """

    def __init__(self, folder: Path, since: int = 0, *, enabled: bool = True) -> None:
        self._writer = None
        if not enabled:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=since + 1)
        except ImportError:
            log.warning("tracking.tensorboard: install it with `pip install tensorboard`")
        except OSError as error:
            log.warning("tracking.tensorboard: %s: %s", folder, error.strerror)

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer:
            self._writer.close()

    def curves(self, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Points of several curves at once: (step, values by name)."""
        for step, values in rows:
            for name, value in values.items():
                if self._writer:
                    self._writer.add_scalar(name, value, step)

    def picture(self, name: str, path: Path, step: int) -> None:
        if self._writer:
            import numpy as np
            from PIL import Image

            with Image.open(path) as image:
                pixels = np.asarray(image)
            self._writer.add_image(
                name, pixels, step, dataformats="HW" if pixels.ndim == 2 else "HWC"
            )
