"""A folder of images, of any size, translated into another folder."""

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from ganvas import layout, pictures, progress
from ganvas.data import decoding, places
from ganvas.data.form import Form
from ganvas.drawing import translating
from ganvas.errors import GanvasError


class Done(NamedTuple):
    """How many images were translated, and how many of them had another size before."""

    images: int
    fitted: int


def translate(
    generator: nn.Module, source: Path, target: Path, form: Form, to: int | None, seed: int
) -> Done:
    """Each image below `source` to one of the same name, a .png, below `target`.

    Read in the order of their paths, and brought to `form`, what the generator, of
    `ganvas.networks.translation`, takes; `to` is the domain, of one that is told it. Raises
    `GanvasError` where there are no images, two would have one name, or one cannot be read or
    written: those before it are there.
    """
    names = _names(source, target)
    fitted, batches = 0, [*_batches([*names], translating.BATCH)]
    with progress.Progress(f"translate {source}", len(names), unit="images") as bar:
        for done, batch in enumerate(batches):
            read = [_read(source / name, form) for name in batch]
            fitted += sum(other for _, other in read)
            images = torch.from_numpy(np.stack([pixels for pixels, _ in read]))
            told = None if to is None else torch.full((len(images),), to)
            answers = translating.translate(generator, images, told, seed)
            for name, pixels in zip(batch, layout.for_files(answers.numpy()), strict=True):
                pictures.save_png(target / names[name], Image.fromarray(pixels))
            bar.at(done * translating.BATCH + len(batch))
    return Done(len(names), fitted)


def _names(source: Path, target: Path) -> dict[str, PurePath]:
    """The images below `source`, and what each becomes below `target`."""
    if not source.is_dir():
        raise GanvasError(f"{source}: no such folder; give one of images")
    if target.resolve().is_relative_to(source.resolve()):
        raise GanvasError(f"{target}: the images to translate are there; name another folder")
    names = {name: PurePath(name).with_suffix(".png") for name in places.folder(source)}
    names = {name: path for name, path in names.items() if places.is_image(name)}
    if not names:
        raise GanvasError(f"{source}: no image in it; give {', '.join(decoding.ENDINGS)}")
    taken: dict[PurePath, str] = {}
    for name, path in names.items():
        if path in taken:
            raise GanvasError(f"{source}: {taken[path]} and {name} would both become {path}")
        taken[path] = name
    return names


def _read(path: Path, form: Form) -> tuple[np.ndarray, bool]:
    """Its pixels in that form, uint8 (C, S, S), and whether it had another size."""
    try:
        image = decoding.opened(path.read_bytes())
        other = image.size != (form.image_size, form.image_size)
        return decoding.fitted(image, form), other
    except Exception as error:  # Pillow answers a damaged file with almost any
        reason = decoding.reason(error)
        raise GanvasError(f"{path}: cannot be read ({reason}); remove it or mend it") from None


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
