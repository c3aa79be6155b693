"""Inputs and dresses are what they are said to be, to the byte, and every answer is found."""

import hashlib
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from ganvas.data import folder, made, normalize, questions
from ganvas.data.form import Form
from ganvas.errors import GanvasError

SIZES = [(28, 28), (32, 32), (64, 64), (27, 27), (33, 33), (5, 5), (1, 1)]
CHANNELS = {"edges": (1, 3), "thick": (1,), "grey": (3,), "surroundings": (1, 3)}
EVERY = [*made.DRESSES]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Images that nothing may be written into."""
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    images.setflags(write=False)
    return images


def image(*rows: list[int]) -> np.ndarray:
    return np.array([[rows]], np.uint8)


def drawn(*rows: str) -> np.ndarray:
    """One image: white where a row has an x."""
    return image(*([255 * (at == "x") for at in row] for row in rows))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> normalize.Splits:
    raw = tmp_path_factory.mktemp("digits")
    normalize.export_digits(raw / normalize.DIGITS)
    return normalize.splits("digits", raw, image_size=28, validation_images=200)


@pytest.mark.parametrize("name", made.PAIRS)
class TestPairs:
    @pytest.mark.parametrize("size", [*SIZES, (28, 33)])
    def test_inputs_have_the_size_of_their_answers(self, name: str, size: tuple[int, int]) -> None:
        for channels in CHANNELS[name]:
            images = noise(3, channels, *size)
            inputs, answers = made.PAIRS[name](images)
            assert inputs.shape == (3, channels if name == "surroundings" else 1, *size)
            assert inputs.dtype == answers.dtype == np.uint8
            assert answers.shape == images.shape
            assert not np.shares_memory(inputs, images)
            if name != "thick":
                assert (answers == images).all()

    def test_an_image_has_the_same_input_whatever_others_there_are(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images = noise(7, CHANNELS[name][0], 9, 9)
        together = made.PAIRS[name](images)
        monkeypatch.setattr(made, "PART", 3)
        in_parts = made.PAIRS[name](images)
        alone = [made.PAIRS[name](images[row : row + 1]) for row in range(7)]
        for side in range(2):
            assert (together[side] == in_parts[side]).all()
            assert (together[side] == np.concatenate([one[side] for one in alone])).all()

    def test_no_images_have_no_inputs(self, name: str) -> None:
        inputs, answers = made.PAIRS[name](noise(0, CHANNELS[name][-1], 8, 8))
        assert len(inputs) == len(answers) == 0

    @pytest.mark.parametrize(
        "images",
        [
            np.zeros((2, 2, 8, 8), np.uint8),
            np.zeros((2, 8, 8), np.uint8),
            np.zeros((2, 8, 8, 3), np.uint8),
            np.zeros((2, 1, 8, 8), np.float32),
            np.zeros((2, 3, 8, 8), np.int64),
        ],
    )
    def test_other_images_are_refused(self, name: str, images: np.ndarray) -> None:
        with pytest.raises(GanvasError, match=rf"{name}: images .*; give uint8 \(N, ") as told:
            made.PAIRS[name](images)
        assert "\n" not in str(told.value)

    def test_the_number_of_channels_is_that_of_the_task(self, name: str) -> None:
        for channels in {1, 3} - {*CHANNELS[name]}:
            with pytest.raises(GanvasError, match=name):
                made.PAIRS[name](noise(2, channels, 8, 8))


# Of inputs and answers, in colour where that is taken: the same on every processor.
DIGESTS = {
    "edges": "6a1ad6fbe6c15912",
    "thick": "6f30ee06168cbf2b",
    "grey": "082c7ea608f706f4",
    "surroundings": "200a85dc6a285a54",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_the_bytes_are_these(name: str) -> None:
    # A smooth picture of many slopes and of more than one part: no random numbers to change.
    row, column = np.mgrid[:28, :28]
    waves = [
        (row * column * k + row**2 + 7 * k * column) // 4 % 256 for k in range(3 * (made.PART + 1))
    ]
    images = np.array(waves, np.uint8).reshape(-1, 3, 28, 28)[:, -CHANNELS[name][-1] :]
    pair = made.PAIRS[name](images)
    digest = hashlib.sha256(b"".join(side.tobytes() for side in pair)).hexdigest()
    assert digest[:16] == DIGESTS[name]


class TestEdges:
    def inputs(self, images: np.ndarray) -> np.ndarray:
        return made.edges(images)[0]

    def test_a_step_is_one_line(self) -> None:
        line = drawn(*["..x..."] * 4)
        right = image(*[[0, 0, 0, 255, 255, 255]] * 4)
        # Columns 2 and 3 have the same gradient, 4 × 255; the left one is the line.
        assert (self.inputs(right) == line).all()
        assert (self.inputs(255 - right) == line).all()
        assert (self.inputs(right.swapaxes(2, 3)) == line.swapaxes(2, 3)).all()

    def test_a_step_of_32_is_seen_and_of_31_is_not(self) -> None:
        assert (self.inputs(image(*[[100, 100, 132, 132]] * 3)) == drawn(*[".x.."] * 3)).all()
        assert not self.inputs(image(*[[100, 100, 131, 131]] * 3)).any()

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("light", [False, True])
    def test_a_diagonal_is_a_staircase(self, mirrored: bool, light: bool) -> None:
        """With d = column − row, white where d > 0: the squared gradient over 255² is 18 where d is
        0 or 1, 2 where it is −1 or 2, else 0. Across lie d + 2 and d − 2: 0 and 1 are lines."""
        row, column = np.mgrid[:9, :9]
        images = np.uint8(255) * (column > row)[None, None]
        lines = np.uint8(255) * ((column - row) // 2 == 0)[None, None]
        if light:
            images = 255 - images
        if mirrored:
            images, lines = images[..., ::-1], lines[..., ::-1]
        # At the rim the gradient is another.
        assert (self.inputs(images)[..., 1:-1, 1:-1] == lines[..., 1:-1, 1:-1]).all()

    def test_the_rim_is_no_edge(self) -> None:
        assert not self.inputs(np.full((1, 1, 8, 8), 255, np.uint8)).any()
        assert self.inputs(np.full((1, 1, 8, 8), 255, np.uint8)).shape == (1, 1, 8, 8)

    def test_against_sobel_and_angles_in_floats(self) -> None:
        """Every line is a maximum along the nearest of four ways, unless two are as near."""
        images = noise(6, 1, 24, 24)
        lines, seen = self.inputs(images), 0
        for pixels, line in zip(images[:, 0].astype(float), lines[:, 0], strict=True):
            down = ndimage.sobel(pixels, 0, mode="nearest")
            across = ndimage.sobel(pixels, 1, mode="nearest")
            size = np.pad(np.hypot(across, down), 1)
            for row, column in np.ndindex(24, 24):
                turn = np.degrees(np.arctan2(down[row, column], across[row, column])) / 45
                if abs(abs(turn - round(turn)) - 0.5) < 0.03:  # 22.5 degrees are 21.8 there
                    continue
                y, x = [(0, 1), (1, 1), (1, 0), (1, -1)][round(turn) % 4]
                here = size[row + 1, column + 1]
                sides = size[row + 1 + y, column + 1 + x], size[row + 1 - y, column + 1 - x]
                if np.isclose(here, sides).any() or np.isclose(here, 128):
                    continue
                assert (line[row, column] == 255) == (here > max(*sides, 128)), (row, column)
                seen += 1
        assert seen > 3000

    def test_of_colour_the_luma_is_taken(self) -> None:
        images = noise(2, 3, 16, 16)
        assert (self.inputs(images) == self.inputs(made.grey(images)[0])).all()

    def test_lines_are_black_or_white_and_few(self, digits: normalize.Splits) -> None:
        lines = self.inputs(digits["test"]["images"])
        assert set(np.unique(lines)) == {0, 255}
        assert 0.05 < (lines == 255).mean() < 0.25


def guo_hall(stroke: np.ndarray) -> np.ndarray:
    """Algorithm A1 pixel by pixel, named as in the paper: p[2] is above, then clockwise."""
    stroke = np.pad(stroke, 1)
    around = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    while True:
        taken = 0
        for odd in (True, False):
            gone = []
            for row, column in np.argwhere(stroke):
                p = [0, 0, *(int(stroke[row + y, column + x]) for y, x in around)]
                turns = p[2:] + p[2:3]
                # Of a way around that begins at a side: from empty side to what comes after it.
                distinct = sum(
                    not turns[at] and bool(turns[at + 1] or turns[(at + 2) % 8])
                    for at in (0, 2, 4, 6)
                )
                ones = sum(p[a] or p[b] for a, b in ((9, 2), (3, 4), (5, 6), (7, 8)))
                twos = sum(p[a] or p[b] for a, b in ((2, 3), (4, 5), (6, 7), (8, 9)))
                if odd:
                    side = (p[2] or p[3] or not p[5]) and p[4]
                else:
                    side = (p[6] or p[7] or not p[9]) and p[8]
                if distinct == 1 and 2 <= min(ones, twos) <= 3 and not side:
                    gone.append((row, column))
            for at in gone:
                stroke[at] = False
            taken += len(gone)
        if not taken:
            return stroke[1:-1, 1:-1]


class TestThick:
    def test_strokes_of_one_pixel_stay(self) -> None:
        thin = drawn(
            "........",
            ".x......",
            "..x.....",
            "...xxxx.",
            "........",
            ".x......",
        )
        assert (made.thick(thin)[0] == thin).all()

    def test_a_bar_becomes_its_middle(self) -> None:
        bar = np.zeros((1, 1, 7, 15), np.uint8)
        bar[..., 2:5, 1:14] = 200
        skeleton = made.thick(bar)[0][0, 0]
        assert np.flatnonzero(skeleton.any(axis=1)).tolist() == [3]
        columns = np.flatnonzero(skeleton[3])
        assert len(columns) >= 11 and {b - a for a, b in pairwise(columns)} == {1}
        assert set(np.unique(skeleton)) == {0, 255}

    def test_a_stroke_begins_at_128(self) -> None:
        inputs, _ = made.thick(image([0, 0, 0, 0, 0], [0, 127, 0, 128, 0], [0, 0, 0, 0, 0]))
        assert inputs[0, 0].tolist() == [[0] * 5, [0, 0, 0, 255, 0], [0] * 5]

    def test_against_the_algorithm_pixel_by_pixel(self, digits: normalize.Splits) -> None:
        for images in (digits["test"]["images"][:20], noise(5, 1, 20, 20), noise(5, 1, 7, 12)):
            for given, made_of in zip(images, made.thick(images)[0], strict=True):
                assert (guo_hall(given[0] >= 128) == (made_of[0] == 255)).all()

    def test_the_skeleton_has_as_many_pieces_and_holes(self, digits: normalize.Splits) -> None:
        images = digits["test"]["images"]
        skeletons = made.thick(images)[0]
        assert 3 * np.count_nonzero(skeletons) < np.count_nonzero(images >= 128)
        for image_, skeleton in zip(images[:, 0] >= 128, skeletons[:, 0] == 255, strict=True):
            assert not (skeleton & ~image_).any()
            pieces = [ndimage.label(at, np.ones((3, 3)))[1] for at in (image_, skeleton)]
            holes = [
                ndimage.label(np.pad(~at, 1, constant_values=1))[1] for at in (image_, skeleton)
            ]
            assert pieces[0] == pieces[1] and holes[0] == holes[1]

    def test_the_answer_is_a_pixel_wider_on_every_side(self) -> None:
        _, answers = made.thick(image([0, 0, 0, 0], [0, 9, 0, 0], [0, 0, 0, 200], [0, 0, 0, 0]))
        assert answers[0, 0].tolist() == [
            [0, 9, 0, 0],
            [9, 9, 9, 200],
            [0, 9, 200, 200],
            [0, 0, 0, 200],
        ]

    def test_the_answer_is_scipys(self) -> None:
        images = noise(4, 1, 15, 20)
        cross = ndimage.generate_binary_structure(2, 1)[None, None]
        expected = ndimage.grey_dilation(images, footprint=cross, mode="constant")
        assert (made.thick(images)[1] == expected).all()


class TestGrey:
    def test_by_hand(self) -> None:
        # 0.299, 0.587 and 0.114 of 255 are 76.245, 149.685 and 29.07.
        pixels = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [77, 77, 77]]
        images = np.array(pixels, np.uint8).T[None, :, None]
        assert made.grey(images)[0].tolist() == [[[[76, 150, 29, 255, 0, 77]]]]

    def test_is_pillows(self) -> None:
        images = noise(40, 3, 64, 64)
        for given, luma in zip(images, made.grey(images)[0], strict=True):
            theirs = Image.fromarray(given.transpose(1, 2, 0)).convert("L")
            assert (luma[0] == np.asarray(theirs)).all()

    def test_is_what_reading_in_grey_gives(self, mirror: Path, tmp_path: Path) -> None:
        if not (mirror / "cifar10-part.zip").is_file():
            pytest.skip(f"NOT TESTED: {mirror} has no cifar10-part.zip")
        with zipfile.ZipFile(mirror / "cifar10-part.zip") as file:
            file.extractall(tmp_path, [name for name in file.namelist() if name[-5] == "7"])
        colour, grey = (
            folder.read(
                tmp_path, Form(c, 32), seed=0, test_share=0.2, validation_share=0.2, workers=1
            )
            for c in (3, 1)
        )
        for split, arrays in colour.splits.items():
            assert len(arrays["images"]) > 0
            inputs, _ = made.grey(arrays["images"])
            assert (inputs == grey.splits[split]["images"]).all()


class TestSurroundings:
    @pytest.mark.parametrize(
        "side, first, last", [(28, 7, 20), (32, 8, 23), (64, 16, 47), (33, 8, 23), (27, 7, 19)]
    )
    def test_the_middle_is_blank_and_nothing_else(self, side: int, first: int, last: int) -> None:
        images = noise(2, 3, side, side)
        inputs, _ = made.surroundings(images)
        middle = np.s_[:, :, first : last + 1, first : last + 1]
        assert (inputs[middle] == 128).all()
        inputs[middle] = images[middle]
        assert (inputs == images).all()

    def test_by_hand(self) -> None:
        inputs, answers = made.surroundings(image([1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]))
        assert inputs[0, 0].tolist() == [[1, 2, 3, 4], [5, 128, 128, 8], [9, 10, 11, 12]]
        assert answers[0, 0, 1].tolist() == [5, 6, 7, 8]


class TestDresses:
    def test_by_hand(self) -> None:
        images = image([0, 1], [254, 255])
        assert made.plain(images).tolist() == [[[[0, 1], [254, 255]]]]
        assert made.inverted(images).tolist() == [[[[255, 254], [1, 0]]]]
        assert made.rotated(images).tolist() == [[[[1, 255], [0, 254]]]]
        # Green 220 × 1 / 255 = 0.86; blue 96 − 32 × 1 / 255 = 95.87.
        red, green, blue = made.coloured(images)[0].tolist()
        assert red == [[0, 1], [254, 255]]
        assert green == [[0, 1], [219, 220]]
        assert blue == [[96, 96], [64, 64]]

    @pytest.mark.parametrize("dress", made.DRESSES)
    @pytest.mark.parametrize("size", SIZES)
    def test_an_array_of_its_own(self, dress: str, size: tuple[int, int]) -> None:
        images = noise(3, 1, *size)
        dressed = made.DRESSES[dress](images)
        assert dressed.shape == (3, 3 if dress == "coloured" else 1, *size)
        assert dressed.dtype == np.uint8 and dressed.flags.c_contiguous
        assert not np.shares_memory(dressed, images)

    def test_nothing_is_lost(self) -> None:
        images = noise(3, 1, 28, 28)
        assert (made.inverted(made.inverted(images)) == images).all()
        assert (made.coloured(images)[:, :1] == images).all()
        turned = images
        for _ in range(4):
            turned = made.rotated(turned)
        assert (turned == images).all() and (made.rotated(images) != images).any()

    @pytest.mark.parametrize("dress", made.DRESSES)
    def test_other_images_are_refused(self, dress: str) -> None:
        for images in (noise(2, 3, 8, 8), noise(2, 8, 8), np.zeros((2, 1, 8, 8))):
            with pytest.raises(GanvasError, match=rf"{dress}: images .*\(N, 1, H, W\)"):
                made.DRESSES[dress](images)

    def test_outlines_by_hand(self) -> None:
        """Beyond the rim is black, of which a bright rim has an outline too."""
        images = image([9, 9, 9], [9, 9, 9], [9, 9, 20])
        assert made.outlined(images)[0, 0].tolist() == [[9, 9, 9], [9, 0, 20], [9, 20, 20]]

    def test_outlines_are_scipys(self) -> None:
        images = noise(4, 1, 15, 20)
        cross = ndimage.generate_binary_structure(2, 1)[None, None]
        expected = ndimage.morphological_gradient(images, footprint=cross, mode="constant")
        assert (made.outlined(images) == expected).all()

    def test_what_is_not_square_is_not_turned(self) -> None:
        with pytest.raises(GanvasError, match="as many rows as columns"):
            made.rotated(noise(2, 1, 8, 9))


class TestDomains:
    @pytest.mark.parametrize("dresses, channels", [(EVERY, 3), (["rotated", "inverted"], 1)])
    def test_shapes(self, digits: normalize.Splits, dresses: list[str], channels: int) -> None:
        for split, arrays in made.domains(digits, dresses, 0).items():
            sources = len(digits[split]["images"])
            count = sources if split == "train" else sources * len(dresses)
            assert arrays["images"].shape == (count, channels, 28, 28)
            assert arrays["images"].dtype == np.uint8
            assert {*arrays} == {"images", "labels", "domains", "sources"}
            for name in ("labels", "domains", "sources"):
                assert (arrays[name].shape, arrays[name].dtype) == ((count,), np.int64)

    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_each_is_its_source_in_the_dress_of_its_domain(
        self, digits: normalize.Splits, split: str
    ) -> None:
        arrays = made.domains(digits, ["coloured", "inverted", "plain"], 3)[split]
        dresses = [made.coloured, made.inverted, made.plain]
        for row in range(0, len(arrays["images"]), 7):
            source = arrays["sources"][row]
            expected = dresses[arrays["domains"][row]](digits[split]["images"][source : source + 1])
            assert (arrays["images"][row] == expected[0]).all()
            assert arrays["labels"][row] == digits[split]["labels"][source]

    def test_in_train_each_source_is_in_one_domain(self, digits: normalize.Splits) -> None:
        train = made.domains(digits, EVERY, 0)["train"]
        assert sorted(train["sources"]) == [*range(1097)]
        assert set(train["domains"]) == set(range(len(EVERY)))

    def test_elsewhere_each_source_is_in_every_domain(self, digits: normalize.Splits) -> None:
        for split, sources in (("validation", 200), ("test", 500)):
            arrays = made.domains(digits, EVERY, 0)[split]
            found = sorted(zip(arrays["sources"], arrays["domains"], strict=True))
            every = [*range(len(EVERY))]
            assert found == [(source, domain) for source in range(sources) for domain in every]
            # So that the first rows of a split have all domains.
            assert arrays["domains"][: len(every)].tolist() == every

    def test_the_draw_by_hand(self) -> None:
        """printf '7/domain/\\x00' | sha256sum, its first 16 digits modulo 3; and so on."""
        images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
        train = made.domains({"train": {"images": images}}, EVERY[:3], seed=7)["train"]
        assert train["domains"].tolist() == [0, 1, 2, 0, 1, 1, 0, 0]
        assert "labels" not in train

    def test_the_draw_is_even(self) -> None:
        splits = {"train": {"images": noise(4000, 1, 4, 4)}}
        counts = np.bincount(made.domains(splits, EVERY, 0)["train"]["domains"])
        # 800 ± 25 each; four deviations.
        assert len(counts) == len(EVERY) == 5 and abs(counts - 800).max() < 102

    def test_a_source_keeps_its_domain_when_others_come_or_go(self) -> None:
        images = noise(100, 1, 8, 8)

        def drawn_of(images: np.ndarray, seed: int = 0) -> list[int]:
            splits = {"train": {"images": images}}
            domains: list[int] = made.domains(splits, EVERY, seed)["train"]["domains"].tolist()
            return domains

        whole = drawn_of(images)
        assert drawn_of(images[30:]) == whole[30:]
        assert drawn_of(images[::-1]) == whole[::-1]
        assert drawn_of(np.concatenate([images, images])) == whole + whole, "copies are together"
        assert drawn_of(images, seed=1) != whole

    def test_the_same_seed_gives_the_same_bytes(self, digits: normalize.Splits) -> None:
        first, second, other = (made.domains(digits, EVERY, seed) for seed in (0, 0, 1))
        for split in digits:
            for name, values in first[split].items():
                assert (values == second[split][name]).all()
        assert (first["train"]["images"] != other["train"]["images"]).any()
        assert (first["test"]["images"] == other["test"]["images"]).all()

    def test_what_is_given_stays_as_it_was(self, digits: normalize.Splits) -> None:
        before = {split: arrays["images"].copy() for split, arrays in digits.items()}
        made_of = made.domains(digits, EVERY, 0)
        for split, arrays in made_of.items():
            arrays["images"][:] = 0
            arrays["labels"][:] = 0
            assert (digits[split]["images"] == before[split]).all()
            assert digits[split]["labels"].any()
            assert {*digits[split]} == {"images", "labels"}

    @pytest.mark.parametrize(
        "dresses", [["plain"], [], ["plain", "plain"], ["plain", "striped"], "plain"]
    )
    def test_two_or_more_dresses_that_there_are(self, dresses: list[str]) -> None:
        with pytest.raises(GanvasError, match="give two or more of plain, inverted, coloured"):
            made.domains({"train": {"images": noise(2, 1, 8, 8)}}, dresses, 0)

    def test_colour_is_refused(self) -> None:
        with pytest.raises(GanvasError, match="inverted: images"):
            made.domains({"train": {"images": noise(2, 3, 8, 8)}}, ["inverted", "plain"], 0)


class TestAnswer:
    @pytest.mark.parametrize("split", ["validation", "test"])
    def test_is_the_same_source_in_the_other_dress(
        self, digits: normalize.Splits, split: str
    ) -> None:
        arrays = made.domains(digits, EVERY, 0)[split]
        for target, dress in enumerate(made.DRESSES.values()):
            rows = questions.answer(arrays["sources"], arrays["domains"], target)
            expected = dress(digits[split]["images"])[arrays["sources"]]
            assert (arrays["images"][rows] == expected).all()
            assert (arrays["labels"][rows] == arrays["labels"]).all()

    def test_by_hand(self) -> None:
        sources, domains = np.array([4, 2, 4, 2]), np.array([1, 0, 0, 1])
        assert questions.answer(sources, domains, 0).tolist() == [2, 1, 2, 1]
        assert questions.answer(sources, domains, 1).tolist() == [0, 3, 0, 3]
        assert questions.answer(sources, domains, 1 - domains).tolist() == [2, 3, 0, 1]
        assert questions.answer(sources, domains, domains).tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize("target", [-1, 2, np.array([0, 1, 0, -1])])
    def test_a_domain_that_there_is_not(self, target: int | np.ndarray) -> None:
        with pytest.raises(GanvasError, match=r"answer: .* of 4 sources .*validation or test"):
            questions.answer(np.array([4, 2, 4, 2]), np.array([1, 0, 0, 1]), target)

    def test_in_train_there_is_none(self, digits: normalize.Splits) -> None:
        train = made.domains(digits, EVERY, 0)["train"]
        missing = (train["domains"] != 2).sum()
        with pytest.raises(GanvasError, match=f"answer: {missing} of 1,097 sources"):
            questions.answer(train["sources"], train["domains"], 2)
