"""A person's own images: what lies there is read, split and reported on."""

import dataclasses
import gzip
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from killing import killed
from laying import Lay, archive, write
from PIL import Image

from ganvas.data import decoded, decoding, folder, naming, places
from ganvas.data.folder import Found
from ganvas.data.form import Form
from ganvas.errors import GanvasError

SPLITS = ("train", "validation", "test")
GREY = Form(1, 8)
SETTINGS: dict[str, Any] = {"seed": 0, "test_share": 0.3, "validation_share": 0.2}


def picture(number: int, side: int = 8) -> Image.Image:
    """Its number can be told from its pixels."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8)
    return Image.fromarray(pixels)


def png(number: int, side: int = 8) -> bytes:
    buffer = BytesIO()
    picture(number, side).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(names: str, count: int, first: int = 0) -> dict[str, bytes]:
    """Files by their names: `names` with a place for a number."""
    return {names.format(number): png(number) for number in range(first, first + count)}


def read(source: Path, form: Form = GREY, **settings: Any) -> Found:
    return folder.read(source, form, **{**SETTINGS, **settings})


def held(found: Found) -> dict[str, dict[bytes, int | None]]:
    """By split: the pixels of each image and its label."""
    return {
        split: {
            image.tobytes(): int(arrays["labels"][at]) if "labels" in arrays else None
            for at, image in enumerate(arrays["images"])
        }
        for split, arrays in found.splits.items()
    }


def numbers(found: Found, split: str) -> set[int]:
    """Of the pictures in a split, up to 200."""
    known = {np.asarray(picture(number)).tobytes(): number for number in range(200)}
    return {known[pixels] for pixels in held(found)[split]}


def same(one: Found, other: Found) -> bool:
    return one.classes == other.classes and all(
        one.splits[split].keys() == other.splits[split].keys()
        and all(
            array.tobytes() == other.splits[split][key].tobytes()
            for key, array in one.splits[split].items()
        )
        for split in SPLITS
    )


def refusal(source: Path, **settings: Any) -> str:
    with pytest.raises(GanvasError) as caught:
        read(source, **settings)
    line = str(caught.value)
    assert "\n" not in line and str(source) in line
    return line


@pytest.mark.usefixtures("few")
class TestPlaces:
    def test_without_folders_have_no_classes_and_splits_are_drawn(self, place: Lay) -> None:
        found = read(place(pictures("{:03}.png", 100)))
        assert found.classes == () and found.report.classes == {}
        drawn = {split: numbers(found, split) for split in SPLITS}
        assert set.union(*drawn.values()) == set(range(100))
        assert sum(map(len, drawn.values())) == 100
        assert 15 < len(drawn["test"]) < 45 and 5 < len(drawn["validation"]) < 30
        for split, arrays in found.splits.items():
            assert arrays.keys() == {"images"}
            assert arrays["images"].shape == (len(drawn[split]), 1, 8, 8)
            assert arrays["images"].dtype == np.uint8

    def test_have_their_sub_folders_as_classes_however_deep(self, place: Lay) -> None:
        contents = pictures("my pictures/zebra/{}.png", 10)
        contents |= pictures("my pictures/ant/2024/may/{}.png", 10, first=10)
        contents |= pictures("my pictures/ant/{}.png", 10, first=20)
        found = read(place(contents))
        assert found.classes == ("ant", "zebra")
        labels = {pixels: label for of in held(found).values() for pixels, label in of.items()}
        for number in range(30):
            assert labels[np.asarray(picture(number)).tobytes()] == int(number < 10)
        assert {array["labels"].dtype for array in found.splits.values()} == {np.dtype(np.int64)}
        assert {name: sum(of.values()) for name, of in found.report.classes.items()} == {
            "ant": 20,
            "zebra": 10,
        }

    @pytest.mark.parametrize("above", ["", "given/", "a/b/"])
    @pytest.mark.parametrize("called", ["validation", "val", "Valid"])
    def test_have_splits_by_their_folders(self, place: Lay, above: str, called: str) -> None:
        contents = pictures(above + "train/a/{}.png", 5)
        contents |= pictures(above + "train/b/{}.png", 5, first=5)
        contents |= pictures(above + called + "/b/{}.png", 5, first=10)
        contents |= pictures(above + "test/a/x/{}.png", 5, first=15)
        found = read(place(contents), validation_share=0.9, test_share=0.9)
        drawn = {split: numbers(found, split) for split in SPLITS}
        assert drawn == {
            "train": set(range(10)),
            "validation": set(range(10, 15)),
            "test": set(range(15, 20)),
        }
        assert found.classes == ("a", "b")
        assert set(held(found)["validation"].values()) == {1}
        assert set(held(found)["test"].values()) == {0}

    @pytest.mark.parametrize(("there", "drawn"), [("test", "validation"), ("val", "test")])
    def test_have_a_split_that_is_not_there_drawn_from_train(
        self, place: Lay, there: str, drawn: str
    ) -> None:
        contents = pictures("train/{}.png", 50) | pictures(there + "/{}.png", 10, first=50)
        found = read(place(contents), validation_share=0.5, test_share=0.5)
        assert numbers(found, naming.SPLITS[there]) == set(range(50, 60))
        assert numbers(found, "train") | numbers(found, drawn) == set(range(50))
        assert 10 < len(numbers(found, drawn)) < 40

    def test_without_a_meaning_of_folders(self, place: Lay) -> None:
        contents = (
            pictures("a/{}.png", 10) | pictures("b/{}.png", 10, first=10) | {"c.png": png(20)}
        )
        found = read(place(contents), classes=False)
        assert found.classes == () and sum(found.report.splits.values()) == 21

    def test_have_hidden_things_and_other_files_passed_by(self, place: Lay) -> None:
        contents = pictures("a/{}.png", 10) | pictures("b/{}.PNG", 10, first=10)
        clutter = ("__MACOSX/a/0.png", ".git/0.png", "a/._0.png", "b/.thumbnails/0.png")
        contents |= dict.fromkeys(clutter, png(50))
        contents |= {"labels.csv": b"0", "a/README": b"", "a/0.heic": b"", "b/1.heic": b""}
        found = read(place(contents))
        assert found.report.files == 20 and not found.report.unreadable
        assert found.report.others == {".csv": 1, "no ending": 1, ".heic": 2}
        assert found.classes == ("a", "b")

    def test_with_images_beside_the_splits_leave_them_out_and_say_so(self, place: Lay) -> None:
        contents = pictures("train/{}.png", 10) | pictures("test/{}.png", 10, first=10)
        found = read(place(contents | {"preview.png": png(50), "docs/a.png": png(51)}))
        assert found.report.outside == 2 and found.report.files == 20
        assert "2 images beside the folders of the splits are left out" in found.report.warnings

    def test_with_images_beside_the_classes_are_refused(self, place: Lay) -> None:
        contents = pictures("a/{}.png", 3) | pictures("b/{}.png", 3, first=3)
        line = refusal(place(contents | {"c.png": png(9)}))
        assert "1 images lie beside the class folders (c.png), which are a, b; move them" in line

    @pytest.mark.parametrize("beside", ["more/{}.png", "val/{}.png", "test/more/{}.png"])
    def test_with_a_test_folder_but_none_to_train_on_are_refused(
        self, place: Lay, beside: str
    ) -> None:
        line = refusal(place(pictures("test/{}.png", 3) | pictures(beside, 3)))
        assert "a folder 'test', and none 'train' beside it" in line

    def test_without_an_image_are_refused_and_what_is_there_is_named(self, place: Lay) -> None:
        line = refusal(place({"a.heic": b"", "b.heic": b"", ".c.png": b"", "d.txt": b""}))
        assert "no image in it (2 .heic, 1 .txt); give .png, .jpg" in line

    def test_that_are_not_there_are_refused(self, tmp_path: Path) -> None:
        assert "no such file or folder; give a folder, a .zip" in refusal(tmp_path / "flowers")

    def test_of_another_kind_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "flowers.tar").write_bytes(b"flowers")
        assert "not a place of images; give a folder, a .zip" in refusal(tmp_path / "flowers.tar")

    def test_in_the_home_may_be_written_short(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        write(tmp_path / "flowers", pictures("{}.png", 5))
        assert read(Path("~/flowers")).report.files == 5

    def test_may_be_links_and_a_circle_of_them_ends(self, tmp_path: Path) -> None:
        write(tmp_path / "elsewhere", pictures("{}.png", 5))
        write(tmp_path / "given/a", pictures("{}.png", 5, first=5))
        (tmp_path / "given/b").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "given/a/circle").symlink_to(tmp_path / "given")
        (tmp_path / "given/c").symlink_to(tmp_path / "elsewhere")  # the same once more
        found = read(tmp_path / "given")
        assert found.report.files == 10 and found.classes == ("a", "b")

    def test_may_be_links_to_what_is_hidden(self, tmp_path: Path) -> None:
        write(tmp_path / ".store", pictures("{}.png", 5))
        (tmp_path / "flowers").symlink_to(".store")
        assert read(tmp_path).report.files == 5

    def test_with_a_pipe_do_not_wait_for_it(self, tmp_path: Path) -> None:
        write(tmp_path, pictures("{}.png", 5))
        os.mkfifo(tmp_path / "pipe.png")
        assert read(tmp_path).report.files == 5


@pytest.mark.usefixtures("few")
class TestZip:
    def test_gives_what_the_folder_gives(self, tmp_path: Path) -> None:
        contents = pictures("cats/{}.png", 20) | pictures("dogs/{}.png", 20, first=20)
        shuffled = list(contents.items())
        random.Random(0).shuffle(shuffled)
        one = read(write(tmp_path / "given", contents))
        assert same(one, read(archive(tmp_path / "given.zip", dict(shuffled))))

    def test_is_not_unpacked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        read(archive(Path("given.zip"), pictures("{}.png", 5)))
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
        assert left == {"given.zip", "temporary"}

    @pytest.mark.parametrize(
        "name", ["/etc/a.png", "../a.png", "a/../../b.png", "..\\a.png", "C:\\a.png", "a/.."]
    )
    def test_with_a_way_out_is_refused(self, tmp_path: Path, name: str) -> None:
        source = archive(tmp_path / "given.zip", pictures("{}.png", 5) | {name: png(9)})
        assert "in it leads out of it; make the .zip anew" in refusal(source)

    @pytest.mark.parametrize("kept", [0, 100, 1000])
    def test_that_is_cut_off_is_refused(self, tmp_path: Path, kept: int) -> None:
        source = archive(tmp_path / "given.zip", pictures("{}.png", 50))
        source.write_bytes(source.read_bytes()[:kept])
        assert "no .zip can be read" in refusal(source)

    def test_with_a_damaged_image_names_it(self, tmp_path: Path) -> None:
        contents = pictures("{:03}.png", 50)
        source = archive(tmp_path / "given.zip", contents)
        with zipfile.ZipFile(source) as file:
            place = file.getinfo("007.png").header_offset + 60
        damaged = bytearray(source.read_bytes())
        damaged[place] ^= 0xFF
        source.write_bytes(damaged)
        found = read(source, unreadable_share=0.1)
        assert found.report.unreadable.keys() == {"007.png"}


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.mark.usefixtures("few")
class TestArrays:
    IMAGES = np.stack([np.asarray(picture(number)) for number in range(60)])
    LABELS = np.arange(60) % 3 + 5
    TEST = slice(50, 60)

    @pytest.mark.parametrize(
        "layout",
        [IMAGES, IMAGES[..., None], IMAGES[:, None], np.stack([IMAGES] * 3, 1)],
        ids=lambda array: str(array.shape),
    )
    @pytest.mark.parametrize("ending", [".npy", ".npz"])
    def test_alone_are_the_images(self, tmp_path: Path, layout: np.ndarray, ending: str) -> None:
        source = tmp_path / f"given{ending}"
        (np.save if ending == ".npy" else np.savez)(source, layout)
        found = read(source)
        assert found.classes == ()
        assert set.union(*(numbers(found, split) for split in SPLITS)) == set(range(60))

    def test_in_colour_stay_in_colour(self, tmp_path: Path) -> None:
        colour = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
        np.savez(tmp_path / "given.npz", colour)
        found = read(tmp_path / "given.npz", Form(3, 8), test_share=0, validation_share=0)
        assert (found.splits["train"]["images"] == colour.transpose(0, 3, 1, 2)).all()

    @pytest.mark.parametrize(
        "names",
        [
            ("x_train", "y_train", "x_test", "y_test"),  # Keras
            ("train_images", "train_labels", "test_images", "test_labels"),  # MedMNIST
        ],
    )
    @pytest.mark.parametrize("column", [False, True])
    def test_under_known_names_have_splits_and_classes(
        self, tmp_path: Path, names: tuple[str, ...], column: bool
    ) -> None:
        labels = self.LABELS[:, None] if column else self.LABELS
        arrays = (self.IMAGES[:50], labels[:50], self.IMAGES[self.TEST], labels[self.TEST])
        np.savez(tmp_path / "given.npz", **dict(zip(names, arrays, strict=True)))
        self.check(read(tmp_path / "given.npz"))

    @pytest.mark.parametrize("ending", ["", ".gz"])
    @pytest.mark.parametrize("joint", ["-", "."])  # MNIST's own, and as some unpack them
    def test_in_idx_files_too(self, place: Lay, ending: str, joint: str) -> None:
        pack = gzip.compress if ending else bytes
        self.check(
            read(
                place(
                    {
                        f"{part}-{kind}{joint}idx{array.ndim}-ubyte{ending}": pack(idx(array))
                        for part, at in (("train", slice(50)), ("t10k", self.TEST))
                        for kind, array in (
                            ("images", self.IMAGES[at]),
                            ("labels", self.LABELS[at]),
                        )
                    }
                )
            )
        )

    def check(self, found: Found) -> None:
        assert found.classes == ("5", "6", "7")
        assert numbers(found, "test") == set(range(50, 60))
        assert numbers(found, "train") | numbers(found, "validation") == set(range(50))
        labels = {pixels: label for of in held(found).values() for pixels, label in of.items()}
        for number in range(60):
            assert labels[np.asarray(picture(number)).tobytes()] == number % 3

    def test_in_one_idx_file(self, tmp_path: Path) -> None:
        write(tmp_path, {"given-idx3-ubyte": idx(self.IMAGES)})
        assert read(tmp_path / "given-idx3-ubyte").report.files == 60

    @pytest.mark.parametrize(
        ("arrays", "said"),
        [
            ({}, "holds nothing; name the images"),
            ({"one": IMAGES, "two": IMAGES}, "holds one, two; name the images"),
            ({"images": IMAGES, "x": IMAGES}, "images, x: images more than once"),
            ({"images": IMAGES / 255}, r"float64 \(60, 8, 8\); give uint8 from 0 to 255"),
            ({"images": IMAGES[0]}, r"uint8 \(8, 8\); give uint8"),
            ({"images": IMAGES[:0]}, r"uint8 \(0, 8, 8\); give uint8"),
            ({"images": np.array([None])}, "not a .npy or .npz of numbers"),
            ({"images": IMAGES, "labels": LABELS[1:]}, r"give whole numbers \(60,\), or read it"),
            ({"images": IMAGES, "labels": LABELS / 2}, r"give whole numbers \(60,\), or read it"),
            ({"x_test": IMAGES, "x_val": IMAGES}, "no images of a split 'train'"),
            ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}, "labels of x_test: none"),
        ],
    )
    def test_that_are_no_images_are_refused(
        self, tmp_path: Path, arrays: dict[str, np.ndarray], said: str
    ) -> None:
        np.savez(tmp_path / "given.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(GanvasError, match=said):
            read(tmp_path / "given.npz")

    def test_with_odd_labels_are_read_without_classes(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "given.npz", images=self.IMAGES, labels=np.array([None]))
        assert read(tmp_path / "given.npz", classes=False).classes == ()

    @pytest.mark.parametrize("content", [b"", b"damaged", gzip.compress(idx(IMAGES))[:-9]])
    def test_in_damaged_idx_files_are_refused(self, tmp_path: Path, content: bytes) -> None:
        source = write(tmp_path / "given", {"train-images-idx3-ubyte.gz": content})
        assert "train-images-idx3-ubyte.gz: " in refusal(source)


@pytest.mark.usefixtures("few")
class TestSplits:
    def test_stay_when_images_come_go_and_are_renamed(self, tmp_path: Path) -> None:
        before = read(write(tmp_path / "one", pictures("{:03}.png", 100)))
        after = read(write(tmp_path / "two", pictures("other/name/{}.png", 150, first=50)))
        both = set(range(50, 100))
        for split in SPLITS:
            assert numbers(before, split) & both == numbers(after, split) & both != set()

    def test_are_drawn_by_the_seed(self, tmp_path: Path) -> None:
        source = write(tmp_path / "given", pictures("{}.png", 100))
        one, again, other = (read(source, seed=seed) for seed in (0, 0, 1))
        assert same(one, again)
        assert numbers(one, "test") != numbers(other, "test")

    def test_of_another_share_hold_the_same_and_more(self, tmp_path: Path) -> None:
        source = write(tmp_path / "given", pictures("{}.png", 100))
        small, large = (read(source, test_share=share) for share in (0.1, 0.4))
        assert numbers(small, "test") < numbers(large, "test")

    def test_of_no_share_are_empty(self, tmp_path: Path) -> None:
        source = write(tmp_path / "given", pictures("{}.png", 10))
        found = read(source, test_share=0, validation_share=0)
        assert found.report.splits == {"train": 10, "validation": 0, "test": 0}
        assert found.splits["test"]["images"].shape == (0, 1, 8, 8)


@pytest.mark.usefixtures("few")
class TestDuplicates:
    def bmp(self, number: int) -> bytes:
        """The same pixels in another file."""
        buffer = BytesIO()
        picture(number).save(buffer, "BMP")
        return buffer.getvalue()

    def test_across_splits_stay_in_the_one_that_is_measured_against(self, place: Lay) -> None:
        contents = pictures("train/{}.png", 30) | pictures("val/{}.png", 10, first=30)
        contents |= pictures("test/{}.png", 10, first=40)
        contents |= {"train/a.bmp": self.bmp(45), "train/b.bmp": self.bmp(35)}
        contents |= {"val/c.bmp": self.bmp(48)}
        found = read(place(contents))
        assert {split: numbers(found, split) for split in SPLITS} == {
            "train": set(range(30)),
            "validation": set(range(30, 40)),
            "test": set(range(40, 50)),
        }
        assert found.report.splits == {"train": 30, "validation": 10, "test": 10}
        assert sorted(found.report.removed) == ["train/a.bmp", "train/b.bmp", "val/c.bmp"]
        assert sorted(map(sorted, found.report.duplicates)) == [
            ["test/45.png", "train/a.bmp"],
            ["test/48.png", "val/c.bmp"],
            ["train/b.bmp", "val/35.png"],
        ]
        (line,) = (warning for warning in found.report.warnings if "left out" in warning)
        assert line.startswith("3 images are left out, as their copies are in a split that is")

    def test_within_a_split_are_reported_and_kept(self, tmp_path: Path) -> None:
        contents = pictures("{}.png", 20) | {f"copy{n}.png": png(3) for n in range(5)}
        found = read(write(tmp_path / "given", contents))
        copies = tuple(sorted(["3.png", *(f"copy{n}.png" for n in range(5))]))
        assert tuple(map(sorted, found.report.duplicates)) == ([*copies],)
        assert found.report.removed == () and sum(found.report.splits.values()) == 25
        assert "5 images are copies of others, pixel by pixel, as copy0.png of 3.png" in (
            found.report.warnings
        )

    def test_in_several_classes_are_named(self, tmp_path: Path) -> None:
        contents = pictures("a/{}.png", 5) | pictures("b/{}.png", 5, first=4)
        found = read(write(tmp_path / "given", contents))
        assert "1 images are in several classes at once" in found.report.warnings


class Stopped(BaseException):
    """What nothing but a test raises, or catches."""


BROKEN = {
    "empty.png": (b"", "an empty file"),
    "text.jpg": (b"not an image at all", "not an image, or damaged at its beginning"),
    "half.png": (png(7)[:70], "truncated"),
    "page.gif": (b"<html></html>", "not an image"),
}


class TestBroken:
    def test_few_are_left_out_and_named(self, place: Lay) -> None:
        contents = {name: content for name, (content, _) in BROKEN.items()}
        found = read(place(pictures("{}.png", 400) | contents))
        assert found.report.files == 404 and sum(found.report.splits.values()) == 400
        assert found.report.unreadable.keys() == BROKEN.keys()
        for name, (_, why) in BROKEN.items():
            assert why in found.report.unreadable[name]
        (line,) = (warning for warning in found.report.warnings if "cannot be read" in warning)
        assert line.startswith("4 images cannot be read and are left out: empty.png (an empty fi")

    def test_many_stop_it(self, place: Lay) -> None:
        contents = {name: content for name, (content, _) in BROKEN.items()}
        line = refusal(place(pictures("{}.png", 390) | contents))
        assert "4 of 394 images cannot be read, more than 1.0%: empty.png (an empty file), " in line
        assert "and 1 more; mend or remove them, or raise unreadable_share" in line

    def test_link_to_nowhere_is_one(self, tmp_path: Path) -> None:
        write(tmp_path, pictures("{}.png", 300))
        (tmp_path / "a.png").symlink_to("nowhere")
        found = read(tmp_path)
        assert found.report.unreadable == {"a.png": "No such file or directory"}

    def test_that_would_fill_the_memory_are(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path, pictures("{}.png", 300))
        picture(0, side=100).save(tmp_path / "a.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # twice that is Pillow's bound
        found = read(tmp_path, workers=1)  # the bound is this process's
        assert "exceeds limit of 2000 pixels" in found.report.unreadable["a.png"]

    @pytest.mark.parametrize("kind", ["folder", "zip"])
    def test_files_too_large_are(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        contents = pictures("{}.png", 300) | {"a.png": png(0) + bytes(2000)}
        monkeypatch.setattr(places, "LARGEST", 2000)
        source = (
            archive(tmp_path / "a.zip", contents)
            if kind == "zip"
            else write(tmp_path / "a", contents)
        )
        assert read(source, workers=1).report.unreadable.keys() == {"a.png"}

    def test_name_that_is_no_text_can_be_printed(self, tmp_path: Path) -> None:
        write(tmp_path, pictures("{}.png", 300))
        Path(os.fsdecode(bytes(tmp_path) + b"/\xff.png")).write_bytes(b"")
        "\n".join(read(tmp_path).report.lines()).encode()


class TestTooFew:
    def test_to_train_on(self, tmp_path: Path) -> None:
        contents = pictures("train/{}.png", 99) | pictures("test/{}.png", 60, first=99)
        line = refusal(write(tmp_path / "given", contents), validation_share=0)
        assert "99 images to train on, of 159 that can be read; 100 are the least" in line

    def test_to_measure_against(self, tmp_path: Path) -> None:
        contents = pictures("train/{}.png", 150) | pictures("test/{}.png", 49, first=150)
        line = refusal(write(tmp_path / "given", contents))
        assert "49 images to measure against" in line and line.endswith("give more")

    def test_to_choose_a_checkpoint_with(self, tmp_path: Path) -> None:
        contents = pictures("train/{}.png", 150) | pictures("val/{}.png", 19, first=150)
        line = refusal(write(tmp_path / "given", contents), test_share=0.3)
        assert "19 images to choose a checkpoint with" in line and line.endswith("give more")

    @pytest.mark.parametrize(("split", "least"), [("test", 50), ("validation", 20)])
    def test_of_those_drawn(self, tmp_path: Path, split: str, least: int) -> None:
        source = write(tmp_path / "given", pictures("{}.png", 180))
        line = refusal(source, **{f"{split}_share": 0.1})
        assert line.endswith(f"{least} are the least: give more, or a larger {split}_share")

    def test_for_a_good_result_is_a_warning(self, tmp_path: Path) -> None:
        contents = pictures("train/a/{}.png", 200) | pictures("test/a/{}.png", 60, first=200)
        contents |= pictures("train/b/{}.png", 3, first=300)
        contents |= pictures("validation/a/{}.png", 20, first=400)
        found = read(write(tmp_path / "given", contents))
        assert found.report.warnings == (
            "train: 203 images; a discriminator may learn so few by heart",
            "validation: 20 images; so few hardly tell good checkpoints apart",
            "test: 60 images; scores against so few are uncertain",
            "classes with fewer than 10 images to train on: b",
            "classes without a test image: b",
        )


@pytest.mark.usefixtures("few")
class TestReport:
    def test_counts_formats_modes_and_sizes(self, tmp_path: Path) -> None:
        for number in range(8):
            picture(number, side=40).save(tmp_path / f"{number}.png")
        picture(8, side=30).convert("RGB").save(tmp_path / "8.jpg")
        picture(9, side=30).resize((90, 4)).convert("CMYK").save(tmp_path / "9.tif")
        found = read(tmp_path, Form(1, 28), test_share=0, validation_share=0)
        report = found.report
        assert report.formats == {"PNG": 8, "JPEG": 1, "TIFF": 1}
        assert report.modes == {"L": 8, "RGB": 1, "CMYK": 1}
        assert (report.sizes, report.smallest, report.largest) == (3, (90, 4), (90, 4))
        assert report.enlarged == 1
        assert "1 images are smaller than 28×28 and were enlarged" in report.warnings
        assert report.lines()[:2] == [
            f"{tmp_path}: 10 of 10 images read: PNG 8, JPEG 1, TIFF 1; L 8, RGB 1, CMYK 1; "
            "90×4 to 90×4 pixels, 3 sizes",
            "splits: train 10, validation 0, test 0",
        ]

    def test_is_json(self, tmp_path: Path) -> None:
        found = read(write(tmp_path, pictures("a/{}.png", 5) | pictures("b/{}.png", 5, first=4)))
        written = json.loads(json.dumps(dataclasses.asdict(found.report)))
        assert written["files"] == 10 and written["classes"]["a"]["train"] <= 5


@pytest.mark.usefixtures("few")
class TestLongReading:
    @pytest.fixture(autouse=True)
    def small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(decoded, "PART", 40 * 64)
        monkeypatch.setattr(decoded, "TOGETHER", 16)

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write(tmp_path / "given", pictures("{:03}.png", 150) | {"x.png": b""})

    @pytest.mark.parametrize(("workers", "zipped"), [(2, False), (7, True)])
    def test_gives_the_same_bytes_whatever_the_number_of_workers(
        self, source: Path, workers: int, zipped: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decoded, "WORTH", 20)
        processes: list[int] = []
        original = decoded.Parallel
        monkeypatch.setattr(
            decoded, "Parallel", lambda n, **how: processes.append(n) or original(n, **how)
        )
        one = read(source, workers=1)
        place = Path(shutil.make_archive(str(source), "zip", source)) if zipped else source
        assert not processes
        found = read(place, workers=workers)
        assert processes == [workers]
        assert same(one, found) and found.report.unreadable.keys() == {"x.png"}

    def test_starts_no_process_for_few_images(
        self, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decoded, "Parallel", None)
        assert len(read(source, workers=7).splits["train"]["images"])

    def test_goes_on_where_it_stopped(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = read(source)
        fittings: list[Image.Image] = []
        original, stops = decoding.fitted, [100]

        def fitted(image: Image.Image, form: Form) -> np.ndarray:
            fittings.append(image)
            if len(fittings) in stops:
                raise Stopped
            return original(image, form)

        monkeypatch.setattr(decoding, "fitted", fitted)
        with pytest.raises(Stopped):
            read(source, cache=tmp_path / "cache", workers=1)
        assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2
        stops.clear()
        fittings.clear()
        found = read(source, cache=tmp_path / "cache", workers=1)
        assert len(fittings) == 150 - 80
        assert list((tmp_path / "cache").iterdir()) == []
        assert same(found, whole)
        assert found.report.unreadable.keys() == {"x.png"}

    @pytest.mark.parametrize("changed", ["an image", "its name", "the form", "nothing"])
    def test_begins_anew_when_something_changed(
        self, source: Path, tmp_path: Path, changed: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = tmp_path / "cache"
        self.stop(source, cache, monkeypatch)
        form = GREY
        if changed == "an image":
            (source / "003.png").write_bytes(png(199))
        elif changed == "its name":
            (source / "003.png").rename(source / "003a.png")
        elif changed == "the form":
            form = Form(1, 8, "pad")
        (before,) = cache.iterdir()
        self.stop(source, cache, monkeypatch, form)
        (after,) = cache.iterdir()
        assert (before == after) == (changed == "nothing")
        assert same(read(source, form, cache=cache), read(source, form))

    def stop(
        self, source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, form: Form = GREY
    ) -> None:
        with monkeypatch.context() as context:
            context.setattr(folder, "_gathered", self.interrupt)
            with pytest.raises(Stopped):
                read(source, form, cache=cache)

    def interrupt(self, *arguments: object) -> None:
        raise Stopped

    def test_makes_a_damaged_part_again(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.stop(source, tmp_path / "cache", monkeypatch)
        parts = sorted((tmp_path / "cache").rglob("*.npz"))
        assert len(parts) == 4
        parts[1].write_bytes(parts[1].read_bytes()[:-1000])
        assert same(read(source, cache=tmp_path / "cache"), read(source))

    def test_leaves_what_is_not_its_own(self, source: Path, tmp_path: Path) -> None:
        write(tmp_path / "cache", {"mine/notes.txt": b"", "0123456789abcdef/old.npz": b""})
        read(source, cache=tmp_path / "cache")
        assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mine"]

    def test_tells_how_far_it_is(
        self, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("ganvas.progress.SECONDS_BETWEEN_LINES", 0)
        read(source)
        told = capsys.readouterr()
        assert told.out == "" and f"reading {source}: 151 of 151 images" in told.err
        assert "min left" in told.err


AT_ONCE = """
import sys
from pathlib import Path
from ganvas.data import decoded, decoding, folder
decoded.WORTH, decoded.TOGETHER = 1, 1
settings = dict(seed=0, test_share=0.3, validation_share=0.2)
folder.read(Path(sys.argv[1]), decoding.Form(1, 8), workers=2, **settings)
"""


def test_no_process_outlives_a_reading_that_is_killed(tmp_path: Path) -> None:
    slow = png(0, side=3000)
    source = write(tmp_path / "given", {f"{n}.png": slow for n in range(100)})
    running = psutil.Popen([sys.executable, "-c", AT_ONCE, str(source)])
    while len(below := running.children(recursive=True)) < 3:  # and joblib's own, that cleans up
        time.sleep(0.05)
        assert running.poll() is None
    time.sleep(2)  # until they work
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert psutil.wait_procs(below, timeout=20)[1] == []


def test_a_process_that_dies_gets_one_line(tmp_path: Path) -> None:
    source = write(tmp_path / "given", {f"{n}.png": png(0, side=3000) for n in range(100)})
    code = AT_ONCE.replace(
        "folder.read(",
        "from ganvas.workflow import program\nwith program.errors_in_one_line(): folder.read(",
    )
    running = psutil.Popen(
        [sys.executable, "-c", code, str(source)], stderr=subprocess.PIPE, text=True
    )
    while len(below := running.children(recursive=True)) < 3:
        time.sleep(0.05)
        assert running.poll() is None
    time.sleep(2)
    max(below, key=lambda process: process.memory_info().rss).kill()
    said = running.communicate(timeout=60)[1].splitlines()
    assert running.returncode == 1
    assert [line for line in said if not line.startswith("reading ")] == [
        "error: a process that read images was killed, perhaps for want of memory; run it again: "
        "it goes on where it stopped"
    ]


def test_where_there_can_be_no_other_processes_this_one_reads(tmp_path: Path) -> None:
    source = write(tmp_path / "given", pictures("{:03}.png", 200))
    code = AT_ONCE.replace("workers=2, **settings)", "workers=2, **settings); print('read')")
    told = subprocess.run(
        [sys.executable, "-c", code, str(source)],
        env={**os.environ, "JOBLIB_MULTIPROCESSING": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "read\n"


@pytest.mark.usefixtures("few")
def test_killed_reading_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, cache = write(tmp_path / "given", pictures("{:03}.png", 500)), tmp_path / "cache"
    kept = killed(source, cache, 40 * 64, 90, "images")
    assert 2 <= len(kept) < 12
    monkeypatch.setattr(decoded, "PART", 40 * 64)
    fittings: list[Image.Image] = []
    original = decoding.fitted
    monkeypatch.setattr(
        decoding, "fitted", lambda image, form: fittings.append(image) or original(image, form)
    )
    found = read(source, cache=cache)
    assert len(fittings) <= 500 - 40 * len(kept)
    assert same(found, read(source))


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from ganvas.data import decoded, decoding, findings, folder, normalize
findings.FEWEST = {}
def most():
    # What getrusage tells is no less than the parent's.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
before, source = most(), Path(sys.argv[1])
settings = dict(seed=0, test_share=0.3, validation_share=0.2)
found = folder.read(source, decoding.Form(3, 256), **settings)
array = sum(of["images"].nbytes for of in found.splits.values()) / 2**20
assert array > 90
for split, arrays in found.splits.items():
    normalize.write(source.with_name(split), arrays)
print(most() - before - array)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
@pytest.mark.parametrize("shape", [(500, 16, 16), (500, 3, 256, 256)])
def test_memory_is_little_more_than_the_arrays(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Kept twice, they would take 94 MB more; so would the source, when it is as large."""
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "given.npy", images)
    told = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "given.npy")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(told.stdout) < 60, "MB"


class TestRealZips:
    @pytest.fixture
    def given(self, mirror: Path) -> Iterator[Callable[[str], Path]]:
        def find(name: str) -> Path:
            if not (mirror / name).is_file():
                pytest.skip(f"NOT TESTED: {mirror} has no {name}")
            return mirror / name

        yield find

    def test_cifar(self, given: Callable[[str], Path], tmp_path: Path) -> None:
        source = given("cifar10-part.zip")
        found = read(source, Form(3, 32), validation_share=0.1)
        assert found.classes == (
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        )
        report = found.report
        assert (report.files, report.unreadable, report.duplicates) == (6000, {}, ())
        assert report.formats == {"JPEG": 6000} and report.modes == {"RGB": 6000}
        assert report.splits["test"] == 1000 and 400 < report.splits["validation"] < 600
        assert {of["test"] for of in report.classes.values()} == {100}
        assert {sum(of.values()) for of in report.classes.values()} == {600}
        # Against another reading: unpacked, by torchvision.
        from torchvision.datasets import ImageFolder

        with zipfile.ZipFile(source) as file:
            file.extractall(tmp_path)
        theirs = ImageFolder(str(tmp_path / "cifar10-part/test"))
        assert tuple(theirs.classes) == found.classes
        test = found.splits["test"]
        for index, (image, label) in enumerate(theirs):
            assert test["labels"][index] == label
            assert (test["images"][index] == np.asarray(image).transpose(2, 0, 1)).all()

    def test_omniglot(self, given: Callable[[str], Path]) -> None:
        found = read(given("omniglot-small1.zip"), Form(1, 28), test_share=0.1)
        assert found.classes == ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin")
        report = found.report
        assert (report.files, report.unreadable) == (2720, {})
        assert (report.sizes, report.smallest) == (1, (105, 105))
        assert report.modes == {"1": 2720}
        totals = {name: sum(of.values()) for name, of in report.classes.items()}
        characters = {"Balinese": 24, "Early_Aramaic": 22, "Greek": 24, "Korean": 40, "Latin": 26}
        assert totals == {name: 20 * count for name, count in characters.items()}
        images = np.concatenate([of["images"] for of in found.splits.values()])
        assert images.shape == (2720, 1, 28, 28)
        # Dark on light, and antialiased: greys between.
        assert images.mean() > 200 and len(np.unique(images)) > 100


def test_tests_write_no_more_than_they_say(tmp_path: Path) -> None:
    """A folder may be read-only."""
    source = write(tmp_path / "given", pictures("{}.png", 300))
    before = sorted(path.name for path in source.iterdir())
    source.chmod(0o555)
    try:
        read(source)
    finally:
        source.chmod(0o755)
    assert sorted(path.name for path in source.iterdir()) == before
    shutil.rmtree(source)
