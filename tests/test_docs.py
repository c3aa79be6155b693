"""The pages: both languages say the same, and every link leads somewhere."""

import re
from typing import Any

import pytest
from repositories import ROOT

from ganvas.workflow import publication

ENGLISH = [name for name in publication.NAMES if not name.endswith(".vi.md")]


def text(name: str) -> str:
    return (ROOT / name).read_text()


def vietnamese(name: str) -> str:
    return name.replace(".md", ".vi.md")


def code(page: str) -> list[str]:
    """The indented lines, without comments."""
    lines = [line for line in page.splitlines() if line.startswith("    ")]
    return [re.sub(r" +# .*", "", line) for line in lines]


def numbers(page: str) -> list[list[str]]:
    """The numbers of each row of each table."""
    rows = [line for line in page.splitlines() if line.startswith("|")]
    return [re.findall(r"\d+(?:[.,:]\d+)*", row) for row in rows]


def levels(page: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", page, re.MULTILINE)]


def in_tables(page: str) -> list[list[str]]:
    """The code in each row of each table."""
    return [re.findall("`([^`]+)`", row) for row in re.findall(r"^\| .*", page, re.MULTILINE)]


@pytest.mark.parametrize("name", ENGLISH)
@pytest.mark.parametrize("part", [levels, code, numbers, in_tables])
def test_both_languages_have_the_same(name: str, part: Any) -> None:
    english, other = part(text(name)), part(text(vietnamese(name)))
    assert english == other and len(english) > 10


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_show_the_same_pictures(name: str) -> None:
    shown = [re.findall(r"!\[[^]]*\]\(([^)]+)\)", text(page)) for page in (name, vietnamese(name))]
    assert shown[0] == shown[1] and shown[0]
