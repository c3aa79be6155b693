"""Pairs of images, an input and its answer, as pix2pix learns from (Isola et al. 2017,
arXiv:1611.07004): where the two lie.

Side by side in one picture, as the data sets of its authors were published, or under one name in
two folders, as their `combine_A_and_B.py` takes them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ganvas.data.naming import few
from ganvas.errors import GanvasError

SIDES = ("left", "right")
OF_SIDES = "where the two are side by side in each picture"


class Pairs(NamedTuple):
    """Where inputs and answers lie: `left` and `right`, or names of two folders or arrays.

    `halved` says that they are side by side; then `any_width` that a picture need not be twice as
    wide as high.
    """

    inputs: str
    answers: str
    halved: bool
    any_width: bool = False


class Lying(NamedTuple):
    """An image file: its split, the folder below that, and its name in there without ending."""

    name: str
    split: str | None
    folder: str | None
    below: str


def told(path: Path, files: list[Lying], inputs: str | None) -> Pairs:
    """Which of the two layouts it is, by what lies there and by `inputs`, if that is said.

    Raises `GanvasError` where it cannot be told. `path` is for what is said of them.
    """
    folders = sorted({file.folder for file in files if file.folder is not None})
    beside = [file.name for file in files if file.folder is None]
    two = len(folders) == 2 and not beside
    if two and (inputs in folders or (inputs is None and _shared(files))):
        first = inputs or folders[0]
        return Pairs(first, folders[first == folders[0]], halved=False)
    if inputs in SIDES:
        return Pairs(inputs, SIDES[inputs == SIDES[0]], halved=True, any_width=True)
    if beside and len(folders) > 1:
        raise GanvasError(
            f"{path}: {len(beside):,} images lie beside the folders ({few(beside)}), which are "
            f"{few(folders)}; move them into these, or give inputs: left {OF_SIDES}"
        )
    if inputs is not None:
        names = f", and here are {few(folders)}" if folders else ""
        raise GanvasError(
            f"{path}: inputs: {inputs}: not one of two folders{names}; give the name of one of "
            f"two, or left or right {OF_SIDES}"
        )
    if two:
        raise GanvasError(
            f"{path}: no file name is in {folders[0]} as well as in {folders[1]}; give both images "
            f"of a pair one name, or inputs: left {OF_SIDES}"
        )
    if len(folders) > 2:
        raise GanvasError(
            f"{path}: pairs lie in two folders, and here are {few(folders)}; leave two of them, or "
            f"give inputs: left {OF_SIDES}"
        )
    return Pairs(*SIDES, halved=True)


def matched(
    path: Path, files: Iterable[Lying], pairs: Pairs
) -> list[tuple[str, str | None, str | None]]:
    """Each pair's input, split, and answer, in the order in which the first of the two is listed.

    An image without partner is there, too, its answer None. Raises `GanvasError` where two images
    in a folder have one name. `path` is for what is said of them.
    """
    both: dict[tuple[str | None, str], dict[str | None, str]] = {}
    for file in files:
        known = both.setdefault((file.split, file.below), {})
        if file.folder in known:
            raise GanvasError(
                f"{path}: {known[file.folder]} and {file.name} differ in nothing but their "
                "endings, so that the partner of neither can be told; leave one of them"
            )
        known[file.folder] = file.name
    return [
        (
            known.get(pairs.inputs) or known[pairs.answers],
            split,
            known.get(pairs.answers) if pairs.inputs in known else None,
        )
        for (split, _), known in both.items()
    ]


def halves(picture: Image.Image, pairs: Pairs) -> tuple[Image.Image, Image.Image]:
    """The input and its answer, which are side by side in a picture.

    Raises `ValueError` where it has no two halves, or does not look as if they were two images.
    """
    width, height = picture.size
    if width % 2:
        raise ValueError(f"{width}×{height} pixels have no two halves")
    if width != 2 * height and not pairs.any_width:
        raise ValueError(
            f"{width}×{height} pixels are not two squares side by side; if it is a pair all the "
            "same, give inputs: left"
        )
    left = picture.crop((0, 0, width // 2, height))
    right = picture.crop((width // 2, 0, width, height))
    return (left, right) if pairs.inputs == SIDES[0] else (right, left)


def check(one: Image.Image, other: Image.Image) -> None:
    """Raises `ValueError` where two images differ in shape by more than rounding.

    Cut to squares, what is at one place in one would be at another in the other.
    """
    (width, height), (w, h) = one.size, other.size
    if abs(width * h - w * height) > max(width + height, w + h):
        raise ValueError(f"{w}×{h} pixels, the input {width}×{height}: not of one shape")


def _shared(files: list[Lying]) -> bool:
    """Whether a name is in two folders."""
    return len({(file.split, file.below) for file in files}) < len(
        {(file.split, file.below, file.folder) for file in files}
    )
