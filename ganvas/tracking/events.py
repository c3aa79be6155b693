"""TensorBoard's event files: the same curves and pictures as in MLflow, for those who prefer it."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Events:
    """Event files in `folder`. Without the package tensorboard: one line in the log, and nothing.

    `since` is the step that a training goes on from: what an earlier process, killed since, wrote
    of later steps is hidden. Use as a context.
    """

    def __init__(self, folder: Path, since: int = 0, *, enabled: bool = True) -> None:
        self._writer: Any = None
        if enabled:
            with self._never_in_the_way():
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(folder), purge_step=since + 1)

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *error: object) -> None:
        with self._never_in_the_way():
            if self._writer:
                self._writer.close()

    def curves(self, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Points of several curves at once: (step, values by name)."""
        with self._never_in_the_way():
            for step, values in rows if self._writer else ():
                for name, value in values.items():
                    self._writer.add_scalar(name, value, step)

    def picture(self, name: str, path: Path, step: int) -> None:
        with self._never_in_the_way():
            if self._writer:
                import numpy as np
                from PIL import Image

                with Image.open(path) as image:
                    pixels = np.asarray(image)
                self._writer.add_image(name, pixels, step, dataformats="HWC"[: pixels.ndim])

    @contextmanager
    def _never_in_the_way(self) -> Iterator[None]:
        try:
            yield
        except ImportError:
            log.warning("tracking.tensorboard: install it with `pip install tensorboard`")
        except Exception as error:  # a full disk, a broken package
            self._writer = None
            log.warning("tracking.tensorboard: %s; no event files from here on", error)
