"""What the translating networks are put together from."""

from collections.abc import Sequence

from torch import nn

from ganvas.errors import GanvasError
from ganvas.networks import Layers


def norm(kind: str, features: int, *, affine: bool = False) -> Layers:
    """What stands behind a convolution; `affine` says whether InstanceNorm scales and shifts."""
    one_of("norm", kind, "batch", "instance", "none")
    if kind == "batch":
        return [nn.BatchNorm2d(features)]
    return [nn.InstanceNorm2d(features, affine=affine)] if kind == "instance" else []


def biased(kind: str, *, affine: bool = False) -> bool:
    """Whether the convolutions have biases: where no norm shifts.

    CycleGAN's have them before an InstanceNorm too, which takes them away: in its program, and so
    in the published numbers of parameters.
    """
    return kind == "none" or (kind == "instance" and not affine)


def sides(image_size: int) -> list[int]:
    """Of the planes, from the image's halved, an odd side rounded up, until it is 1."""
    if image_size < 4:
        raise GanvasError(f"image_size: {image_size} is not allowed; 4 at least is")
    found = [image_size]
    while found[-1] > 1:
        found.append((found[-1] + 1) // 2)
    return found


def limited(key: str, widths: Sequence[int], most: int, image_size: int) -> list[int]:
    """The widths. Raises `GanvasError` where there are none, or more than the images allow."""
    if not 1 <= len(widths) <= most:
        raise GanvasError(
            f"{key}: {list(widths)} is not allowed; at {image_size} pixels 1 to {most} widths are"
        )
    return list(widths)


def one_of(key: str, value: str, *allowed: str) -> None:
    if value not in allowed:
        raise GanvasError(f"{key}: {value} is not allowed; {' or '.join(allowed)} is")
