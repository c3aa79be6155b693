"""An image of any format and mode becomes the pixels that a person sees."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.data import decoding
from ganvas.data.form import Form

SIDE = 8
ORANGE = (250, 130, 10)
WHITE, GREEN = (255, 255, 255), (0, 200, 0)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (SIDE, SIDE), colour)


def read(content: bytes, channels: Any = 3, **form: Any) -> np.ndarray:
    """As uint8 (channels, SIDE, SIDE)."""
    return decoding.fitted(decoding.opened(content), Form(channels, SIDE, **form))


def palette(transparent: Any = None) -> bytes:
    image = plain("P", 1)
    image.putpalette([9, 9, 9, *ORANGE])
    return encoded(image, "PNG", **({} if transparent is None else {"transparency": transparent}))


def png_of_16_bits(samples: tuple[int, ...], kind: int) -> bytes:
    """A PNG of one colour in 16 bits, which Pillow cannot write; `kind` is PNG's colour type."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    row = b"\0" + struct.pack(f">{len(samples)}H", *samples) * SIDE
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * SIDE))
        + chunk(b"IEND", b"")
    )


def grey_of_16_bits(level: int, order: str = "<") -> Image.Image:
    array = np.full((SIDE, SIDE), level, f"{order}u2")
    return Image.frombytes({"<": "I;16", ">": "I;16B"}[order], (SIDE, SIDE), array.tobytes())


def several(kind: str, first: Any, second: Any, **options: Any) -> bytes:
    return encoded(first, kind, save_all=True, append_images=[second], **options)


MODES = {  # content, what is seen on white, how far it may be off
    "png": (encoded(plain("RGB", ORANGE), "PNG"), ORANGE, 0),
    "bmp": (encoded(plain("RGB", ORANGE), "BMP"), ORANGE, 0),
    "tiff": (encoded(plain("RGB", ORANGE), "TIFF"), ORANGE, 0),
    "lossless webp": (encoded(plain("RGB", ORANGE), "WEBP", lossless=True), ORANGE, 0),
    "webp": (encoded(plain("RGB", ORANGE), "WEBP"), ORANGE, 4),
    "jpeg": (encoded(plain("RGB", ORANGE), "JPEG"), ORANGE, 2),
    "gif": (encoded(plain("RGB", ORANGE), "GIF"), ORANGE, 0),
    "jpeg in CMYK": (encoded(plain("CMYK", (5, 125, 245, 0)), "JPEG"), ORANGE, 2),
    "tiff in CMYK": (encoded(plain("CMYK", (5, 125, 245, 0)), "TIFF"), ORANGE, 0),
    "tiff in YCbCr": (encoded(plain("RGB", ORANGE).convert("YCbCr"), "TIFF"), ORANGE, 2),
    "black and white": (encoded(plain("1", 1), "PNG"), WHITE, 0),
    "grey": (encoded(plain("L", 77), "PNG"), (77,) * 3, 0),
    "grey jpeg": (encoded(plain("L", 77), "JPEG"), (77,) * 3, 1),
    "palette": (palette(), ORANGE, 0),
    "palette, one colour transparent": (palette(1), WHITE, 0),
    "palette, half transparent": (palette(bytes([255, 128])), (252, 192, 132), 1),
    "transparent": (encoded(plain("RGBA", (*ORANGE, 0)), "PNG"), WHITE, 0),
    "half transparent": (encoded(plain("RGBA", (*ORANGE, 128)), "PNG"), (252, 192, 132), 1),
    "half transparent webp": (
        encoded(plain("RGBA", (*ORANGE, 128)), "WEBP", lossless=True),
        (252, 192, 132),
        1,
    ),
    "grey, half transparent": (encoded(plain("LA", (55, 128)), "PNG"), (155,) * 3, 1),
    "grey, one level transparent": (encoded(plain("L", 9), "PNG", transparency=9), WHITE, 0),
    "one colour transparent": (
        encoded(plain("RGB", ORANGE), "PNG", transparency=ORANGE),
        WHITE,
        0,
    ),
    "black in 16 bits": (encoded(grey_of_16_bits(0), "PNG"), (0,) * 3, 0),
    "grey in 16 bits": (encoded(grey_of_16_bits(100 * 257), "PNG"), (100,) * 3, 0),
    "white in 16 bits": (encoded(grey_of_16_bits(65535), "PNG"), WHITE, 0),
    "tiff in 16 bits": (encoded(grey_of_16_bits(100 * 257), "TIFF"), (100,) * 3, 0),
    "tiff in 16 bits, the other way": (
        encoded(grey_of_16_bits(100 * 257 + 200, ">"), "TIFF"),
        (101,) * 3,
        0,
    ),
    "colour in 16 bits": (png_of_16_bits(tuple(257 * c for c in ORANGE), 2), ORANGE, 0),
    "grey in 16 bits, half transparent": (png_of_16_bits((55 * 257, 128 * 257), 4), (155,) * 3, 1),
    "gif of two": (several("GIF", plain("RGB", ORANGE), plain("RGB", GREEN)), ORANGE, 0),
    "webp of two": (
        several("WEBP", plain("RGB", ORANGE), plain("RGB", GREEN), lossless=True),
        ORANGE,
        0,
    ),
    "tiff of two": (several("TIFF", plain("RGB", ORANGE), plain("RGB", GREEN)), ORANGE, 0),
    "png of two": (several("PNG", plain("RGB", ORANGE), plain("RGB", GREEN)), ORANGE, 0),
    "jpeg of two": (several("MPO", plain("RGB", ORANGE), plain("RGB", GREEN)), ORANGE, 2),
}


@pytest.mark.parametrize("name", MODES)
class TestMode:
    def test_becomes_the_colour_that_is_seen(self, name: str) -> None:
        content, seen, off = MODES[name]
        found = read(content)
        assert found.shape == (3, SIDE, SIDE) and found.dtype == np.uint8
        apart = np.abs(found.astype(int) - np.array(seen)[:, None, None])
        assert apart.max() <= off

    def test_becomes_its_luma(self, name: str) -> None:
        content, seen, off = MODES[name]
        found = read(content, channels=1)
        assert found.shape == (1, SIDE, SIDE) and found.dtype == np.uint8
        luma = np.dot(seen, (0.299, 0.587, 0.114))  # ITU-R 601
        assert np.abs(found - luma).max() <= off + 1


class TestBackground:
    CLEAR = encoded(plain("RGBA", (*ORANGE, 0)), "PNG")

    def test_shows_through_what_is_transparent(self) -> None:
        assert (read(self.CLEAR, background=GREEN).reshape(3, -1).T == GREEN).all()

    def test_is_grey_among_grey(self) -> None:
        assert (read(self.CLEAR, channels=1, background=GREEN) == 117).all()


@pytest.mark.parametrize("mode", ["F", "I"])
def test_brightness_that_is_not_known_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="of which nothing says how bright white is"):
        read(encoded(plain(mode, 1), "TIFF"))


def test_format_that_runs_a_program_is_not_tried() -> None:
    """Pillow gives PostScript to Ghostscript, and formats are told by content."""
    with pytest.raises(Exception, match="cannot identify"):
        decoding.opened(encoded(plain("L", 1), "EPS"))


TURNED = {  # EXIF 2.32, 4.6.4: which side of what is seen the first row and column are
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.T,
    6: lambda seen: np.rot90(seen),  # the camera was turned to the left
    7: lambda seen: seen[::-1, ::-1].T,
    8: lambda seen: np.rot90(seen, -1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_image_stands_as_its_exif_says(kind: str, orientation: int) -> None:
    seen = np.repeat(np.repeat([[10, 90], [170, 250], [90, 10]], 16, 0), 16, 1).astype(np.uint8)
    stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation](seen)))
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decoding.opened(encoded(stored, kind, exif=exif, **options)).convert("L")
    assert found.size == (32, 48)
    assert np.abs(np.asarray(found).astype(int) - seen).max() <= 2


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("damaged", [b"MM\0*\0\0\0\x08\xff\xff\0", b"damaged", b""])
def test_damaged_exif_is_passed_by(damaged: bytes) -> None:
    content = encoded(plain("L", 77), "JPEG", exif=b"Exif\0\0" + damaged)
    assert (read(content) == 77).all()


class TestFit:
    WIDE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)

    def theirs(self, size: tuple[int, int]) -> np.ndarray:
        """PyTorch's scaling, (height, width), with antialiasing."""
        pixels = torch.from_numpy(self.WIDE).permute(2, 0, 1)[None].float()
        scaled = torch.nn.functional.interpolate(pixels, size, mode="bicubic", antialias=True)
        return scaled[0].round().clamp(0, 255).numpy().astype(int)

    @pytest.mark.parametrize("upright", [False, True])
    def test_crop_scales_the_shorter_side_and_takes_the_middle(self, upright: bool) -> None:
        wide = self.WIDE.swapaxes(0, 1) if upright else self.WIDE
        found = decoding.fitted(Image.fromarray(np.ascontiguousarray(wide)), Form(3, 20))
        found = found.swapaxes(1, 2) if upright else found
        apart = np.abs(found - self.theirs((20, 30))[:, :, 5:25])
        assert apart.max() <= 1 and (apart > 0).mean() < 0.01

    def test_pad_scales_the_longer_side_and_shows_the_background(self) -> None:
        found = decoding.fitted(Image.fromarray(self.WIDE), Form(3, 30, "pad", GREEN))
        apart = np.abs(found[:, 5:25] - self.theirs((20, 30)))
        assert apart.max() <= 1 and (apart > 0).mean() < 0.01
        around = np.concatenate([found[:, :5], found[:, 25:]], 1)
        assert (around.reshape(3, -1).T == GREEN).all()

    def test_pad_of_grey_in_colour_has_a_coloured_background(self) -> None:
        grey = Image.new("L", (10, 20), 77)
        found = decoding.fitted(grey, Form(3, 20, "pad", GREEN))
        assert (found[:, :, 5:15] == 77).all()
        assert (found[:, :, :5].reshape(3, -1).T == GREEN).all()

    @pytest.mark.parametrize("width", [40, 41, 43])
    def test_image_of_the_right_size_is_cut_and_never_blurred(self, width: int) -> None:
        wide = np.ascontiguousarray(self.WIDE[:, :width])
        found = decoding.fitted(Image.fromarray(wide), Form(3, 40))
        left = (width - 40) // 2
        assert (found == wide[:, left : left + 40].transpose(2, 0, 1)).all()

    @pytest.mark.parametrize("fit", ["crop", "pad"])
    @pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 7)])
    def test_of_any_shape_gives_the_size_asked_for(self, fit: Any, size: tuple[int, int]) -> None:
        found = decoding.fitted(Image.new("RGB", size, ORANGE), Form(3, 16, fit, ORANGE))
        assert found.shape == (3, 16, 16)
        assert (found.reshape(3, -1).T == ORANGE).all()
