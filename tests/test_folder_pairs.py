"""A person's own images to translate: pairs, in two folders or side by side, and domains."""

import dataclasses
import json
import re
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import killed
from laying import Lay, archive, write
from PIL import Image

from ganvas.data import decoded, decoding, findings, folder
from ganvas.data.folder import Found
from ganvas.data.form import Form
from ganvas.errors import GanvasError

SPLITS = ("train", "validation", "test")
GREY = Form(1, 8)
SETTINGS: dict[str, Any] = {"seed": 0, "test_share": 0.3, "validation_share": 0.2, "workers": 1}
ANSWER = 1000  # further on than its input's is the number of an answer


def pixels(number: int, height: int = 8, width: int = 8) -> np.ndarray:
    """Its number can be told from them."""
    return np.random.default_rng(number).integers(0, 256, (height, width), dtype=np.uint8)


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def some(names: str, numbers: range, answers: bool = False) -> dict[str, bytes]:
    """Files by their names: `names` with a place for a number."""
    kind = names.rpartition(".")[2].upper()
    return {names.format(n): encoded(pixels(n + ANSWER if answers else n), kind) for n in numbers}


def pairs(inputs: str, answers: str, numbers: range) -> dict[str, bytes]:
    return some(inputs, numbers) | some(answers, numbers, answers=True)


def beside(names: str, numbers: range) -> dict[str, bytes]:
    """Inputs at the left of their answers."""
    return {names.format(n): encoded(np.hstack([pixels(n), pixels(n + ANSWER)])) for n in numbers}


def read(source: Path, kind: str = "pairs", form: Form = GREY, **settings: Any) -> Found:
    return folder.read(source, form, kind=kind, **{**SETTINGS, **settings})  # type: ignore[arg-type]


def refusal(source: Path, kind: str = "pairs", **settings: Any) -> str:
    with pytest.raises(GanvasError) as caught:
        read(source, kind, **settings)
    line = str(caught.value)
    assert "\n" not in line and str(source) in line
    return line


KNOWN = {pixels(n).tobytes(): n for first in (0, ANSWER) for n in range(first, first + 200)}


def numbers(found: Found, split: str) -> list[tuple[int, int]]:
    """Of each pair in a split, in their order: of its input, and of its answer."""
    arrays = found.splits[split]
    assert arrays.keys() == {"inputs", "images"}
    for array in arrays.values():
        assert array.flags.c_contiguous  # else it would be copied to be written
        assert array.dtype == np.uint8 and array.shape == (len(arrays["images"]), 1, 8, 8)
    both = zip(arrays["inputs"], arrays["images"], strict=True)
    return [(KNOWN[one.tobytes()], KNOWN[other.tobytes()]) for one, other in both]


def inputs(found: Found, split: str) -> set[int]:
    """Numbers of the pairs in a split, each with its answer."""
    both = numbers(found, split)
    assert all(answer == number + ANSWER for number, answer in both)
    assert len(set(both)) == len(both)
    return {number for number, _ in both}


def same(one: Found, other: Found) -> bool:
    return all(
        one.splits[split].keys() == other.splits[split].keys()
        and all(
            array.tobytes() == other.splits[split][key].tobytes()
            for key, array in one.splits[split].items()
        )
        for split in SPLITS
    )


@pytest.mark.usefixtures("few")
class TestTwoFolders:
    @pytest.mark.parametrize("above", ["", "facades/"])
    @pytest.mark.parametrize(
        "layout",
        ["{split}/A/{{}}.png", "A/{split}/{{}}.png", "{split}A/{{}}.png", "{split}/A/x/{{}}.png"],
    )
    def test_have_splits_by_their_names(self, place: Lay, layout: str, above: str) -> None:
        contents: dict[str, bytes] = {}
        drawn = {"train": range(12), "test": range(20, 25), "val": range(30, 33)}
        for split, of in drawn.items():
            first = above + layout.format(split=split)
            second = first.replace("A", "B").replace("png", "bmp")
            contents |= pairs(first, second, of)
        found = read(place(contents), test_share=0.9, validation_share=0.9)
        assert {split: inputs(found, split) for split in SPLITS} == {
            "train": set(range(12)),
            "validation": set(range(30, 33)),
            "test": set(range(20, 25)),
        }
        assert found.classes == found.domains == () and found.report.warnings[0].startswith("train")

    def test_without_splits_have_them_drawn_as_the_inputs_alone_would(self, tmp_path: Path) -> None:
        of = range(100)
        found = read(write(tmp_path / "given", pairs("A/{}.png", "B/{}.png", of)))
        alone = read(tmp_path / "given/A", "images")
        for split in SPLITS:
            theirs = {KNOWN[image.tobytes()] for image in alone.splits[split]["images"]}
            assert inputs(found, split) == theirs != set()

    def test_turned_round_give_the_others_as_inputs(self, place: Lay) -> None:
        source = place(pairs("train/A/{}.png", "train/B/{}.png", range(9)))
        straight, turned, named = (read(source, inputs=of) for of in (None, "B", "A"))
        assert same(straight, named)
        both = {pair for split in SPLITS for pair in numbers(turned, split)}
        assert both == {(n + ANSWER, n) for n in range(9)}
        assert isinstance(turned.report, findings.OfPairs)
        assert (turned.report.inputs, turned.report.answers) == ("B", "A")

    def test_may_be_called_left_and_right(self, tmp_path: Path) -> None:
        source = write(tmp_path, pairs("left/{}.png", "right/{}.png", range(9)))
        for called, first in ((None, 0), ("left", 0), ("right", ANSWER)):
            found = read(source, inputs=called, test_share=0, validation_share=0)
            assert numbers(found, "train")[0] == (first, ANSWER - first)

    def test_give_inputs_and_answers_one_form(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for n in range(6):
            Image.fromarray(pixels(n, 12, 20)).save(write(tmp_path, {"a/x": b""}) / f"a/{n}.png")
            colour = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
            Image.fromarray(colour).save(write(tmp_path, {"b/x": b""}) / f"b/{n}.jpg")
        form = Form(3, 10, "pad", (9, 8, 7))
        found = read(tmp_path, form=form, test_share=0, validation_share=0)
        arrays = found.splits["train"]
        for name, of in (("a", "inputs"), ("b", "images")):
            alone = read(tmp_path / name, "images", form, test_share=0, validation_share=0)
            assert arrays[of].shape == (6, 3, 10, 10)
            assert (arrays[of] == alone.splits["train"]["images"]).all()
        report = found.report
        assert report.formats == {"PNG and JPEG": 6} and report.modes == {"L and RGB": 6}
        assert (report.sizes, report.smallest, report.enlarged) == (1, (20, 12), 0)
        assert read(tmp_path, form=Form(3, 16)).report.enlarged == 6  # the inputs are

    def test_without_a_name_in_both_are_refused(self, place: Lay) -> None:
        line = refusal(place(some("A/{}.png", range(9)) | some("B/{}.png", range(9, 18))))
        assert "no file name is in A as well as in B; give both images of a pair one name" in line

    def test_that_are_three_are_refused(self, place: Lay) -> None:
        contents = pairs("A/{}.png", "B/{}.png", range(9)) | some("C/{}.png", range(9))
        source = place(contents)
        assert "in two folders, and here are A, B, C; leave two of them" in refusal(source)
        line = refusal(source, inputs="A")
        assert "inputs: A: not one of two folders, and here are A, B, C; give" in line

    def test_with_inputs_of_another_name_are_refused(self, place: Lay) -> None:
        line = refusal(place(pairs("A/{}.png", "B/{}.png", range(9))), inputs="a")
        assert "inputs: a: not one of two folders, and here are A, B; give the name of one" in line

    def test_with_images_beside_them_are_refused(self, place: Lay) -> None:
        source = place(pairs("A/{}.png", "B/{}.png", range(9)) | {"c.png": encoded(pixels(0))})
        for called in (None, "A"):
            line = refusal(source, inputs=called)
            assert "1 images lie beside the folders (c.png), which are A, B; move them" in line

    def test_with_a_name_twice_are_refused(self, place: Lay) -> None:
        contents = pairs("A/{}.png", "B/{}.png", range(9)) | some("A/{}.bmp", range(3, 4))
        line = refusal(place(contents))
        assert "A/3.bmp and A/3.png differ in nothing but their endings" in line


@pytest.mark.usefixtures("few")
class TestSideBySide:
    def test_are_parted(self, place: Lay) -> None:
        contents = beside("maps/train/{}.png", range(10)) | beside("maps/val/{}.png", range(10, 14))
        contents |= beside("maps/test/more/{}.png", range(20, 24))
        found = read(place(contents))
        assert [inputs(found, split) for split in SPLITS] == [
            set(range(10)),
            set(range(10, 14)),
            set(range(20, 24)),
        ]
        assert found.report.smallest == (8, 8) and found.report.formats == {"PNG": 18}

    def test_with_the_inputs_at_the_right(self, tmp_path: Path) -> None:
        source = write(tmp_path, beside("{}.png", range(40)))
        left, told, right = (read(source, inputs=of) for of in (None, "left", "right"))
        assert same(left, told)
        for split in SPLITS:  # drawn by the file, which is the same
            assert numbers(right, split) == [(two, one) for one, two in numbers(left, split)]

    def test_of_another_shape_are_read_when_that_is_said(self, place: Lay) -> None:
        """Each half is cut like an image of its own."""
        three = [np.hstack([pixels(n, 8, 12), pixels(n + ANSWER, 8, 12)]) for n in range(8)]
        source = place({f"{n}.png": encoded(image) for n, image in enumerate(three)})
        line = refusal(source)
        assert "24×8 pixels are not two squares side by side; if it is a pair all the same" in line
        arrays = read(source, inputs="left", test_share=0, validation_share=0).splits["train"]
        for n in range(8):
            assert (arrays["inputs"][n, 0] == pixels(n, 8, 12)[:, 2:10]).all()
            assert (arrays["images"][n, 0] == pixels(n + ANSWER, 8, 12)[:, 2:10]).all()

    def test_in_several_folders_are_read_when_that_is_said(self, place: Lay) -> None:
        contents = beside("a/{}.png", range(5)) | beside("b/{}.png", range(5, 8))
        contents |= beside("{}.png", range(8, 9))
        found = read(place(contents), inputs="left", test_share=0, validation_share=0)
        assert inputs(found, "train") == set(range(9))

    def test_of_an_odd_width_are_left_out(self, place: Lay) -> None:
        contents = beside("{}.png", range(9)) | {"odd.png": encoded(pixels(0, 8, 17))}
        found = read(place(contents), unreadable_share=0.1, inputs="left")
        assert found.report.unreadable == {"odd.png": "17×8 pixels have no two halves"}

    def test_photographs_taken_for_them_are_refused(self, place: Lay) -> None:
        assert "9 of 9 pairs cannot be read, more than 1.0%: 0.png (8×8 pixels are not" in refusal(
            place(some("{}.png", range(9)))
        )

    def test_in_a_palette_or_transparent_are_parted_like_others(self, tmp_path: Path) -> None:
        colours = np.random.default_rng(0).integers(0, 256, (8, 16, 4), dtype=np.uint8)
        Image.fromarray(colours).save(write(tmp_path, {"x": b""}) / "0.png")
        Image.fromarray(colours[..., :3]).quantize(16).save(tmp_path / "1.png")
        arrays = read(tmp_path, form=Form(3, 8), test_share=0, validation_share=0).splits["train"]
        both = np.concatenate([arrays["inputs"], arrays["images"]], axis=3).transpose(0, 2, 3, 1)
        white = Image.new("RGBA", (16, 8), (255, 255, 255, 255))
        flat = Image.alpha_composite(white, Image.fromarray(colours)).convert("RGB")
        assert (both[0] == np.asarray(flat)).all()
        assert (both[1] == np.asarray(Image.open(tmp_path / "1.png").convert("RGB"))).all()


@pytest.mark.usefixtures("few")
class TestSplits:
    def test_stay_when_pairs_come_go_and_are_renamed(self, tmp_path: Path) -> None:
        before = read(write(tmp_path / "one", pairs("A/{}.png", "B/{}.png", range(100))))
        contents = pairs("p/of/{:03}.png", "q/of/{:03}.bmp", range(50, 150))
        after = read(write(tmp_path / "two", contents))
        both = set(range(50, 100))
        for split in SPLITS:
            assert inputs(before, split) & both == inputs(after, split) & both != set()

    def test_stay_when_an_answer_is_edited(self, tmp_path: Path) -> None:
        source = write(tmp_path, pairs("A/{}.png", "B/{}.png", range(40)))
        before = read(source)
        for n in range(40):
            (source / f"B/{n}.png").write_bytes(encoded(pixels(n + ANSWER + 50)))
        after = read(source)
        for split in SPLITS:
            edited = [(one, two + 50) for one, two in numbers(before, split)]
            assert numbers(after, split) == edited != []

    def test_side_by_side_stay_as_well(self, tmp_path: Path) -> None:
        before = read(write(tmp_path / "one", beside("{}.png", range(100))))
        after = read(write(tmp_path / "two", beside("train/{}.png", range(50, 150))))
        both = set(range(50, 100))
        for split in SPLITS:
            assert inputs(before, split) & both == inputs(after, split) & both != set()

    @pytest.mark.parametrize("joined", [False, True])
    def test_share_no_pair(self, place: Lay, joined: bool) -> None:
        """In other files, here: in another format. One input with two answers is two pairs."""
        if joined:
            contents = beside("train/{}.png", range(30)) | beside("test/{}.png", range(40, 50))
            copy = np.hstack([pixels(45), pixels(45 + ANSWER)])
            contents["train/copy.bmp"] = encoded(copy, "BMP")
            contents["train/other.bmp"] = encoded(np.hstack([pixels(45), pixels(999)]), "BMP")
            name = "train/copy.bmp"
        else:
            contents = pairs("train/A/{}.png", "train/B/{}.png", range(30))
            contents |= pairs("test/A/{}.png", "test/B/{}.png", range(40, 50))
            contents |= pairs("train/A/more/{}.bmp", "train/B/more/{}.bmp", range(45, 46))
            contents["train/A/other.bmp"] = encoded(pixels(45), "BMP")
            contents["train/B/other.bmp"] = encoded(pixels(999), "BMP")
            name = "train/A/more/45.bmp"
        report = read(place(contents)).report
        assert report.removed == (name,) and report.splits["test"] == 10
        (group,) = report.duplicates
        assert set(group) == {name, "test/45.png" if joined else "test/A/45.png"}
        assert report.splits["train"] + report.splits["validation"] == 31
        said = "1 pairs are left out, as their copies are in a split that is measured against"
        assert any(warning.startswith(said) for warning in report.warnings)


@pytest.mark.usefixtures("few")
class TestOdd:
    def test_images_without_partner_are_left_out_and_named(self, place: Lay) -> None:
        contents = pairs("train/A/{}.png", "train/B/{}.png", range(50))
        contents |= some("train/A/{}.png", range(60, 61)) | some("train/B/{}.png", range(70, 71))
        # In another split is no partner.
        contents |= some("train/A/{}.png", range(80, 81)) | some("test/B/{}.png", range(80, 81))
        contents |= pairs("test/A/{}.png", "test/B/{}.png", range(90, 99))
        found = read(place(contents), unreadable_share=4 / 63, validation_share=0)
        alone = ("test/B/80.png", "train/A/60.png", "train/A/80.png", "train/B/70.png")
        assert isinstance(found.report, findings.OfPairs)
        assert found.report.alone == alone
        why = "no image of its name in the other folder"
        assert found.report.unreadable == dict.fromkeys(alone, why)
        assert inputs(found, "train") == set(range(50))
        assert inputs(found, "test") == set(range(90, 99))
        assert "inputs: A; answers: B; 4 images without partner" in found.report.lines()

    def test_images_without_partner_count_as_unreadable(self, place: Lay) -> None:
        contents = pairs("A/{}.png", "B/{}.png", range(50)) | some("A/{}.png", range(60, 62))
        line = refusal(place(contents), unreadable_share=0.02)
        assert "2 of 52 pairs cannot be read, more than 2.0%: A/60.png (no image of its" in line

    def test_a_broken_one_of_two_is_named(self, place: Lay) -> None:
        contents = pairs("A/{}.png", "B/{}.png", range(20))
        contents |= {"A/3.png": b"", "B/5.png": contents["B/5.png"][:60], "B/7.png": b"no"}
        Image.fromarray(pixels(9).astype(np.float32)).save(buffer := BytesIO(), "TIFF")
        del contents["B/9.png"]
        contents["B/9.tif"] = buffer.getvalue()
        found = read(place(contents), unreadable_share=0.2, test_share=0, validation_share=0)
        why = found.report.unreadable
        assert why.keys() == {"A/3.png", "A/5.png", "A/7.png", "A/9.png"}
        assert why["A/3.png"] == "an empty file"
        assert why["A/5.png"].startswith("B/5.png: ") and "truncated" in why["A/5.png"]
        assert why["A/7.png"].startswith("B/7.png: not an image")
        assert why["A/9.png"].startswith("B/9.tif: floats")
        assert inputs(found, "train") == {*range(20)} - {3, 5, 7, 9}

    @pytest.mark.parametrize(
        ("size", "fits"), [((30, 20), True), ((15, 10), True), ((61, 41), True), ((20, 20), False)]
    )
    def test_images_of_two_shapes_are_no_pair(
        self, tmp_path: Path, size: tuple[int, int], fits: bool
    ) -> None:
        """Of another size they may be, as when one was halved and its sides rounded."""
        width, height = size
        contents = {f"A/{n}.png": encoded(pixels(n, 20, 30)) for n in range(5)}
        contents |= {f"B/{n}.png": encoded(pixels(n, height, width)) for n in range(5)}
        report = read(write(tmp_path, contents), unreadable_share=0.99 if fits else 1).report
        why = "B/0.png: 20×20 pixels, the input 30×20: not of one shape"
        assert report.unreadable.get("A/0.png") == (None if fits else why)

    def test_inputs_are_of_pairs_alone(self, tmp_path: Path) -> None:
        source = write(tmp_path, some("a/{}.png", range(5)) | some("b/{}.png", range(5, 9)))
        for kind in ("images", "domains"):
            line = refusal(source, kind, inputs="a")
            assert f"inputs: a: only pairs have inputs, and these are {kind}; leave it" in line

    def test_too_few_are_counted_as_pairs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(findings, "FEWEST", {"train": (100, "to train on")})
        source = write(tmp_path, pairs("A/{}.png", "B/{}.png", range(60)))
        line = refusal(source, test_share=0, validation_share=0)
        assert "60 pairs to train on, of 60 that can be read; 100 are the least" in line


class Stopped(BaseException):
    """What nothing but a test raises, or catches."""


@pytest.mark.usefixtures("few")
class TestLongReading:
    @pytest.fixture(autouse=True)
    def small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(decoded, "PART", 40 * 128)
        monkeypatch.setattr(decoded, "TOGETHER", 16)

    @pytest.fixture(params=["folders", "side by side"])
    def source(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        if request.param == "folders":
            contents = pairs("A/{:03}.png", "B/{:03}.png", range(150)) | {"A/x.png": b"x"}
        else:
            contents = beside("{:03}.png", range(150)) | {"x.png": b""}
        return write(tmp_path / "given", contents)

    @pytest.fixture
    def fittings(self, monkeypatch: pytest.MonkeyPatch) -> list[Image.Image]:
        """What was decoded."""
        found: list[Image.Image] = []
        original = decoding.fitted
        monkeypatch.setattr(
            decoding, "fitted", lambda image, form: found.append(image) or original(image, form)
        )
        return found

    def test_gives_the_same_bytes_with_several_processes(
        self, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decoded, "WORTH", 20)
        processes: list[int] = []
        original = decoded.Parallel
        monkeypatch.setattr(
            decoded, "Parallel", lambda n, **how: processes.append(n) or original(n, **how)
        )
        one, two = (read(source, workers=workers) for workers in (1, 2))
        assert processes == [2] and same(one, two) and one.report == two.report
        assert len(one.report.unreadable) == 1

    @pytest.mark.parametrize("changed", ["nothing", "an answer", "which are inputs"])
    def test_goes_on_unless_something_changed(
        self,
        source: Path,
        tmp_path: Path,
        changed: str,
        fittings: list[Image.Image],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cache, settings = tmp_path / "cache", {}
        with monkeypatch.context() as context:
            context.setattr(folder, "_gathered", self.interrupt)
            with pytest.raises(Stopped):
                read(source, cache=cache)
        assert len(fittings) == 300
        fittings.clear()
        joined = not (source / "A").exists()
        if changed == "an answer":
            edited = (
                beside("003.png", range(190, 191)) if joined else {"B/003.png": encoded(pixels(9))}
            )
            write(source, edited)
        elif changed == "which are inputs":
            settings = {"inputs": "right" if joined else "B"}
        found = read(source, cache=cache, **settings)
        assert len(fittings) == (0 if changed == "nothing" else 300)
        assert list(cache.iterdir()) == []
        assert same(found, read(source, **settings))

    def interrupt(self, *arguments: object) -> None:
        raise Stopped

    def test_goes_on_when_it_was_killed(
        self, source: Path, tmp_path: Path, fittings: list[Image.Image]
    ) -> None:
        cache = tmp_path / "cache"
        kept = killed(source, cache, 40 * 128, 180, "pairs")
        assert 2 <= len(kept) < 4
        found = read(source, cache=cache)
        assert 0 < len(fittings) <= 300 - 80 * len(kept)
        assert same(found, read(source))

    def test_tells_how_many_pairs_it_has_read(
        self, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("ganvas.progress.SECONDS_BETWEEN_LINES", 0)
        read(source)
        assert f"reading {source}: 151 of 151 pairs" in capsys.readouterr().err


MEMORY = """
import re, sys
from pathlib import Path
from ganvas.data import decoded, decoding, findings, folder, normalize
findings.FEWEST = {}
def most():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
before, source = most(), Path(sys.argv[1])
settings = dict(seed=0, test_share=0.3, validation_share=0.2, kind="pairs", workers=1)
found = folder.read(source, decoding.Form(3, 256), **settings)
array = sum(a.nbytes for of in found.splits.values() for a in of.values()) / 2**20
assert array > 90
for split, arrays in found.splits.items():
    normalize.write(source.with_name(split + ".safetensors"), arrays)
print(most() - before - array)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_memory_is_little_more_than_the_arrays(tmp_path: Path) -> None:
    """Kept twice, they would take 94 MB more."""
    source = write(tmp_path / "given", beside("{}.png", range(250)))
    told = subprocess.run(
        [sys.executable, "-c", MEMORY, str(source)], capture_output=True, text=True, check=True
    )
    assert float(told.stdout) < 60, "MB"


LAYOUTS = {
    "trainA/{}.png trainB/{}.png testA/{}.png testB/{}.png": ("A", "B"),
    "x/train_A/{}.png x/train_B/{}.png x/test_A/{}.png x/test_B/{}.png": ("A", "B"),
    "train/horse/{}.png train/zebra/{}.png test/horse/{}.png test/zebra/{}.png": (
        "horse",
        "zebra",
    ),
    "horse/train/{}.png zebra/train/{}.png horse/test/{}.png zebra/test/{}.png": (
        "horse",
        "zebra",
    ),
}


@pytest.mark.usefixtures("few")
class TestDomains:
    @pytest.mark.parametrize(("layout", "names"), LAYOUTS.items())
    def test_have_splits_by_their_names(
        self, place: Lay, layout: str, names: tuple[str, str]
    ) -> None:
        ranges = range(20), range(20, 35), range(40, 44), range(50, 53)
        contents: dict[str, bytes] = {}
        for name, of in zip(layout.split(), ranges, strict=True):
            contents |= some(name, of)
        found = read(place(contents), "domains", validation_share=0, test_share=0.9)
        assert found.domains == names and found.classes == ()
        for split, first, second in (("train", *ranges[:2]), ("test", *ranges[2:])):
            arrays = found.splits[split]
            assert arrays.keys() == {"images", "domains"} and arrays["domains"].dtype == np.int64
            known = [KNOWN[image.tobytes()] for image in arrays["images"]]
            assert set(known) == {*first, *second}
            assert arrays["domains"].tolist() == [int(n in second) for n in known]
        assert isinstance(found.report, findings.OfDomains)
        assert found.report.classes == {}
        assert found.report.domains == {
            names[0]: {"train": 20, "validation": 0, "test": 4},
            names[1]: {"train": 15, "validation": 0, "test": 3},
        }
        assert f"2 domains: {names[0]} 24, {names[1]} 18" in found.report.lines()

    def test_without_splits_are_drawn_as_classes_are(self, place: Lay) -> None:
        contents = some("cat/{}.png", range(40)) | some("dog/{}.png", range(40, 90))
        source = place(contents | some("emu/{}.png", range(90, 130)))
        found, classes = read(source, "domains"), read(source, "images")
        assert found.domains == classes.classes == ("cat", "dog", "emu")
        for split in SPLITS:
            ours, theirs = found.splits[split], classes.splits[split]
            assert (ours["images"] == theirs["images"]).all()
            assert (ours["domains"] == theirs["labels"]).all() and len(ours["domains"]) > 10

    def test_folders_of_classes_alone_are_not_taken_for_them(self, tmp_path: Path) -> None:
        """As images they are what they were."""
        contents = some("trainA/{}.png", range(9)) | some("trainB/{}.png", range(9, 18))
        found = read(write(tmp_path, contents), "images")
        assert found.classes == ("trainA", "trainB") and found.domains == ()

    def test_a_domain_may_be_called_like_a_split(self, place: Lay) -> None:
        """Toys, of which some are trains."""
        contents = some("toys/train/{}.png", range(9)) | some("toys/car/{}.png", range(9, 20))
        contents |= some("photos/{}.png", range(20, 30))
        found = read(place(contents), "domains")
        assert found.domains == ("photos", "toys") and sum(found.report.splits.values()) == 30

    @pytest.mark.parametrize("names", ["{}.png", "horse/{}.png", "train/horse/{}.png"])
    def test_that_are_not_two_are_refused(self, place: Lay, names: str) -> None:
        line = refusal(place(some(names, range(9))), "domains")
        assert "all images lie in one folder, and domains are two or more; give a folder" in line

    def test_with_images_beside_them_are_refused(self, place: Lay) -> None:
        contents = some("horse/{}.png", range(9)) | some("zebra/{}.png", range(9, 18))
        line = refusal(place(contents | {"x.png": encoded(pixels(0))}), "domains")
        assert "1 images lie beside the domains' folders (x.png), which are horse, zebra" in line
        assert line.endswith("move them into these")

    def test_with_none_to_train_on_are_refused(self, place: Lay) -> None:
        contents = some("trainA/{}.png", range(9)) | some("testA/{}.png", range(9, 18))
        line = refusal(place(contents | some("testB/{}.png", range(20, 25))), "domains")
        assert "no image to train on in B; give more of this domain" in line

    @pytest.mark.parametrize(("held_out", "refused"), [(19, True), (20, False)])
    def test_with_too_few_to_measure_against_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_out: int, refused: bool
    ) -> None:
        monkeypatch.setattr(findings, "FEWEST", {"test": (30, "to measure against")})
        contents = some("trainA/{}.png", range(30)) | some("trainB/{}.png", range(30, 60))
        contents |= some("testA/{}.png", range(60, 90))
        source = write(tmp_path, contents | some("testB/{}.png", range(90, 90 + held_out)))
        if refused:
            line = refusal(source, "domains")
            assert "19 images of B to measure against; 20 of each domain are the least" in line
        else:
            assert read(source, "domains").report.splits["test"] == 50

    def test_are_warned_of_by_their_name(self, tmp_path: Path) -> None:
        contents = some("trainA/{}.png", range(20)) | some("trainB/{}.png", range(15, 24))
        contents |= some("testA/{}.png", range(30, 40))
        warnings = read(write(tmp_path, contents), "domains", validation_share=0).report.warnings
        assert "5 images are in several domains at once" in warnings
        assert "domains with fewer than 10 images to train on: B" in warnings
        assert "domains without a test image: B" in warnings

    def test_go_on_when_they_were_read_as_classes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was decoded is the same."""
        contents = some("a/{}.png", range(60)) | some("b/{}.png", range(60, 99))
        source, cache = write(tmp_path / "given", contents), tmp_path / "cache"
        whole = read(source, "domains")
        with monkeypatch.context() as context:
            context.setattr(folder, "_gathered", TestLongReading().interrupt)
            with pytest.raises(Stopped):
                read(source, "images", cache=cache)
        monkeypatch.setattr(decoding, "fitted", None)
        assert same(read(source, "domains", cache=cache), whole)


@pytest.mark.usefixtures("few")
class TestArrays:
    INPUTS = np.stack([pixels(n) for n in range(40)])
    ANSWERS = np.stack([pixels(n + ANSWER) for n in range(40)])

    def save(self, path: Path, **arrays: np.ndarray) -> Path:
        np.savez(path / "given.npz", **arrays)  # type: ignore[arg-type]
        return path / "given.npz"

    def test_of_inputs_and_images_are_pairs(self, tmp_path: Path) -> None:
        source = self.save(tmp_path, images=self.ANSWERS, inputs=self.INPUTS)
        found, turned = read(source), read(source, inputs="images")
        assert set.union(*(inputs(found, split) for split in SPLITS)) == set(range(40))
        both = [pair for split in SPLITS for pair in numbers(turned, split)]
        assert sorted(both) == [(n + ANSWER, n) for n in range(40)]

    def test_may_be_of_splits(self, tmp_path: Path) -> None:
        source = self.save(
            tmp_path,
            train_images=self.ANSWERS[:30],
            train_input_images=self.INPUTS[:30],
            test_inputs=self.INPUTS[30:],
            test_images=self.ANSWERS[30:],
        )
        found = read(source, validation_share=0)
        assert inputs(found, "train") == set(range(30))
        assert inputs(found, "test") == set(range(30, 40))

    def test_of_images_alone_hold_pairs_side_by_side(self, tmp_path: Path) -> None:
        source = self.save(tmp_path, images=np.concatenate([self.INPUTS, self.ANSWERS], 2))
        found = read(source)
        assert set.union(*(inputs(found, split) for split in SPLITS)) == set(range(40))

    def test_in_colour_stay_in_colour(self, tmp_path: Path) -> None:
        colour = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
        source = self.save(tmp_path, images=colour, inputs=self.INPUTS[:9])
        found = read(source, form=Form(3, 8), test_share=0, validation_share=0)
        arrays = found.splits["train"]
        assert (arrays["images"] == colour.transpose(0, 3, 1, 2)).all()
        assert (arrays["inputs"] == self.INPUTS[:9, None]).all()

    def test_of_images_and_domains_are_domains(self, tmp_path: Path) -> None:
        of = np.arange(40) % 3 + 7
        source = self.save(tmp_path, images=self.INPUTS, domains=of, labels=of * 0)
        found = read(source, "domains")
        assert found.domains == ("7", "8", "9")
        for split in SPLITS:
            arrays = found.splits[split]
            known = [KNOWN[image.tobytes()] for image in arrays["images"]]
            assert arrays["domains"].tolist() == [n % 3 for n in known] != []

    @pytest.mark.parametrize(
        ("kind", "arrays", "said"),
        [
            ("pairs", {"inputs": INPUTS, "other": ANSWERS}, "holds inputs, other; name the images"),
            ("pairs", {"inputs": INPUTS[1:], "images": ANSWERS}, "inputs of images: 39; give as"),
            (
                "pairs",
                {"x_train": ANSWERS, "inputs_train": INPUTS, "x_test": ANSWERS},
                "inputs of x_test: none; give as many as there are answers, 40",
            ),
            (
                "pairs",
                {"x_train": ANSWERS, "inputs_train": INPUTS, "inputs_test": INPUTS},
                "inputs_test: inputs without answers",
            ),
            ("pairs", {"inputs": INPUTS / 255, "images": ANSWERS}, "inputs: float64 .* give uint8"),
            ("domains", {"images": INPUTS}, "0 domains, where there must be two or more; give an"),
            ("domains", {"images": INPUTS, "domains": np.zeros(40, int)}, "1 domains, where"),
            ("domains", {"images": INPUTS, "domains": np.zeros(9, int)}, r"domains of images: int"),
        ],
    )
    def test_that_are_neither_are_refused(
        self, tmp_path: Path, kind: str, arrays: dict[str, np.ndarray], said: str
    ) -> None:
        line = refusal(self.save(tmp_path, **arrays), kind)
        assert re.search(said, line) and "without classes" not in line

    def test_have_no_side(self, tmp_path: Path) -> None:
        source = self.save(tmp_path, images=self.ANSWERS, inputs=self.INPUTS)
        assert "inputs: left: here are arrays of inputs and of images" in refusal(
            source, inputs="left"
        )

    @pytest.mark.parametrize("kind", ["pairs", "domains"])
    @pytest.mark.parametrize("inside", [False, True])
    def test_in_idx_files_are_refused(self, tmp_path: Path, kind: str, inside: bool) -> None:
        name = "train-images-idx3-ubyte"
        write(tmp_path / "given", {name: b"\0\0\x08\x03" + bytes(12)})
        line = refusal(tmp_path / "given" if inside else tmp_path / "given" / name, kind)
        assert f"IDX files hold images and classes, no {kind}; give image files, or" in line


@pytest.mark.usefixtures("few")
class TestReport:
    def test_of_pairs(self, tmp_path: Path) -> None:
        contents = pairs("A/{}.png", "B/{}.png", range(20)) | some("B/{}.png", range(30, 31))
        settings = {"unreadable_share": 0.1, "test_share": 0, "validation_share": 0}
        report = read(write(tmp_path, contents), **settings).report
        assert report.lines()[:4] == [
            f"{tmp_path}: 20 of 21 pairs read: PNG 20; L 20; 8×8 pixels",
            "splits: train 20, validation 0, test 0",
            "inputs: A; answers: B; 1 images without partner",
            "warning: 1 pairs cannot be read and are left out: B/30.png (no image of its name in "
            "the other folder)",
        ]
        written = json.loads(json.dumps(dataclasses.asdict(report)))
        assert written["alone"] == ["B/30.png"] and written["inputs"] == "A"

    def test_of_pairs_side_by_side(self, tmp_path: Path) -> None:
        report = read(write(tmp_path, beside("{}.png", range(20))), inputs="right").report
        assert "inputs: right; answers: left; 0 images without partner" in report.lines()

    def test_of_images_says_nothing_new(self, tmp_path: Path) -> None:
        """A data set that was read before is not read anew for the sake of others."""
        report = read(write(tmp_path, some("{}.png", range(20))), "images").report
        assert [*dataclasses.asdict(report)] == [
            *("source", "files", "unreadable", "others", "outside", "formats", "modes", "sizes"),
            *("smallest", "largest", "enlarged", "duplicates", "removed", "splits", "classes"),
            "warnings",
        ]


@pytest.mark.usefixtures("few")
class TestRealZip:
    def test_two_classes_of_cifar_are_domains(self, mirror: Path, tmp_path: Path) -> None:
        """In CycleGAN's layout; against the labels of the same images."""
        if not (mirror / "cifar10-part.zip").is_file():
            pytest.skip(f"NOT TESTED: {mirror} has no cifar10-part.zip")
        with zipfile.ZipFile(mirror / "cifar10-part.zip") as file:
            given = {
                name.split("/", 1)[1]: file.read(name)
                for name in file.namelist()
                if ("/horse/" in name or "/ship/" in name) and name[-5] in "05"
            }
        called = [("/horse/", "A/"), ("/ship/", "B/")]
        renamed = dict(given)
        for old, new in called:
            renamed = {name.replace(old, new): content for name, content in renamed.items()}
        theirs = archive(tmp_path / "classes.zip", given)
        ours = archive(tmp_path / "domains.zip", renamed)
        settings = {"form": Form(3, 32), "validation_share": 0.1}
        found, classes = read(ours, "domains", **settings), read(theirs, "images", **settings)
        assert found.domains == ("A", "B") and classes.classes == ("horse", "ship")
        assert isinstance(found.report, findings.OfDomains)
        assert [of["test"] for of in found.report.domains.values()] == [20, 20]
        assert [sum(of.values()) for of in found.report.domains.values()] == [120, 120]
        for split in SPLITS:
            ours_, theirs_ = found.splits[split], classes.splits[split]
            order = np.argsort(theirs_["labels"], kind="stable")
            assert (ours_["images"] == theirs_["images"][order]).all()
            assert (ours_["domains"] == theirs_["labels"][order]).all()
            assert set(ours_["domains"].tolist()) == {0, 1}
