"""The search for a recipe: a table of what was tried and what it gave, from docs/search.json.

benchmarks/search.py collects its rows, one for each step and data set.
"""

from typing import Any

from ganvas.reporting import scoreboard, showcase

WORDS = {
    "en": {
        "title": "What was tried",
        "about": "The steps of the search, in the order in which they were made: experiments of "
        "DVC, each with what it changes in the recipe that the search began with. FID is on "
        "validation images; minutes are those of the training alone.",
        "origin": "`{model}` began as `{origin}` with {changed}.",
        "head": "step | data set | changed | epochs | iterations | minutes | lowest FID, "
        "validation | at epoch | last FID",
        "nothing": "nothing",
    },
    "vi": {
        "title": "Những gì đã thử",
        "about": "Các bước tìm kiếm, theo thứ tự đã làm: mỗi bước là một thí nghiệm của DVC, kèm "
        "những gì nó đổi trong công thức ban đầu của cuộc tìm kiếm. FID tính trên ảnh validation; "
        "số phút chỉ tính phần huấn luyện.",
        "origin": "`{model}` bắt đầu là `{origin}` với {changed}.",
        "head": "bước | tập dữ liệu | thay đổi | epoch | vòng lặp | phút | FID thấp nhất, "
        "validation | ở epoch | FID cuối",
        "nothing": "không gì",
    },
}


def block(page: showcase.Page, results: showcase.Results) -> str:
    """A line for each step, in the order in which they were made: Markdown; empty without rows."""
    if not results.search:
        return ""
    words = WORDS[page.language]
    head = words["head"].split(" | ")
    lines = [head, [*["---"] * 3, *["---:"] * (len(head) - 3)]]
    began = {
        words["origin"].format(
            model=row["model"],
            origin=row["origin"]["model"],
            changed=_listed(row["origin"]["changed"]) or words["nothing"],
        ): None
        for row in results.search
    }
    for row in results.search:
        lines.append(
            [
                row["name"],
                showcase.TITLES.get(row["dataset"], row["dataset"]),
                _listed(row["changed"]) or words["nothing"],
                str(row["epochs"]),
                f"{row['iterations']:,}",
                f"{row['minutes']:.1f}" if "minutes" in row else "–",
                scoreboard.number(row["fid"]),
                str(row["epoch"]),
                scoreboard.number(row["last_fid"]),
            ]
        )
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {words['title']}\n\n{words['about']} {' '.join(began)}\n\n{table}"


def _listed(changed: dict[str, Any]) -> str:
    return ", ".join(f"`{k}: {'none' if v is None else v}`" for k, v in changed.items())
