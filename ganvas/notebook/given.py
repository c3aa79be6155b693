"""What a person gives: checked, and brought to one shape. All raise `GanvasError` in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from ganvas import config, devices, parts
from ganvas.config import Params
from ganvas.data.datasets import Split, tensor
from ganvas.errors import GanvasError

FEWEST = 100  # images that a score needs: fewer say nothing about a distribution
SMALLEST = 8  # pixels a side: what the classifier's layers can halve three times

Images = Tensor | np.ndarray
Labels = Tensor | np.ndarray


def params() -> Params:
    """params.yaml of the current folder, else the one beside the package."""
    beside = parts.PACKAGE.parent
    for path in (Path("params.yaml"), beside / "params.yaml"):
        if path.exists():
            return config.load(path)
    raise GanvasError(
        f"params.yaml: neither in the current folder nor in {beside}; change to a clone of the "
        "repository, or install it from one with pip install -e"
    )


def _array(value: Any, what: str) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        floats = value.is_floating_point()  # NumPy has no bfloat16
        array: np.ndarray = (value.float() if floats else value).numpy()
        return array
    try:
        return np.asarray(value)
    except ValueError:
        raise GanvasError(f"{what}: not all of one shape; give a tensor or an array") from None


def images(value: Any, what: str, fewest: int = 1) -> np.ndarray:
    """Checked, as uint8 (N, H, W), those in colour (N, H, W, 3)."""
    found = _array(value, what)
    shape = found.shape
    if found.ndim == 4 and 1 in (shape[1], shape[-1]):
        found = found.reshape(len(found), *(side for side in shape[1:] if side != 1))
    elif found.ndim == 4 and shape[-1] != 3:
        found = np.moveaxis(found, 1, -1)
    colour = found.ndim == 4 and found.shape[-1] == 3
    if not (found.ndim == 3 or colour) or found.shape[1] != found.shape[2]:
        raise GanvasError(
            f"{what}: shape {shape}; give square images, grey, (N, 1, H, W) or (N, H, W), or in "
            "colour, (N, 3, H, W) or (N, H, W, 3)"
        )
    if len(found) < fewest:
        raise GanvasError(f"{what}: {len(found)} images; give at least {fewest}")
    if found.shape[1] < SMALLEST:
        raise GanvasError(f"{what}: {found.shape[1]} pixels a side; give at least {SMALLEST}")
    if found.dtype != np.uint8:
        numbers = found.dtype.kind in "iuf"
        span = f" from {found.min():.3g} to {found.max():.3g}" if numbers else ""
        raise GanvasError(f"{what}: {found.dtype}{span}; give uint8 from 0, black, to 255, white")
    if found.max() <= 1:
        raise GanvasError(
            f"{what}: no values but 0 and 1, as of floats cut to uint8; scale them to 255 before"
        )
    return found


def labels(value: Any, count: int, what: str = "labels", most: int | None = None) -> Tensor:
    """Checked, as int64 (count,), below `most`: as many as there are, where it is not given."""
    found = _array(value, what)
    if found.dtype.kind not in "iu" or found.shape != (count,):
        raise GanvasError(
            f"{what}: {found.dtype} {found.shape}; give the class of each image, integers "
            f"({count},) from 0"
        )
    if not 0 <= found.min() <= found.max() < (most or count):
        raise GanvasError(
            f"{what}: from {found.min()} to {found.max()}; number the classes from 0 on"
        )
    return torch.tensor(found, dtype=torch.int64)


def split(value: Any, what: str) -> Split:
    """Checked, with images uint8 (N, C, H, W)."""
    try:
        of_images, of_labels = value
    except (TypeError, ValueError):
        raise GanvasError(
            f"{what}: a {type(value).__name__}; give images and their labels, as a pair"
        ) from None
    pixels = images(of_images, f"{what}: images", fewest=FEWEST)
    return Split(tensor(pixels), labels(of_labels, len(pixels), f"{what}: labels"))


def whole(value: Any, what: str, least: int) -> None:
    if not isinstance(value, int | np.integer) or value < least:
        raise GanvasError(f"{what}: {value!r} is not allowed; a whole number from {least} on is")


@contextmanager
def computing(device: str) -> Iterator[torch.device]:
    """`devices.choose` for a while: PyTorch's switches are then as the notebook had them."""
    if device not in get_args(config.Device):
        allowed = ", ".join(get_args(config.Device))
        raise GanvasError(f"device: {device!r} is not allowed; allowed: {allowed}")
    mode = torch.get_deterministic_debug_mode()
    switches = [
        (torch.utils.deterministic, "fill_uninitialized_memory"),
        (torch.backends.cudnn, "benchmark"),
        (torch.backends.cudnn, "allow_tf32"),
        (torch.backends.cuda.matmul, "allow_tf32"),
    ]
    before = [getattr(owner, name) for owner, name in switches]
    try:
        yield devices.choose(device)
    finally:
        torch.set_deterministic_debug_mode(mode)
        for (owner, name), value in zip(switches, before, strict=True):
            setattr(owner, name, value)
