"""Images of other systems: each mistake is one clear line, and a right one is read as it is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas import images
from ganvas.errors import GanvasError

GOOD = np.random.default_rng(0).integers(0, 256, (120, 28, 28), dtype=np.uint8)


def saved(folder: Path, array: np.ndarray) -> Path:
    path = folder / "images.npy"
    np.save(path, array)
    return path


@pytest.mark.parametrize("array", [GOOD, GOOD[:, None], GOOD[..., None]])
def test_npy_of_any_grey_layout(array: np.ndarray, tmp_path: Path) -> None:
    assert np.array_equal(images.read(saved(tmp_path, array), 28), GOOD)


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", GOOD)
    assert np.array_equal(images.read(tmp_path / "images.npz", 28), GOOD)


def test_folder_of_pngs_in_the_order_of_their_names(tmp_path: Path) -> None:
    for index, image in enumerate(GOOD):
        Image.fromarray(image).save(tmp_path / f"{index:03}.png")
    assert np.array_equal(images.read(tmp_path, 28), GOOD)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (GOOD / 255, "float64 from 0 to 1; give uint8"),
        (GOOD.astype(np.int64), "int64"),
        (GOOD // 255, "values 0 and 1 only"),
        (GOOD[:, :20], r"give \(N, 28, 28\)"),
        (GOOD[0], r"give \(N, 28, 28\)"),
        (np.stack([GOOD] * 3, axis=-1), "colour images"),
        (np.stack([GOOD] * 3, axis=1), "colour images"),
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


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "images.npy").write_text("hello")
    with pytest.raises(GanvasError, match=r"not a \.npy"):
        images.read(tmp_path / "images.npy", 28)


def test_an_archive_of_several_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", GOOD, GOOD)
    with pytest.raises(GanvasError, match="holds 2 arrays"):
        images.read(tmp_path / "images.npz", 28)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(GanvasError, match="an empty folder"):
        images.read(tmp_path, 28)


def test_a_folder_with_a_file_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(GanvasError, match=r"a\.png: no image can be read"):
        images.read(tmp_path, 28)


def test_a_folder_with_a_colour_image(tmp_path: Path) -> None:
    Image.new("RGB", (28, 28)).save(tmp_path / "a.png")
    with pytest.raises(GanvasError, match=r"a\.png: a RGB image"):
        images.read(tmp_path, 28)


def test_a_folder_of_several_sizes(tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    Image.new("L", (20, 28)).save(tmp_path / "b.png")
    with pytest.raises(GanvasError, match=r"b\.png"):
        images.read(tmp_path, 28)
