"""The pages: both languages say the same, and every link leads somewhere."""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from repositories import ROOT, run

ENGLISH = ("README.md", "docs/results.md", "docs/guide.md")  # those with a translation
PAGES = (*ENGLISH, "docs/reference.md")
LINKING = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (".", "docs", "benchmarks")
    for path in (ROOT / folder).glob("*.md")
)
# What names a section of a page by its title, as `docs/guide.md, "All keys"`.
NAMING = (
    "ganvas/**/*.py",
    "stages/*.py",
    "benchmarks/*",
    "params.yaml",
    "dvc.yaml",
    "Makefile",
    "*.md",
)


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text()


def vietnamese(name: str) -> str:
    return name.replace(".md", ".vi.md")


def prose(name: str) -> str:
    """A page without its code."""
    lines = [line for line in text(name).splitlines() if not line.startswith("    ")]
    return re.sub("`[^`\n]*`", "", "\n".join(lines))


def titles(name: str) -> list[str]:
    lines = [line for line in text(name).splitlines() if not line.startswith("    ")]
    return [line.lstrip("# ") for line in lines if re.match("#+ ", line)]


def anchors(name: str) -> list[str]:
    """Of each heading, as GitHub makes them of headings that are there once."""
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles(name)]


def links(name: str) -> list[tuple[str, str]]:
    """The links of a page to files of the repository, from its root, and the anchors in them."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            beside = os.path.normpath(Path(name).parent / path) if path else name
            found.append((Path(beside).as_posix(), anchor))
    return found


@cache
def tracked() -> set[str]:
    """What a clone has, files and folders; where this is none, what lies here."""
    if (ROOT / ".git").exists():
        files = run(ROOT, "git", "ls-files").stdout.splitlines()
    else:
        files = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")]
    return {*files, *(parent.as_posix() for file in files for parent in Path(file).parents)}


# Links.


@pytest.mark.parametrize("name", LINKING)
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    for path, anchor in links(name):
        assert path in tracked(), f"{name}: {path}"
        assert not anchor or anchor in anchors(path), f"{name}: {path}#{anchor}"


def test_no_heading_of_a_page_is_there_twice() -> None:
    for name in {*PAGES, *map(vietnamese, ENGLISH)}:
        assert len({*anchors(name)}) == len(titles(name)), name


def test_each_page_is_one_click_from_each_other_one() -> None:
    for names in (PAGES, (*map(vietnamese, ENGLISH), "docs/reference.md")):
        for name in names:
            if name == "docs/reference.md" and "README.vi.md" in names:
                continue  # in English alone, it links to English
            # On its first screen.
            start = text(name).split("\n## ")[1 if name.startswith("README") else 0]
            others = {other for other in names if other != name}
            assert others <= {path for path, _ in links(name)}, name
            assert all(f"({os.path.relpath(o, Path(name).parent)})" in start for o in others), name


def test_sections_that_code_and_comments_name_are_there() -> None:
    found = []
    for path in (path for pattern in NAMING for path in ROOT.glob(pattern) if path.is_file()):
        if path.suffix in (".py", ".yaml", ".md"):
            found += re.findall(r"(\w[\w/]*\.md), \"([^\"]+)\"", path.read_text())
    assert {("docs/guide.md", "All keys"), ("docs/results.md", "What we found")} <= {*found}
    for page, title in found:
        assert title in titles(page), (page, title)


def test_readme_is_named_for_what_it_still_has() -> None:
    """A command, a comment or a message that sends people to README's sections sends them away."""
    for path in (path for pattern in NAMING for path in ROOT.glob(pattern) if path.is_file()):
        if path.suffix in (".py", ".yaml"):
            assert not re.search(r"README(,| has| shows)", path.read_text()), path


# Languages.


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
    assert english == other
    assert english or (name, part) == ("docs/results.md", code)


def sections(name: str) -> list[str]:
    return re.split(r"^#+ ", text(name), flags=re.MULTILINE)


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_say_the_same_in_each_section(name: str) -> None:
    """The code and the numbers of the sentences, in whatever order."""
    for english, other in zip(sections(name), sections(vietnamese(name)), strict=True):
        for what in (r"`([^`]+)`", r"(?<![\w.])\d+(?:[.,:]\d+)*"):
            found = [sorted(re.findall(what, " ".join(part.split()))) for part in (english, other)]
            assert found[0] == found[1], english.partition("\n")[0]


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_show_the_same_pictures(name: str) -> None:
    shown = [re.findall(r"!\[[^]]*\]\(([^)]+)\)", text(page)) for page in (name, vietnamese(name))]
    assert shown[0] == shown[1] and (shown[0] or name == "docs/guide.md")


def meant(name: str) -> list[tuple[str, int]]:
    """Where a page's links lead: the English page, and which of its headings."""
    found = []
    for path, anchor in links(name):
        english = path.replace(".vi.md", ".md")
        found.append((english, anchors(path).index(anchor) if anchor else -1))
    return sorted(found)


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_link_to_the_same_and_stay_in_their_language(name: str) -> None:
    assert meant(name) == meant(vietnamese(name))
    for page, other in ((name, vietnamese(name)), (vietnamese(name), name)):
        ours = ENGLISH if page == name else tuple(map(vietnamese, ENGLISH))
        twins = {*ENGLISH, *map(vietnamese, ENGLISH)} - {*ours}
        across = [path for path, _ in links(page) if path in twins]
        assert across == [other] and text(page).index("](" + Path(other).name) < text(page).index(
            "##"
        )


def cells(of: str, first: str) -> list[list[str]]:
    """The rows of the table whose head begins so."""
    table = of[of.index(first) :].split("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in (table[0], *table[2:])]


@pytest.mark.parametrize("name", ["docs/results.md", "docs/results.vi.md"])
def test_what_is_said_of_the_best_recipe_is_what_the_zoo_has(name: str) -> None:
    rows = {
        (row["dataset"], row["model"]): row
        for row in json.loads(text("docs/zoo.json"))
        if not row["seed"]
    }
    head, *lines = cells(text(name), "| | MNIST | Fashion-MNIST | digits |")
    datasets = [title.strip("| ").lower().replace("-", "_") for title in head[-3:]]
    for model, *shown in lines:
        for dataset, fid in zip(datasets, shown, strict=True):
            row = rows.get((dataset, model if model in ("dcgan", "cdcgan") else "best"))
            assert (fid == "–") == (row is None), (model, dataset)
            if row:
                scores = row["scores" if model in ("dcgan", "cdcgan", "best") else "floor"]
                decimals = len(fid.partition(".")[2])
                assert fid == f"{scores[row['extractor']]['fid']:.{decimals}f}", (model, dataset)
    readme = text("README.vi.md" if name.endswith("vi.md") else "README.md")
    for key in (("mnist", "cdcgan"), ("mnist", "best"), ("fashion_mnist", "best")):
        assert f"{rows[key]['scores']['classifier']['fid']:.2f}" in readme


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("docs/results.md", "| changed | data set | epochs |"),
        ("docs/results.vi.md", "| thay đổi | tập dữ liệu | epoch |"),
    ],
)
def test_what_is_said_of_the_search_is_what_it_gave(name: str, first: str) -> None:
    rows = {(row["name"], row["dataset"]): row for row in json.loads(text("docs/search.json"))}
    _, *lines = cells(text(name), first)
    assert lines
    for what, title, epochs, steps, *shown in lines:
        found = [rows[step, title.lower().replace("-", "_")] for step in steps.split(", ")]
        assert [f"{row['fid']:.1f}" for row in found] == shown, what
        assert all(row["epochs"] == int(epochs) for row in found), what


@pytest.mark.parametrize("name", ["docs/results.md", "docs/results.vi.md"])
def test_what_is_said_of_batchnorm_is_what_was_printed(name: str) -> None:
    printed = {
        first: shown for first, *shown in cells(text("benchmarks/batchnorm.md"), "| normalised")
    }
    ways = ("running averages", "taken anew", "each batch's own, 100", "each batch's own, 5")
    lines = [line.strip("| ").split(" | ") for line in text(name).splitlines()]
    first = next(at for at, line in enumerate(lines) if line[1:] == printed[ways[0]])
    assert [shown for _, *shown in lines[first : first + 4]] == [printed[way] for way in ways]
