"""Images of other systems: each mistake is one clear line, and a right one is read as it is."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.data import images
from ganvas.errors import GanvasError

GOOD = np.random.default_rng(0).integers(0, 256, (120, 28, 28), dtype=np.uint8)


def saved(folder: Path, array: np.ndarray) -> Path:
    path = folder / "images.npy"
    np.save(path, array)
    return path


@pytest.mark.parametrize(
    "array",
    [
        *(GOOD, GOOD[:, None], GOOD[..., None]),
        *(np.stack([GOOD] * 3, axis) for axis in (1, -1)),  # grey, saved in colour
        GOOD // 255 * 255,  # black and white
        np.tile(GOOD[:1], (100, 1, 1)),
    ],
)
def test_npy_of_any_grey_layout(array: np.ndarray, tmp_path: Path) -> None:
    grey = array.reshape(len(array), 28, 28) if array.size == len(array) * 784 else GOOD
    assert np.array_equal(images.read(saved(tmp_path, array), 28), grey)


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", GOOD)
    assert np.array_equal(images.read(tmp_path / "images.npz", 28), GOOD)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_folder_of_pngs_in_the_order_of_their_names(mode: str, tmp_path: Path) -> None:
    for index, image in reversed(list(enumerate(GOOD))):
        Image.fromarray(image).convert(mode).save(tmp_path / f"{index:03}.png")
    assert np.array_equal(images.read(tmp_path, 28), GOOD)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (GOOD / 255, "float64 from 0 to 1; give uint8"),
        (GOOD.astype(np.int64), "int64"),
        (GOOD > 128, "bool; give uint8"),
        (GOOD.astype(str), "<U3; give uint8"),
        # Floats in [0, 1), in [0, 1] and in [-1, 1], cast.
        (GOOD * 0, "no values but 0, as of floats"),
        (GOOD // 255, "no values but 0, 1, as of floats"),
        (np.where(GOOD > 128, 255, 1).astype(np.uint8), "no values but 1, 255, as of floats"),
        (GOOD[:, :20], r"give \(N, 28, 28\)"),
        (GOOD[0], r"give \(N, 28, 28\)"),
        (np.stack([GOOD, GOOD, 255 - GOOD], axis=-1), "in colour"),
        (np.stack([GOOD, GOOD, 255 - GOOD], axis=1), "in colour"),
        (np.stack([GOOD] * 2, axis=1), r"shape \(120, 2, 28, 28\); give \(N, 28, 28\)"),
        (GOOD[:99], "99 images; give at least 100"),
        (GOOD[:0], "0 images"),
        (np.array([None]), "not a .npy"),
    ],
)
def test_a_wrong_array(array: np.ndarray, said: str, tmp_path: Path) -> None:
    with pytest.raises(GanvasError, match=said) as refusal:
        images.read(saved(tmp_path, array), 28)
    assert "\n" not in str(refusal.value) and "images.npy" in str(refusal.value)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(GanvasError, match="no such file or folder"):
        images.read(tmp_path / "nothing", 28)


def bytes_of(save: Callable[..., None]) -> bytes:
    buffer = BytesIO()
    save(buffer, GOOD)
    return buffer.getvalue()


NPY, NPZ = bytes_of(np.save), bytes_of(np.savez_compressed)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"hello", b"PK\x03\x04"),
        *(NPY[:50], NPY[:5000], NPY.replace(b"(120, 28, 28)", b"(9999999999999999, 28, 28)")),
        *(NPZ[:5000], NPZ[:5000] + b"x" + NPZ[5001:]),
    ],
)
def test_a_file_of_something_else_or_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(GanvasError, match=r"images: not a \.npy or \.npz file") as refusal:
        images.read(tmp_path / "images", 28)
    assert "\n" not in str(refusal.value)


def test_an_archive_of_several_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", GOOD, GOOD)
    with pytest.raises(GanvasError, match="holds 2 arrays"):
        images.read(tmp_path / "images.npz", 28)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(GanvasError, match="an empty folder"):
        images.read(tmp_path, 28)


@pytest.mark.parametrize("kept", [0, 5, 100, 700])
def test_a_folder_with_a_file_that_is_no_image(kept: int, tmp_path: Path) -> None:
    buffer = BytesIO()
    Image.fromarray(GOOD[0]).save(buffer, "png")
    (tmp_path / "a.png").write_bytes(buffer.getvalue()[:kept])
    with pytest.raises(GanvasError, match=r"a\.png: no image can be read"):
        images.read(tmp_path, 28)


def test_a_folder_with_a_folder(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    with pytest.raises(GanvasError, match=r"more: no image can be read"):
        images.read(tmp_path, 28)


def test_a_folder_with_an_image_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(GOOD[0]).save(tmp_path / "a.png")
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", 100
    )  # Pillow's bound, above twice which it stops
    with pytest.raises(GanvasError, match=r"a\.png: no image can be read"):
        images.read(tmp_path, 28)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image.new("RGB", (28, 28), "red"), "in colour"),
        (Image.new("RGB", (28, 28), "red").convert("P"), "in colour"),
        (Image.new("RGBA", (28, 28)), "an image of mode RGBA"),
        (Image.new("LA", (28, 28)), "an image of mode LA"),
        (Image.new("I;16", (28, 28)), "an image of mode I;16"),
    ],
)
def test_a_folder_with_an_image_that_is_not_grey(
    image: Image.Image, said: str, tmp_path: Path
) -> None:
    image.save(tmp_path / "a.png")
    with pytest.raises(GanvasError, match=rf"a\.png: {said}"):
        images.read(tmp_path, 28)


def test_a_folder_of_several_sizes(tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    Image.new("L", (20, 28)).save(tmp_path / "b.png")
    with pytest.raises(GanvasError, match=r"b\.png"):
        images.read(tmp_path, 28)
