"""Images from elsewhere, checked before they are scored: an array, a tensor, a folder."""

from pathlib import Path

import numpy as np
from PIL import Image

from ganvas import layout, progress
from ganvas.data import decoding, places
from ganvas.errors import GanvasError

FEWEST = 100  # fewer say nothing about a distribution
NAMES = ("arr_0", "images", "samples")  # what others call the images among several arrays
APART = 1  # grey levels between the channels that a grey WebP comes back with


def read(
    path: Path,
    image_size: int,
    channels: int,
    span: tuple[float, float] | None = None,
    any_size: bool = False,
) -> np.ndarray:
    """Images, uint8 from 0 to 255: with one of `channels` (N, image_size, image_size), with three
    (N, image_size, image_size, 3); with `any_size` (N, S, S) and (N, S, S, 3).

    `span` says what black and white are in floats. Where one channel is asked for, three equal ones
    are grey: many programs save grey images so. Where three are, a grey file among others is taken,
    but not grey images alone. Raises `GanvasError` on anything else: another type, range, shape,
    colour, or too few.
    """
    if not path.exists():
        raise GanvasError(
            f"{path}: no such file or folder; give a .npy, .npz or .pt, or a folder of images"
        )
    images = _folder(path, channels) if path.is_dir() else _file(path)
    shape = images.shape
    images = _levels(images, span, path)
    if images.ndim == 4 and shape[-1] not in (1, 3):
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim == 4 and images.shape[-1] == 3 and channels == 1:
        images = _grey(images, path)
    last, kind = ((), "grey") if channels == 1 else ((3,), "colour")
    shown = ", ".join(map(str, ("N", image_size, image_size, *last)))
    wanted = f"give ({shown}) {kind} images"
    if images.ndim == 3 and channels == 3:
        raise GanvasError(f"{path}: grey, the real images are in colour; {wanted}")
    if images.shape[3:] != last or images.ndim < 3 or not images.shape[1] == images.shape[2] > 0:
        raise GanvasError(f"{path}: shape {shape}; {wanted}")
    if images.shape[1] != image_size and not any_size:
        raise GanvasError(
            f"{path}: images of {images.shape[1]} pixels a side, the real ones have {image_size}; "
            "cut off what was padded, or give --resize (bicubic, antialiased)"
        )
    if len(images) < FEWEST:
        raise GanvasError(f"{path}: {len(images)} images; give at least {FEWEST}")
    levels = set(np.unique(images).tolist())
    if levels == {0} or (1 in levels and levels <= {0, 1, 255}):
        found = ", ".join(map(str, sorted(levels)))
        raise GanvasError(
            f"{path}: no values but {found}, as of floats up to 1 cut to uint8; scale them to 0 to "
            "255 before"
        )
    return np.ascontiguousarray(images)


def resized(images: np.ndarray, image_size: int) -> np.ndarray:
    """Images uint8 (N, S, S) or (N, S, S, 3) at another size (decoding.py says how)."""
    side = image_size, image_size
    if images.shape[1:3] == side:
        return images
    planes = layout.for_networks(images)
    each = planes.reshape(-1, *planes.shape[2:])
    found = np.stack([decoding.scaled(Image.fromarray(plane), side) for plane in each])
    return layout.for_files(found.reshape(*planes.shape[:2], *side))


def _levels(images: np.ndarray, span: tuple[float, float] | None, path: Path) -> np.ndarray:
    """Levels, uint8. Floats are rounded as our own generators' are (networks.to_uint8)."""
    kind = images.dtype.kind
    found = f"{path}: {images.dtype}"
    if images.size and kind in "iuf":
        found += f" from {images.min():.3g} to {images.max():.3g}"
    if span and kind == "f":
        black, white = span
        levels = np.round((images.astype(np.float32) - black) * (255 / (white - black)))
        if images.size and not (levels.min() >= 0 and levels.max() <= 255):  # NaN is neither
            raise GanvasError(
                f"{found}; --range {black},{white} was given: clip before, or mend it"
            )
        return levels.astype(np.uint8)
    if images.dtype != np.uint8:
        floats = ", or say what floats mean: --range 0,1 or --range -1,1" if kind == "f" else ""
        raise GanvasError(f"{found}; give uint8 from 0 to 255{floats}")
    if span:
        raise GanvasError(f"{found}; --range is of floats: leave it out")
    return images


def _file(path: Path) -> np.ndarray:
    if path.suffix.lower() in (".pt", ".pth"):
        return _tensor(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = loaded.files
            if len(names) == 1:
                return np.asarray(loaded[names[0]])
            named = [np.asarray(loaded[name]) for name in NAMES if name in names]
    except Exception as error:  # NumPy answers a damaged file with almost any exception
        raise GanvasError(
            f"{path}: not a .npy or .npz file of numbers ({type(error).__name__}); give one, a "
            ".pt, or a folder of images"
        ) from None
    images = [array for array in named if array.ndim in (3, 4)]
    if len(images) != 1:
        raise GanvasError(
            f"{path}: holds {', '.join(names) or 'nothing'}; name the images, and nothing else, "
            f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
        )
    return images[0]


def _tensor(path: Path) -> np.ndarray:
    import torch  # slow to import, only needed here

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(loaded, torch.Tensor):
            # NumPy has no bfloat16.
            return (loaded.detach().float() if loaded.is_floating_point() else loaded).numpy()
    except Exception as error:  # and so does PyTorch
        raise GanvasError(
            f"{path}: damaged, or holds code, which is never run ({type(error).__name__}); write "
            "it with torch.save(tensor, path)"
        ) from None
    raise GanvasError(f"{path}: holds a {type(loaded).__name__}; give a tensor of images")


def _folder(path: Path, channels: int) -> np.ndarray:
    """Its images and those of its sub-folders, in the order of their paths.

    (N, H, W) where they are grey, all of them, or shall be.
    """
    files = [path / name for name in places.folder(path) if places.is_image(name)]
    if not files:
        raise GanvasError(f"{path}: no image in this folder; give {', '.join(decoding.ENDINGS)}")
    images: list[np.ndarray] = []
    in_colour = False
    with progress.Progress(f"reading {path}", len(files), unit="images") as bar:
        for file in files:
            image = _image(file, channels)
            in_colour = in_colour or image.mode not in decoding.GREY
            pixels = np.asarray(image.convert("RGB"))
            images.append(_grey(pixels, file) if channels == 1 else pixels)
            if pixels.shape[:2] != images[0].shape[:2]:
                raise GanvasError(
                    f"{file}: {pixels.shape[:2]} pixels, {files[0].name} has "
                    f"{images[0].shape[:2]}; give images of one size"
                )
            bar.at(len(images))
    found = np.stack(images)
    return found if in_colour or channels == 1 else found[..., 0]


def _image(file: Path, channels: int) -> Image.Image:
    try:
        image = decoding.opened(file.read_bytes())
    except Exception as error:  # and so does Pillow
        raise GanvasError(
            f"{file}: no image can be read ({type(error).__name__}); remove it or mend it"
        ) from None
    if image.mode not in (*decoding.GREY, "P", "RGB"):  # more than 8 bits, or transparent
        wanted = "grey (mode L)" if channels == 1 else "mode RGB"
        raise GanvasError(f"{file}: an image of mode {image.mode}; convert it to {wanted}")
    return image


def _grey(pixels: np.ndarray, where: Path) -> np.ndarray:
    """The first of the channels, the last axis, if all are equal."""
    if (np.ptp(pixels, axis=-1) > APART).any():
        raise GanvasError(f"{where}: in colour, the real images are grey; convert to grey")
    return pixels[..., 0]
