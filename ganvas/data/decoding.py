"""One image file, of any format and mode, as pixels of one shape."""

from contextlib import suppress
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ganvas.data.form import Form

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF")  # as Pillow calls them; no others are tried
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")
GREY = ("1", "L")

Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are not in it


def opened(content: bytes) -> Image.Image:
    """The image in a file, decoded and turned as its EXIF says; of several, the first.

    Raises almost any exception where there is none, or half of one (see `reason`).
    """
    image: Image.Image = Image.open(BytesIO(content), formats=FORMATS)
    image.load()
    with suppress(Exception):  # EXIF that is damaged says nothing, and the pixels are whole
        ImageOps.exif_transpose(image, in_place=True)
    return image


def reason(error: Exception) -> str:
    """Why an image could not be read, in a few words that are the same each time."""
    if isinstance(error, UnidentifiedImageError):  # its message has an address in memory
        return "not an image, or damaged at its beginning"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(str(error).split())
    return said if said and " at 0x" not in said else type(error).__name__


def fitted(image: Image.Image, form: Form) -> np.ndarray:
    """An image of any size and mode as `form` says: uint8 (channels, image_size, image_size).

    Colours become grey by their luma (ITU-R 601); 16 bits are scaled to 8. Raises `ValueError` on
    floats and on integers of 32 bits, of which nothing says how bright white is.
    """
    flat = _flat(image, form)
    (width, height), side = flat.size, form.image_size
    pixels = np.empty((form.channels, side, side), np.uint8)
    if form.fit == "crop":
        shorter = min(width, height)
        left, top = (width - shorter) // 2, (height - shorter) // 2
        # Resampling sees what lies around the box too, as if all were scaled and then cut.
        pixels[:] = _scaled(flat, (side, side), (left, top, left + shorter, top + shorter))
    else:
        longer = max(width, height)
        across, down = (max(1, round(length * side / longer)) for length in flat.size)
        left, top = (side - across) // 2, (side - down) // 2
        colour = Image.new("RGB", (1, 1), form.background)
        pixels[:] = _scaled(colour.convert("L") if form.channels == 1 else colour, (1, 1))
        pixels[:, top : top + down, left : left + across] = _scaled(flat, (across, down))
    return pixels


def scaled(channel: Image.Image, size: tuple[int, int], box: Box | None = None) -> np.ndarray:
    """An image of mode L, or a box of it, as uint8 (height, width) of another `size`.

    Bicubic, antialiased, on floats, and then rounded, as clean-fid does (Parmar et al.,
    arXiv:2104.11222). `size` is (width, height), as Pillow's. Of that size already, it is copied.
    """
    left, top, right, bottom = box = box or (0, 0, *channel.size)
    if (right - left, bottom - top) == size:
        return np.asarray(channel.crop(box))
    floats = channel.convert("F").resize(size, Image.Resampling.BICUBIC, box)
    return np.asarray(floats).round().clip(0, 255).astype(np.uint8)


def _scaled(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> np.ndarray:
    """An image of mode L or RGB as uint8 (1 or 3, height, width)."""
    # One channel after the other: as floats, a photograph of 12 megapixels takes 48 MB in each.
    channels = range(len(image.getbands()))
    return np.stack([scaled(image.getchannel(channel), size, box) for channel in channels])


def _flat(image: Image.Image, form: Form) -> Image.Image:
    """Mode L or RGB, in 8 bits, opaque; grey that becomes three equal channels stays L."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # Pillow's own conversion would clip at 255.
        image = Image.fromarray(
            ((np.asarray(image).astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        )
    elif image.mode in ("I", "F"):
        kind = "integers of 32 bits" if image.mode == "I" else "floats"
        raise ValueError(f"{kind}, of which nothing says how bright white is")
    elif image.has_transparency_data:
        below = Image.new("RGBA", image.size, (*form.background, 255))
        image = Image.alpha_composite(below, image.convert("RGBA"))
    return image.convert("L" if form.channels == 1 or image.mode in GREY else "RGB")
