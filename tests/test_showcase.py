"""The pages' pictures, the words around them, and the place where they are written."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
            pictures.save_png(path, pictures.grid(images, 5))
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


def test_many_models_stand_in_rows_of_two() -> None:
    shades = {f"model_{index}": 20 + 20 * index for index in range(10)}
    images = {model: np.full((50, 28, 28), shade, np.uint8) for model, shade in shades.items()}
    sheet = np.asarray(showcase.samples(images))
    assert sheet.shape[1] == np.asarray(showcase.samples(dict([*images.items()][:2]))).shape[1]
    below = (sheet.shape[0] + showcase.GAP) // 5
    seen = [sheet[row * below + 60, x] for row in range(5) for x in (40, -40)]
    assert seen == [*shades.values()]


def test_of_larger_pictures_of_a_row_a_class_whole_images_of_the_corner_are_shown(
    tmp_path: Path,
) -> None:
    for model, (side, shade) in {"gan": (5, 60), "cgan": (10, 120)}.items():
        for iteration in (100, 300):
            images = np.full((side * side, 28, 28), shade, np.uint8)
            if side == 10:  # what is not of the first five rows or columns
                images.reshape(10, 10, 28, 28)[5:], images.reshape(10, 10, 28, 28)[:, 5:] = 200, 200
            path = tmp_path / model / f"iteration-{iteration:07}.png"
            pictures.save_png(path, pictures.grid(images, side))
    alone = np.asarray(showcase.progress({"gan": tmp_path / "gan"}))
    sheet = np.asarray(showcase.progress({model: tmp_path / model for model in ("gan", "cgan")}))
    assert sheet.shape[1] == alone.shape[1]
    # As many whole images of both, none over another; a few more pixels of the captions.
    assert all((sheet == shade).sum() >= 2 * 25 * 28 * 28 for shade in (60, 120))
    assert (sheet == 200).sum() < 28 * 28


def test_pictures_in_colour_stay_so_and_those_of_grey_stay_grey(tmp_path: Path) -> None:
    grey, red = np.full((50, 28, 28), 9, np.uint8), np.zeros((50, 64, 64, 3), np.uint8)
    red[..., 0] = 200
    assert showcase.samples({"a": grey, "b": grey}).mode == "L"
    sheet = showcase.samples({"a": red, "b": red})
    assert sheet.mode == "RGB" and sheet.getpixel((40, 60)) == (200, 0, 0)
    for iteration in (100, 300):
        path = tmp_path / f"iteration-{iteration:07}.png"
        pictures.save_png(path, pictures.grid(red[:25], 5))
    assert showcase.progress({"a": tmp_path}).getpixel((20, 60)) == (200, 0, 0)


@pytest.mark.parametrize("language", ["en", "vi"])
def test_tables_of_ten_models_have_a_cell_for_each(language: str) -> None:
    metrics: dict[str, dict[str, Any]] = {
        f"model_{index}": {"images": 9, "classifier": {"fid": 10.0 + index}} for index in range(10)
    }
    metrics["model_9"]["classifier"] |= {"class_accuracy": 0.5, "class_fids": [1.0, None]}
    floor = {"classifier": {"fid": 1.0, "class_accuracy": 0.75, "class_fid": 2.0}}
    facts = {"commit": "a" * 40, "date": "2026-01-02", "training": {}, "seeds": {}}
    results = showcase.Results({"mnist": (floor, metrics, 0.0)}, facts)
    text = showcase.tables(showcase.Page("docs/page.md", language), results)
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert rows[0][3:] == [*metrics] and {len(row) for row in rows} == {13}
    titles = showcase.TITLES_OF_MEASURES[language]
    told = {row[0].removesuffix(" ↑"): row[2:] for row in rows}[titles["class_accuracy"]]
    assert told == ["75.0 %", *["–"] * 9, "50.0 %"]
    assert titles["class_fid"] not in text, "no model has it"
    assert f"model_8{showcase.WORDS[language]['and']}model_9" in text
    words = showcase.WORDS[language]
    assert f"model_9, {words['rows']}](" in text and words["abreast"] not in text


@pytest.mark.parametrize("text", ["", "<!-- results -->", "<!-- /results --> <!-- results -->"])
def test_a_page_without_marks_is_refused(text: str) -> None:
    with pytest.raises(GanvasError, match=r"page\.md: needs a line <!-- results -->"):
        showcase.replaced(text, "results", "block", "page.md")


def test_what_stands_outside_the_marks_stays() -> None:
    text = (
        "before\n<!-- results -->\nold\n<!-- /results -->\n<!-- other -->\nold\n<!-- /other -->\n"
    )
    assert showcase.replaced(text, "results", "new", "page.md") == text.replace("old", "new", 1)


def test_a_page_links_from_where_it_lies() -> None:
    pages = [showcase.Page(name, "en") for name in ("page.md", "docs/page.md", "docs/a/page.md")]
    links = [page.link(Path("docs/images/first.png")) for page in pages]
    assert links == ["docs/images/first.png", "images/first.png", "../images/first.png"]


def test_the_first_picture_has_a_row_for_each_data_set() -> None:
    shades = {"mnist": {"gan": 40, "dcgan": 90}, "fashion_mnist": {"gan": 140, "dcgan": 190}}
    images = {
        dataset: {model: np.full((40, 28, 28), shade, np.uint8) for model, shade in of.items()}
        for dataset, of in shades.items()
    }
    images["mnist"]["gan"][30:] = 77
    sheet = np.asarray(showcase.first_picture(images))
    below = (sheet.shape[0] + showcase.GAP) // 2
    seen = [[sheet[y * below + 60, x] for x in (40, -40)] for y in range(2)]
    assert seen == [[40, 90], [140, 190]]
    assert 77 not in sheet[showcase.CAPTION : below - showcase.GAP, :600]


def test_the_first_picture_shows_what_there_is_of_its_models_and_data_sets() -> None:
    both = ("gan", "best")
    asked = {
        "digits": ("best", "cgan", "gan"),
        "mnist": ("best", "dcgan", "gan"),
        "fashion_mnist": both,
    }
    assert showcase.in_first(asked) == {"mnist": [*both], "fashion_mnist": [*both]}
    asked = {"mnist": ("gan", "dcgan", "cgan"), "fashion_mnist": ("gan",)}
    assert showcase.in_first(asked) == {"mnist": ["gan", "dcgan"], "fashion_mnist": ["gan"]}
    assert showcase.in_first({"flowers": ("a", "b", "c"), "digits": ("gan",)}) == {
        "flowers": ["a", "b"]
    }


def test_the_first_pictures_words_have_the_fids_in_its_order() -> None:
    scores = {
        dataset: (
            {"classifier": {"fid": floor}},
            {m: {"classifier": {"fid": f}} for m, f in of},
            0.0,
        )
        for dataset, floor, of in (
            ("mnist", 1.5, [("best", 20.25), ("gan", 30.5)]),
            ("fashion_mnist", 0.5, [("best", 40.75), ("gan", 50.0)]),
        )
    }
    text = showcase.first(showcase.Page("README.md", "en"), showcase.Results(scores, {}))
    assert text.startswith("![MNIST and Fashion-MNIST, drawn by gan and best, from left to right](")
    assert "(FID): MNIST 30.50 and 20.25, Fashion-MNIST 50.00 and 40.75; of real" in text
    assert text.endswith("1.500 and 0.5000.")
