"""Data for image-to-image translation that are made from images that are there, nothing downloaded.

Pairs, as pix2pix learns from (Isola et al. 2017, arXiv:1611.07004): an input and its one answer.
Domains, as CycleGAN (Zhu et al. 2017, arXiv:1703.10593) and StarGAN (Choi et al. 2018,
arXiv:1711.09020) learn from, unpaired: here the same images in other dress, so that what a
translation should have been is known, to the pixel.

inputs, answers = PAIRS["edges"](images)
splits = domains(found, ["plain", "inverted", "coloured"], seed=0)

Integers throughout: the same images give the same bytes on every processor.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ganvas import layout
from ganvas.data.normalize import Splits
from ganvas.errors import GanvasError

# Sobel's magnitude is four times a straight step: lines where the grey changes by 32 or more. On
# Fashion-MNIST that shows outline, collar, seams and print; twice as much loses dark garments.
EDGE = 4 * 32
STROKE = 128  # what is at least as bright is stroke, what is darker ground
# Grey of the square to fill: 0 in a network's range from −1 to 1, and neither the ground nor the
# stroke of a digit, so that a blanked square does not look like an empty one.
BLANK = 128
# From dark blue to yellow. Red is the grey value itself, so that nothing is lost on the way.
GROUND, INK = (0, 0, 96), (255, 220, 64)
PART = 1024  # images worked on at a time: what they need as wider integers stays small

Pair = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Dress = Callable[[np.ndarray], np.ndarray]


def edges(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An image from its edges: inputs uint8 (N, 1, H, W), white lines on black, and the images.

    Images are uint8 (N, 1 or 3, H, W); of colour the luma is taken. Sobel's gradient where it is
    `EDGE` or more and, as in Canny 1986 (doi:10.1109/TPAMI.1986.4767851), the largest across the
    edge: lines of one pixel. Without that, Sobel's are three pixels wide and fill a shoe. Raises
    `GanvasError` on other images.
    """
    _check(images, "edges", 1, 3)
    return _in_parts(_edges, images), images


def thick(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thick strokes from thin ones: inputs and answers uint8 (N, 1, H, W), both made.

    Images are uint8 (N, 1, H, W), light strokes on dark. The input is the skeleton, black and white
    (Guo and Hall 1989, doi:10.1145/62065.62074, algorithm A1), which keeps every piece and hole of
    the stroke; eroding greys would put out whole digits that are written thinly. The answer is the
    image with its strokes two pixels wider: each pixel the largest of itself and its four
    neighbours. How wide it was the skeleton does not say, only the writing. Raises `GanvasError` on
    other images.
    """
    _check(images, "thick", 1)
    return _in_parts(_thinned, images), _in_parts(_thickened, images)


def grey(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour from grey: inputs uint8 (N, 1, H, W), the luma (ITU-R 601), and the images.

    Images are uint8 (N, 3, H, W). The same bytes as Pillow's `convert("L")`. Raises `GanvasError`
    on other images.
    """
    _check(images, "grey", 3)
    return _in_parts(_luma, images), images


def surroundings(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle from its surroundings: inputs uint8 (N, C, H, W), and the images.

    Images are uint8 (N, 1 or 3, H, W). As in Context Encoders (Pathak et al. 2016,
    arXiv:1604.07379), the central square, half as high and wide, is blanked: with `BLANK`. Raises
    `GanvasError` on other images.
    """
    _check(images, "surroundings", 1, 3)
    inputs = images.copy()
    (top, height), (left, width) = (
        ((side - side // 2) // 2, side // 2) for side in images.shape[2:]
    )
    inputs[:, :, top : top + height, left : left + width] = BLANK
    return inputs, images


PAIRS: dict[str, Pair] = {
    "edges": edges,
    "thick": thick,
    "grey": grey,
    "surroundings": surroundings,
}


def plain(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, 1, H, W) as they are. Raises `GanvasError` on others."""
    _check(images, "plain", 1)
    return images.copy()


def inverted(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, 1, H, W), dark for light. Raises `GanvasError` on others."""
    _check(images, "inverted", 1)
    return 255 - images


def coloured(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, 1, H, W) in colour, uint8 (N, 3, H, W): black as `GROUND`, white as `INK`.

    One ramp for all: a colour of each image's own would be no function of what a translation is
    given, and so no answer would be the right one. Raises `GanvasError` on other images.
    """
    _check(images, "coloured", 1)
    grey = np.arange(256)[:, None]
    ramp = (grey * INK + (255 - grey) * GROUND + 127) // 255
    return layout.for_networks(ramp.astype(np.uint8)[layout.for_files(images)])


def outlined(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, 1, H, W), their outline: of a pixel and the four around it the
    brightest less the darkest.

    That is the morphological gradient; beyond the rim all is black. Raises
    `GanvasError` on other images.
    """
    _check(images, "outlined", 1)
    return _in_parts(_gradient, images)


def rotated(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, 1, S, S), a quarter turn to the left. Raises `GanvasError` on others.

    Every pixel finds its place. After 45 degrees corners are cut off and the rest interpolated, so
    that there is no way back; after 180 a 6 is a 9.
    """
    _check(images, "rotated", 1)
    if images.shape[2] != images.shape[3]:
        raise GanvasError(f"rotated: images {images.shape}; give as many rows as columns")
    return np.rot90(images, axes=(2, 3)).copy()


DRESSES: dict[str, Dress] = {
    "plain": plain,
    "inverted": inverted,
    "coloured": coloured,
    "outlined": outlined,
    "rotated": rotated,
}


def domains(splits: Splits, dresses: Sequence[str], seed: int) -> Splits:
    """Each split's images, uint8 (N, 1, H, W), in two or more of `DRESSES`.

    Gives, for each split, `images` uint8 (M, C, H, W), C being 3 where one of the dresses is in
    colour; `domains` int64 (M,), places in `dresses`; `sources` int64 (M,), which image of the
    split it was; and `labels` int64 (M,), the class of the source, where there are classes.

    In `train` each source is in one domain, drawn evenly by `seed` and its pixels alone: it stays
    there when others come and go, and of an image that is there twice no pair is seen either. In
    the other splits every source is in every domain, one after the other (`questions.answer`).

    Raises `GanvasError` on dresses that there are not or that are the same, and on other images.
    """
    if not set(dresses) <= DRESSES.keys() or not len(dresses) == len(set(dresses)) > 1:
        raise GanvasError(f"dresses: {[*dresses]}; give two or more of {', '.join(DRESSES)}")
    return {split: _dressed(split, arrays, dresses, seed) for split, arrays in splits.items()}


def _dressed(
    split: str, arrays: dict[str, np.ndarray], dresses: Sequence[str], seed: int
) -> dict[str, np.ndarray]:
    """One split of `domains`."""
    images = arrays["images"]
    if split == "train":
        sources = np.arange(len(images))
        of = np.array([_drawn(image, len(dresses), seed) for image in images], np.int64)
    else:
        sources = np.repeat(np.arange(len(images)), len(dresses))
        of = np.tile(np.arange(len(dresses)), len(images))
    drawn = [DRESSES[name](images[sources[of == at]]) for at, name in enumerate(dresses)]
    channels = max(dressed.shape[1] for dressed in drawn)
    made = np.empty((len(of), channels, *images.shape[2:]), np.uint8)
    for at, dressed in enumerate(drawn):
        made[of == at] = dressed  # grey into three equal channels, where there are three
    labels = {"labels": arrays["labels"][sources]} if "labels" in arrays else {}
    return {"images": made, "domains": of, "sources": sources, **labels}


def _drawn(image: np.ndarray, count: int, seed: int) -> int:
    """From 0 to `count` − 1, evenly, of these alone."""
    digest = hashlib.sha256(f"{seed}/domain/".encode() + image.tobytes()).digest()
    return int.from_bytes(digest[:8]) % count


def _check(images: np.ndarray, name: str, *channels: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in channels:
        wanted = " or ".join(map(str, channels))
        raise GanvasError(
            f"{name}: images {images.dtype} {images.shape}; give uint8 (N, {wanted}, H, W)"
        )


def _in_parts(draw: Dress, images: np.ndarray) -> np.ndarray:
    starts = range(0, max(len(images), 1), PART)
    return np.concatenate([draw(images[start : start + PART]) for start in starts])


def _neighbours(
    values: np.ndarray, beyond: Literal["constant", "edge"] = "constant"
) -> list[np.ndarray]:
    """Each pixel's eight, clockwise from above; `beyond` is how `np.pad` goes on past the rim."""
    *_, height, width = values.shape
    padded = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)), beyond)
    places = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    return [padded[..., row : row + height, column : column + width] for row, column in places]


def _luma(images: np.ndarray) -> np.ndarray:
    # 0.299, 0.587 and 0.114 in 65536ths, rounded: Pillow's own integers.
    red, green, blue = (images[:, channel, None].astype(np.uint32) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


def _edges(images: np.ndarray) -> np.ndarray:
    pixels = (_luma(images) if images.shape[1] == 3 else images).astype(np.int32)
    # The rim goes on outwards: a frame around each image would be no edge of anything.
    n, ne, e, se, s, sw, w, nw = _neighbours(pixels, "edge")
    across = (ne + 2 * e + se) - (nw + 2 * w + sw)
    down = (sw + 2 * s + se) - (nw + 2 * n + ne)
    strength = across**2 + down**2
    n, ne, e, se, s, sw, w, nw = _neighbours(strength)
    # Along which of four ways the gradient points: 2 / 5 is nearly the tangent of 22.5 degrees.
    ways = [
        5 * abs(down) <= 2 * abs(across),
        5 * abs(across) <= 2 * abs(down),
        (across > 0) == (down > 0),
    ]
    before, after = np.select(ways, [w, n, nw], ne), np.select(ways, [e, s, se], sw)
    # Of two that are as strong, as beside a sharp step, the first is the line.
    lines = (strength > before) & (strength >= after) & (strength >= EDGE**2)
    return np.where(lines, np.uint8(255), np.uint8(0))


def _deletable(turn: int) -> np.ndarray:
    """By the neighbours' bits, clockwise from above: does this turn of A1 take the pixel away?"""
    n, ne, e, se, s, sw, w, nw = (np.arange(256) >> bit & 1 == 1 for bit in range(8))
    pieces = np.sum([~n & (ne | e), ~e & (se | s), ~s & (sw | w), ~w & (nw | n)], axis=0)
    one_way = np.sum([nw | n, ne | e, se | s, sw | w], axis=0)
    other_way = np.sum([n | ne, e | se, s | sw, w | nw], axis=0)
    pairs = np.minimum(one_way, other_way)
    kept = (s | sw | ~nw) & w if turn else (n | ne | ~se) & e
    deletable: np.ndarray = (pieces == 1) & (pairs >= 2) & (pairs <= 3) & ~kept
    return deletable


def _thinned(images: np.ndarray) -> np.ndarray:
    turns = _deletable(0), _deletable(1)
    stroke, before = images >= STROKE, None
    while before is None or (before != stroke).any():
        before = stroke
        for deletable in turns:
            bits = np.zeros(images.shape, np.uint8)
            for bit, neighbour in enumerate(_neighbours(stroke)):
                bits |= neighbour.astype(np.uint8) << bit
            stroke = stroke & ~deletable[bits]
    return np.where(stroke, np.uint8(255), np.uint8(0))


def _gradient(images: np.ndarray) -> np.ndarray:
    cross = [images, *_neighbours(images)[::2]]
    gradient: np.ndarray = np.maximum.reduce(cross) - np.minimum.reduce(cross)
    return gradient


def _thickened(images: np.ndarray) -> np.ndarray:
    thickened: np.ndarray = np.maximum.reduce([images, *_neighbours(images)[::2]])
    return thickened
