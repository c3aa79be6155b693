"""README's pictures, the words around them, and the place where they are written."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas import pictures
from ganvas.errors import GanvasError
from ganvas.reporting import scoreboard, showcase


def test_the_words_of_both_languages_are_the_same_ones() -> None:
    assert showcase.WORDS["en"].keys() == showcase.WORDS["vi"].keys()
    for key, words in showcase.WORDS["en"].items():
        fields = [set(re.findall(r"{\w+}", text[key])) for text in showcase.WORDS.values()]
        assert fields[0] == fields[1], words
    assert showcase.TITLES_OF_MEASURES["vi"].keys() == scoreboard.MEASURES.keys()


def progress(folder: Path, shades: Mapping[str, Mapping[int, int]]) -> Image.Image:
    """The sheet of pictures that are of one grey each: by model, the iterations' shades."""
    for model, of_iteration in shades.items():
        for iteration, shade in of_iteration.items():
            images = np.full((25, 28, 28), shade, np.uint8)
            path = folder / model / f"iteration-{iteration:07}.png"
            pictures.save_png(path, pictures.grid(images, 5, scale=2))
    return showcase.progress({model: folder / model for model in shades})


SIDE = 5 * 30 + 2  # of a progress picture at half its size, pixels
ACROSS, DOWN = SIDE + showcase.GAP, SIDE + showcase.CAPTION + showcase.GAP


def seen(sheet: Image.Image) -> Sequence[Sequence[int]]:
    """The shade in each cell: 255 where there is no picture."""
    assert sheet.size == (4 * ACROSS - showcase.GAP, 2 * DOWN - showcase.GAP)
    return [
        [sheet.getpixel((x * ACROSS + 10, y * DOWN + showcase.CAPTION + 10)) for x in range(4)]
        for y in range(2)
    ]


def test_progress_shows_each_models_pictures_and_where_it_ended(tmp_path: Path) -> None:
    gan, dcgan = {1_000: 60, 10_000: 70, 20_000: 80, 25_000: 90}, {1_000: 110, 12_000: 120}
    sheet = progress(tmp_path, {"gan": gan, "dcgan": dcgan})
    # dcgan has no picture of 10,000, and ended before 20,000.
    assert seen(sheet) == [[60, 70, 80, 90], [110, 255, 255, 120]]
    words = np.asarray(sheet)[DOWN + showcase.CAPTION :, ACROSS:]
    for column in (0, 1):  # says so in their place
        assert words[:, column * ACROSS : column * ACROSS + SIDE].min() < 128


def test_progress_of_short_trainings_starts_early(tmp_path: Path) -> None:
    gan, dcgan = {100: 10, 300: 20, 1_000: 30, 3_000: 40, 9_999: 50}, {100: 60, 300: 70, 816: 80}
    sheet = progress(tmp_path, {"gan": gan, "dcgan": dcgan})
    assert seen(sheet) == [[10, 20, 30, 50], [60, 70, 255, 80]]


def test_samples_are_the_first_ones_side_by_side() -> None:
    images = {m: np.full((60, 28, 28), shade, np.uint8) for m, shade in (("a", 9), ("b", 200))}
    images["a"][50:] = 77
    sheet = np.asarray(showcase.samples(images))
    assert sheet[40, 40] == 9 and sheet[40, -40] == 200
    assert 77 not in sheet[showcase.CAPTION :]
    assert isinstance(showcase.samples(images), Image.Image)


@pytest.mark.parametrize("text", ["", "<!-- results -->", "<!-- /results --> <!-- results -->"])
def test_a_page_without_marks_is_refused(text: str) -> None:
    with pytest.raises(GanvasError, match=r"page\.md: needs a line <!-- results -->"):
        showcase.replaced(text, "block", "page.md")


def test_what_stands_outside_the_marks_stays() -> None:
    text = "before\n<!-- results -->\nold\n<!-- /results -->\nafter\n"
    assert showcase.replaced(text, "new", "page.md") == text.replace("old", "new")
