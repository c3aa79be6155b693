"""The search for a recipe: a table of what was tried and what it gave, from docs/search.json.

benchmarks/search.py collects its rows, one for each step and data set.
"""

from typing import Any

from ganvas.reporting import scoreboard, showcase

WORDS = {
    "en": {
        "title": "What was tried",
        "about": "The steps of the search, in the order in which they were made: experiments of "
        "DVC, each with what it changes in `params.yaml` of the commit that it started from. FID "
        "is on validation images; minutes are those of the training alone.",
        "head": "step | data set | changed | from | epochs | iterations | minutes | lowest FID, "
        "validation | at epoch | last FID",
        "nothing": "nothing",
    },
    "vi": {
        "title": "Những gì đã thử",
        "about": "Các bước tìm kiếm, theo thứ tự đã làm: mỗi bước là một thí nghiệm của DVC, kèm "
        "những gì nó đổi trong `params.yaml` của commit mà nó bắt đầu từ đó. FID tính trên ảnh "
        "validation; số phút chỉ tính phần huấn luyện.",
        "head": "bước | tập dữ liệu | thay đổi | từ commit | epoch | vòng lặp | phút | FID thấp "
        "nhất, validation | ở epoch | FID cuối",
        "nothing": "không gì",
    },
}


def block(page: showcase.Page, results: showcase.Results) -> str:
    """A line for each step, in the order in which they were made: Markdown; empty without rows."""
    if not results.search:
        return ""
    words = WORDS[page.language]
    head = words["head"].split(" | ")
    lines = [head, [*["---"] * 4, *["---:"] * (len(head) - 4)]]
    for row in results.search:
        changed = ", ".join(f"`{key}: {_value(value)}`" for key, value in row["changed"].items())
        lines.append(
            [
                row["name"],
                showcase.TITLES.get(row["dataset"], row["dataset"]),
                changed or words["nothing"],
                f"`{row['commit'][:7]}`",
                str(row["epochs"]),
                f"{row['iterations']:,}",
                f"{row['minutes']:.1f}" if "minutes" in row else "–",
                scoreboard.number(row["fid"]),
                str(row["epoch"]),
                scoreboard.number(row["last_fid"]),
            ]
        )
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {words['title']}\n\n{words['about']}\n\n{table}"


def _value(value: Any) -> str:
    return "none" if value is None else str(value)
