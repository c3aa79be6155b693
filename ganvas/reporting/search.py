"""The search for a recipe: a table of what was tried and what it gave, from docs/search.json.

benchmarks/search.py collects its rows, one for each step and data set.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ganvas.reporting import scoreboard, showcase

Row = Mapping[str, Any]

WORDS = {
    "en": {
        "title": "What was tried",
        "about": "The steps of the search, in each table in the order in which they were made: "
        "experiments of DVC, each with what it changes in the recipe that it began with. FID is on "
        "validation images; minutes are those of the training alone.",
        "origin": "`{model}` began as `{origin}` with {changed}.",
        "head": "step | data set | changed | epochs | iterations | minutes | lowest FID, "
        "validation | at epoch | last FID",
        "nothing": "nothing",
    },
    "vi": {
        "title": "Những gì đã thử",
        "about": "Các bước tìm kiếm, trong mỗi bảng theo thứ tự đã làm: mỗi bước là một thí nghiệm "
        "của DVC, kèm những thay đổi so với công thức xuất phát. FID tính trên ảnh validation; "
        "số phút chỉ tính phần huấn luyện.",
        "origin": "`{model}` bắt đầu là `{origin}` với {changed}.",
        "head": "bước | tập dữ liệu | thay đổi | epoch | vòng lặp | phút | FID thấp nhất, "
        "validation | ở epoch | FID cuối",
        "nothing": "không gì",
    },
}


def block(page: showcase.Page, results: showcase.Results) -> str:
    """A table of steps for each recipe that some began with, both in the order in which they were
    made: Markdown; empty without rows.
    """
    if not results.search:
        return ""
    words = WORDS[page.language]
    tables: dict[str, list[Row]] = {}
    for row in results.search:
        began = words["origin"].format(
            model=row["model"],
            origin=row["origin"]["model"],
            changed=_listed(row["origin"]["changed"]) or words["nothing"],
        )
        tables.setdefault(began, []).append(row)
    parts = [f"## {words['title']}", words["about"]]
    for began, rows in tables.items():
        parts += [began, _table(words, rows)]
    return "\n\n".join(parts)


def _table(words: Mapping[str, str], rows: Iterable[Row]) -> str:
    head = words["head"].split(" | ")
    lines = [head, [*["---"] * 3, *["---:"] * (len(head) - 3)]]
    for row in rows:
        lines.append(
            [
                row["name"],
                str(showcase.TITLES.get(row["dataset"], row["dataset"])),
                _listed(row["changed"]) or words["nothing"],
                str(row["epochs"]),
                f"{row['iterations']:,}",
                f"{row['minutes']:.1f}" if "minutes" in row else "–",
                scoreboard.number(row["fid"]),
                str(row["epoch"]),
                scoreboard.number(row["last_fid"]),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(changed: dict[str, Any]) -> str:
    return ", ".join(f"`{k}: {'none' if v is None else v}`" for k, v in changed.items())
