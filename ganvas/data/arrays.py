"""Arrays that hold images and what belongs to them, as labels: a .npz or .npy, IDX files."""

import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np

from ganvas.data import decoding
from ganvas.data.naming import SPLITS, few
from ganvas.data.normalize import parse_idx
from ganvas.errors import GanvasError

# What others call images and labels among several arrays, as a word of the name or as the whole.
NAMES = {
    "images": ("images", "image", "samples", "x", "data", "arr_0"),
    "labels": ("labels", "label", "targets", "y", "arr_1"),
    "domains": ("domains", "domain"),
    "inputs": ("inputs", "input"),
}
Beside = Literal["labels", "domains", "inputs"]  # what may belong to images
# In this order: input_images are inputs, where there are some.
LOOKED_FOR: dict[Beside | None, tuple[str, ...]] = {
    None: ("images",),
    "labels": ("images", "labels"),
    "domains": ("domains", "images"),
    "inputs": ("inputs", "images"),
}
ENDINGS = (".npz", ".npy")
IDX = re.compile(r"idx\d-ubyte(\.gz)?$", re.IGNORECASE)


class Images(NamedTuple):
    """`pixels` uint8 (N, H, W) or (N, H, W, 3 or 4); what belongs to them, if there is any.

    That is `labels` integers (N,), of classes or domains, or as many `inputs`, of which these are
    the answers. `split` is None where the name says none.
    """

    name: str
    split: str | None
    pixels: np.ndarray
    labels: np.ndarray | None = None
    inputs: "Images | None" = None


def load(path: Path, beside: Beside | None) -> list[Images]:
    """The images of a .npz or .npy. Nothing is unpickled.

    A single array is of images. Of several, names say what they are: x_train, test_labels, images.
    What is to lie `beside` them is read where there is some. Raises `GanvasError` on what is none
    of this.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _sorted_out(path, {"images": loaded}, beside)
        with loaded:
            names: list[str] = loaded.files
            if len(names) == 1:
                return _sorted_out(path, {"images": loaded[names[0]]}, beside)
            arrays = {name: loaded[name] for name in names if _role(name, beside)[0]}
    except GanvasError:
        raise
    except Exception as error:  # NumPy answers a damaged file with almost any exception
        raise GanvasError(
            f"{path}: not a .npy or .npz of numbers ({decoding.reason(error)}); write it with "
            "np.savez"
        ) from None
    if not any(_role(name, beside)[0] == "images" for name in arrays):
        others = beside or "labels"
        raise GanvasError(
            f"{path}: holds {few(names) or 'nothing'}; name the images images, or train_images and "
            f"test_images, and their {others} {others} or train_{others} …"
        )
    return _sorted_out(path, arrays, beside)


def read_idx(path: Path, files: Mapping[str, Callable[[], bytes]], labelled: bool) -> list[Images]:
    """The images of IDX files: name -> what reads it. `path` is for what is said of them.

    How many dimensions one has tells what it holds, its name of which split, as in MNIST. Raises
    `GanvasError` on a damaged file.
    """
    found: dict[str, np.ndarray] = {}
    for name, content in files.items():
        try:
            packed = name.lower().endswith(".gz")
            array = parse_idx(gzip.decompress(content()) if packed else content())
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise GanvasError(f"{path}: {name}: {decoding.reason(error)}; fetch it anew") from None
        kind = "labels" if array.ndim == 1 else "images"
        split = _split(PurePosixPath(name).name)
        known = f"{split}_{kind}" if split else kind
        if known in found:
            raise GanvasError(f"{path}: {few(files)}: {known} more than once; leave one of them")
        if kind == "images" or labelled:
            found[known] = array
    return _sorted_out(path, found, "labels")


def _sorted_out(
    path: Path, arrays: Mapping[str, np.ndarray], beside: Beside | None
) -> list[Images]:
    """Images with what belongs to them, by the arrays' names."""
    images: dict[str | None, Images] = {}
    inputs: dict[str | None, Images] = {}
    labels: dict[str | None, np.ndarray] = {}
    for name, array in arrays.items():
        kind, split = _role(name, beside)
        if split in {"images": images, "inputs": inputs}.get(kind or "", labels):
            raise GanvasError(f"{path}: {few(arrays)}: {kind} more than once; leave one of them")
        if kind in ("images", "inputs"):
            pixels = _as_pillow_takes(array, f"{path}: {name}")
            (images if kind == "images" else inputs)[split] = Images(name, split, pixels)
        else:
            labels[split] = array.reshape(-1) if array.size == len(array) else array
    if "train" not in images and (len(images) > 1 or not images.keys() <= {None}):
        raise GanvasError(f"{path}: {few(arrays)}: no images of a split 'train'; rename them")
    if alone := [of.name for split, of in inputs.items() if split not in images]:
        raise GanvasError(f"{path}: {few(alone)}: inputs without answers; name these images")
    if inputs:
        return [_with_inputs(path, of, inputs.get(split)) for split, of in images.items()]
    if not labels:
        return list(images.values())
    for split, (name, _, pixels, *_) in images.items():
        of = labels.get(split)
        if of is None or of.shape != (len(pixels),) or of.dtype.kind not in "iu":
            raise GanvasError(
                f"{path}: {beside} of {name}: "
                f"{'none' if of is None else f'{of.dtype} {of.shape}'}; "
                f"give whole numbers ({len(pixels)},)"
                + (", or read it without classes" if beside == "labels" else "")
            )
    return [of._replace(labels=labels[split]) for split, of in images.items()]


def _with_inputs(path: Path, images: Images, inputs: Images | None) -> Images:
    if inputs is None or len(inputs.pixels) != len(images.pixels):
        there = f"{len(inputs.pixels):,}" if inputs else "none"
        raise GanvasError(
            f"{path}: inputs of {images.name}: {there}; give as many as there are answers, "
            f"{len(images.pixels):,}"
        )
    return images._replace(inputs=inputs)


def _role(name: str, beside: Beside | None) -> tuple[str | None, str | None]:
    """Whether an array is of images or what is `beside` them, by its name, and of which split."""
    words = _words(name)
    for kind in LOOKED_FOR[beside]:
        if name.lower() in NAMES[kind] or set(words) & set(NAMES[kind]):
            return kind, _split(name)
    return None, _split(name)


def _split(name: str) -> str | None:
    return next((SPLITS[word] for word in _words(name) if word in SPLITS), None)


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower())


def _as_pillow_takes(array: np.ndarray, what: str) -> np.ndarray:
    shape = array.shape
    if array.ndim == 4 and shape[-1] not in (1, 3, 4):
        array = np.moveaxis(array, 1, -1)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    colour = array.ndim == 4 and array.shape[-1] in (3, 4)
    if array.dtype != np.uint8 or not (array.ndim == 3 or colour) or not array.size:
        raise GanvasError(
            f"{what}: {array.dtype} {shape}; give uint8 from 0 to 255, (N, H, W) or (N, H, W, 3)"
        )
    return array
