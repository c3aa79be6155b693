"""Images of other systems: each mistake is one clear line, and a right one is read as it is."""

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas import networks
from ganvas.data import images
from ganvas.errors import GanvasError

GOOD = np.random.default_rng(0).integers(0, 256, (120, 28, 28), dtype=np.uint8)

LABELS = np.arange(120)


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
    assert np.array_equal(images.read(saved(tmp_path, array), 28, 1), grey)


class TestNpz:
    @pytest.mark.parametrize(
        "arrays",
        [
            {"whatever": GOOD},
            {"arr_0": GOOD, "arr_1": LABELS},  # of diffusion code bases
            {"arr_0": LABELS, "samples": GOOD[..., None]},
            {"images": GOOD, "labels": LABELS, "real": 255 - GOOD},
            {"images": GOOD, "labels": np.array([None])},  # which would have to be unpickled
        ],
    )
    def test_gives_its_only_array_or_the_one_whose_name_says_images(
        self, arrays: dict[str, np.ndarray], tmp_path: Path
    ) -> None:
        np.savez(tmp_path / "images.npz", **arrays)  # type: ignore[arg-type]
        assert np.array_equal(images.read(tmp_path / "images.npz", 28, 1), GOOD)

    @pytest.mark.parametrize(
        ("arrays", "listed"),
        [
            ({"x": GOOD, "y": LABELS}, "x, y"),
            ({"arr_0": LABELS, "x": GOOD}, "arr_0, x"),
            ({"images": GOOD, "samples": GOOD}, "images, samples"),
            ({}, "nothing"),
        ],
    )
    def test_is_refused_with_its_names_where_none_or_several_say_it(
        self, arrays: dict[str, np.ndarray], listed: str, tmp_path: Path
    ) -> None:
        np.savez(tmp_path / "images.npz", **arrays)  # type: ignore[arg-type]
        said = f"images.npz: holds {listed}; name the images, and nothing else, arr_0, images or"
        with pytest.raises(GanvasError, match=said):
            images.read(tmp_path / "images.npz", 28, 1)


class TestFolder:
    @pytest.mark.parametrize("mode", ["L", "RGB", "P"])
    def test_is_read_in_the_order_of_the_names(self, mode: str, tmp_path: Path) -> None:
        for index, image in reversed(list(enumerate(GOOD))):
            Image.fromarray(image).convert(mode).save(tmp_path / f"{index:03}.png")
        assert np.array_equal(images.read(tmp_path, 28, 1), GOOD)

    @pytest.mark.parametrize("ending", ["bmp", "PNG", "webp"])
    def test_with_sub_folders_is_read_class_after_class(self, ending: str, tmp_path: Path) -> None:
        """torchvision's ImageFolder, with what lies about in such folders."""
        for index, image in reversed(list(enumerate(GOOD))):
            file = tmp_path / f"{index // 50}" / f"{index:03}.{ending}"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(file, lossless=True)
        (tmp_path / "labels.csv").touch()
        (tmp_path / ".thumbnails").mkdir()
        for hidden in (".thumbnails/000.png", "0/._000.png"):
            (tmp_path / hidden).touch()
        assert np.array_equal(images.read(tmp_path, 28, 1), GOOD)

    @pytest.mark.parametrize("ending", ["jpg", "jpeg", "webp"])
    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_of_a_lossy_format_is_grey_and_near(
        self, ending: str, mode: str, tmp_path: Path
    ) -> None:
        smooth = np.add.outer(np.arange(28), np.arange(28))
        ramps = np.stack([smooth + 2 * index for index in range(100)]).astype(np.uint8)
        for index, image in enumerate(ramps):
            Image.fromarray(image).convert(mode).save(tmp_path / f"{index:03}.{ending}", quality=90)
        read = images.read(tmp_path, 28, 1)
        assert np.abs(read.astype(int) - ramps).max() <= 6

    def test_is_read_as_its_exif_turns_it(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[274] = 3  # upside down
        for index, image in enumerate(GOOD):
            turned = Image.fromarray(np.ascontiguousarray(image[::-1, ::-1]))
            turned.save(tmp_path / f"{index:03}.png", exif=exif)
        assert np.array_equal(images.read(tmp_path, 28, 1), GOOD)

    def test_of_thousands_of_files_tells_how_far_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(images.progress, "SECONDS_BETWEEN_LINES", 0)
        for index, image in enumerate(GOOD):
            Image.fromarray(image).save(tmp_path / f"{index:03}.png")
        images.read(tmp_path, 28, 1)
        told = capsys.readouterr()
        assert told.out == "" and f"reading {tmp_path}: 119 of 120 images" in told.err


def saved_tensor(folder: Path, content: object) -> Path:
    torch.save(content, folder / "images.pt")
    return folder / "images.pt"


class TestTensor:
    @pytest.mark.parametrize(
        "tensor",
        [
            torch.from_numpy(GOOD),
            torch.from_numpy(GOOD)[:, None],
            torch.from_numpy(GOOD)[:, None].expand(-1, 3, -1, -1),
        ],
    )
    def test_of_uint8_is_read_as_it_is(self, tensor: torch.Tensor, tmp_path: Path) -> None:
        assert np.array_equal(images.read(saved_tensor(tmp_path, tensor), 28, 1), GOOD)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
    def test_of_floats_that_a_training_left_is_read(
        self, dtype: torch.dtype, tmp_path: Path
    ) -> None:
        floats = torch.from_numpy(GOOD)[:, None].to(torch.float64).div(255).to(dtype)
        read = images.read(saved_tensor(tmp_path, torch.nn.Parameter(floats)), 28, 1, (0, 1))
        assert np.array_equal(read, GOOD)

    def test_of_code_is_refused_and_the_code_not_run(self, tmp_path: Path) -> None:
        path = saved_tensor(tmp_path, Trap(tmp_path / "sprung"))
        with pytest.raises(GanvasError, match="holds code, which is never run") as refusal:
            images.read(path, 28, 1)
        assert "\n" not in str(refusal.value) and not (tmp_path / "sprung").exists()
        torch.load(path, weights_only=False)
        assert (tmp_path / "sprung").exists(), "the trap works"

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ({"weight": torch.zeros(3)}, "holds a dict; give a tensor of images"),
            ([torch.zeros(3)], "holds a list; give a tensor"),
            (torch.nn.Linear(2, 2), "damaged, or holds code, which is never run"),
            (torch.from_numpy(GOOD).long(), "int64 from 0 to 255; give uint8 from 0 to 255$"),
        ],
    )
    def test_of_something_else_is_refused(self, content: object, said: str, tmp_path: Path) -> None:
        with pytest.raises(GanvasError, match=rf"images\.pt: {said}") as refusal:
            images.read(saved_tensor(tmp_path, content), 28, 1)
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize("kept", [0, 10, 5000])
    def test_that_is_damaged_is_refused(self, kept: int, tmp_path: Path) -> None:
        path = saved_tensor(tmp_path, torch.from_numpy(GOOD))
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(GanvasError, match=r"images\.pt: damaged") as refusal:
            images.read(path, 28, 1)
        assert "\n" not in str(refusal.value)


class Trap:
    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.sprung,)


class TestFloats:
    def test_are_rounded_as_those_of_our_own_generators(self, tmp_path: Path) -> None:
        random = torch.Generator().manual_seed(0)
        floats = torch.rand((200, 28, 28), generator=random) * 2 - 1
        floats[:10] = (torch.arange(7840) % 255 + 0.5).div(127.5).sub(1).reshape(10, 28, 28)
        ours = networks.to_uint8(floats).numpy()
        of_minus_one = images.read(saved(tmp_path, floats.numpy()), 28, 1, (-1, 1))
        assert np.array_equal(of_minus_one, ours)
        assert len(np.unique(ours)) == 256

    @pytest.mark.parametrize("span", [(0, 1), (-1, 1)])
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_of_every_grey_level_give_it_back(
        self, span: tuple[int, int], dtype: type, tmp_path: Path
    ) -> None:
        black, white = span
        floats = (GOOD / 255 * (white - black) + black).astype(dtype)
        for layout in (floats, floats[:, None], np.stack([floats] * 3, -1)):
            assert np.array_equal(images.read(saved(tmp_path, layout), 28, 1, span), GOOD)

    @pytest.mark.parametrize(
        ("floats", "span", "said"),
        [
            (GOOD / 255, None, "float64 from 0 to 1; give uint8 from 0 to 255, or say what floats"),
            (GOOD / 127.5 - 1, (0, 1), "float64 from -1 to 1; --range 0,1 was given"),
            (GOOD / 1.0, (0, 1), "float64 from 0 to 255; --range 0,1 was given"),
            (GOOD / 255 * 1.01, (0, 1), "float64 from 0 to 1.01; --range 0,1 was given"),
            (GOOD / 127 - 1, (-1, 1), "float64 from -1 to 1.01; --range -1,1 was given"),
            (np.where(GOOD, GOOD / 255, np.nan), (0, 1), "float64 from nan to nan; --range"),
            (np.where(GOOD, GOOD / 255, np.inf), (0, 1), "float64 from 0.00392 to inf; --range"),
            (GOOD, (0, 1), "uint8 from 0 to 255; --range is of floats"),
            (GOOD.astype(int), (0, 1), "int64 from 0 to 255; give uint8 from 0 to 255$"),
        ],
    )
    def test_are_taken_only_in_the_range_that_was_said(
        self, floats: np.ndarray, span: tuple[int, int] | None, said: str, tmp_path: Path
    ) -> None:
        with pytest.raises(GanvasError, match=said):
            images.read(saved(tmp_path, floats), 28, 1, span)

    def test_may_leave_it_by_rounding(self, tmp_path: Path) -> None:
        floats = np.where(GOOD == 255, np.float32(1.001), GOOD / np.float32(255))
        assert np.array_equal(images.read(saved(tmp_path, floats), 28, 1, (0, 1)), GOOD)


class TestAnotherSize:
    LARGE = np.random.default_rng(1).integers(0, 256, (120, 32, 32), dtype=np.uint8)

    def test_is_refused_with_what_to_do(self, tmp_path: Path) -> None:
        said = (
            "images of 32 pixels a side, the real ones have 28; cut off what was padded, or give "
            "--resize (bicubic, antialiased)"
        )
        with pytest.raises(GanvasError, match=re.escape(said)):
            images.read(saved(tmp_path, self.LARGE), 28, 1)

    def test_is_read_where_any_size_will_do(self, tmp_path: Path) -> None:
        read = images.read(saved(tmp_path, self.LARGE[:, None]), 28, 1, any_size=True)
        assert np.array_equal(read, self.LARGE)

    @pytest.mark.parametrize("shape", [(120, 20, 28), (120, 0, 0), (120, 28)])
    def test_that_is_no_square_is_refused_then_too(
        self, shape: tuple[int, ...], tmp_path: Path
    ) -> None:
        with pytest.raises(GanvasError, match=r"give \(N, 28, 28\)"):
            images.read(saved(tmp_path, np.zeros(shape, np.uint8)), 28, 1, any_size=True)

    @pytest.mark.parametrize("side", [8, 32, 64])
    def test_is_resized_as_another_implementation_does(self, side: int) -> None:
        """PyTorch's, with antialiasing; without it what is larger would differ by far."""
        given = np.random.default_rng(2).integers(0, 256, (100, side, side), dtype=np.uint8)
        theirs = torch.nn.functional.interpolate(
            torch.from_numpy(given)[:, None].float(), (28, 28), mode="bicubic", antialias=True
        )
        expected = theirs[:, 0].round().clamp(0, 255).numpy().astype(int)
        apart = np.abs(images.resized(given, 28) - expected)
        assert images.resized(given, 28).dtype == np.uint8
        assert apart.max() <= 1 and (apart > 0).mean() < 0.001

    def test_is_no_reason_to_touch_images_of_the_right_one(self) -> None:
        assert images.resized(GOOD, 28) is GOOD


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
        images.read(saved(tmp_path, array), 28, 1)
    assert "\n" not in str(refusal.value) and "images.npy" in str(refusal.value)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(GanvasError, match="no such file or folder"):
        images.read(tmp_path / "nothing", 28, 1)


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
        images.read(tmp_path / "images", 28, 1)
    assert "\n" not in str(refusal.value)


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    with pytest.raises(GanvasError, match=r"no image in this folder; give \.png, \.jpg"):
        images.read(tmp_path, 28, 1)


@pytest.mark.parametrize("kept", [0, 5, 100, 700])
def test_a_folder_with_a_file_that_is_no_image(kept: int, tmp_path: Path) -> None:
    buffer = BytesIO()
    Image.fromarray(GOOD[0]).save(buffer, "png")
    (tmp_path / "a.png").write_bytes(buffer.getvalue()[:kept])
    with pytest.raises(GanvasError, match=r"a\.png: no image can be read"):
        images.read(tmp_path, 28, 1)


def test_a_folder_with_an_image_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(GOOD[0]).save(tmp_path / "a.png")
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", 100
    )  # Pillow's bound, above twice which it stops
    with pytest.raises(GanvasError, match=r"a\.png: no image can be read"):
        images.read(tmp_path, 28, 1)


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
        images.read(tmp_path, 28, 1)


def test_a_folder_of_several_sizes(tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    Image.new("L", (20, 28)).save(tmp_path / "b.png")
    with pytest.raises(GanvasError, match=r"b\.png"):
        images.read(tmp_path, 28, 1)


class TestColour:
    """Of a data set in colour."""

    COLOUR = np.random.default_rng(3).integers(0, 256, (120, 28, 28, 3), dtype=np.uint8)

    @pytest.mark.parametrize("first", [True, False])
    def test_arrays_with_the_channels_first_or_last(self, first: bool, tmp_path: Path) -> None:
        array = self.COLOUR.transpose(0, 3, 1, 2) if first else self.COLOUR
        found = images.read(saved(tmp_path, array), 28, 3)
        assert np.array_equal(found, self.COLOUR) and found.flags.c_contiguous

    @pytest.mark.parametrize("span", [(0, 1), (-1, 1)])
    def test_floats_that_a_training_left(self, span: tuple[int, int], tmp_path: Path) -> None:
        black, white = span
        floats = torch.from_numpy(self.COLOUR / 255 * (white - black) + black).permute(0, 3, 1, 2)
        found = images.read(saved_tensor(tmp_path, floats.float()), 28, 3, span)
        assert np.array_equal(found, self.COLOUR)

    @pytest.mark.parametrize("ending", ["png", "bmp", "webp"])
    def test_folders_where_a_grey_image_may_be_among_the_others(
        self, ending: str, tmp_path: Path
    ) -> None:
        expected = self.COLOUR.copy()
        expected[7] = GOOD[7][..., None]
        for index, image in enumerate(expected):
            grey = Image.fromarray(GOOD[7]) if index == 7 else Image.fromarray(image)
            grey.save(tmp_path / f"{index:03}.{ending}", lossless=True)
        assert np.array_equal(images.read(tmp_path, 28, 3), expected)

    def test_images_that_happen_to_be_grey(self, tmp_path: Path) -> None:
        """What a poor generator of colour images makes is scored, as poor as it is."""
        grey = np.stack([GOOD] * 3, -1)
        assert np.array_equal(images.read(saved(tmp_path, grey), 28, 3), grey)

    @pytest.mark.parametrize("array", [GOOD, GOOD[:, None], GOOD[..., None]])
    def test_grey_images_are_refused(self, array: np.ndarray, tmp_path: Path) -> None:
        said = r"images\.npy: grey, the real images are in colour; give \(N, 28, 28, 3\)"
        with pytest.raises(GanvasError, match=said):
            images.read(saved(tmp_path, array), 28, 3)

    def test_a_folder_of_grey_images_is_refused(self, tmp_path: Path) -> None:
        for index, image in enumerate(GOOD):
            Image.fromarray(image).save(tmp_path / f"{index:03}.png")
        with pytest.raises(GanvasError, match="grey, the real images are in colour"):
            images.read(tmp_path, 28, 3)

    @pytest.mark.parametrize(
        ("array", "said"),
        [
            (COLOUR[:, :20], r"shape \(120, 20, 28, 3\); give \(N, 28, 28, 3\) colour images$"),
            (COLOUR[..., :2], r"shape \(120, 28, 28, 2\); give \(N, 28, 28, 3\) colour images$"),
            (COLOUR[0, 0], r"shape \(28, 3\); give \(N, 28, 28, 3\) colour images$"),
            (COLOUR[:, :20, :20], "images of 20 pixels a side, the real ones have 28"),
            (COLOUR[:99], "99 images; give at least 100"),
            (COLOUR // 255, "no values but 0, 1, as of floats"),
            (COLOUR / 255, "float64 from 0 to 1; give uint8"),
        ],
    )
    def test_a_wrong_array(self, array: np.ndarray, said: str, tmp_path: Path) -> None:
        with pytest.raises(GanvasError, match=said):
            images.read(saved(tmp_path, array), 28, 3)

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK"])
    def test_a_folder_with_an_image_of_another_mode(self, mode: str, tmp_path: Path) -> None:
        path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
        Image.new(mode, (28, 28)).save(path)
        with pytest.raises(GanvasError, match=f"an image of mode {mode}; convert it to mode RGB"):
            images.read(tmp_path, 28, 3)

    def test_another_size_is_resized_colour_by_colour(self) -> None:
        resized = images.resized(self.COLOUR, 16)
        assert resized.shape == (120, 16, 16, 3) and resized.dtype == np.uint8
        for channel in range(3):
            alone = np.ascontiguousarray(self.COLOUR[..., channel])
            assert np.array_equal(resized[..., channel], images.resized(alone, 16))
        assert images.resized(self.COLOUR, 28) is self.COLOUR
