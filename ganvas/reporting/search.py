"""The search for a recipe: a table of what was tried and what it gave, from docs/search.json.

benchmarks/search.py collects its rows, one for each step and data set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ganvas.reporting import scoreboard, showcase

WORDS = {
    "en": {
        "head": "step | data set | changed | from | epochs | iterations | minutes | lowest FID, "
        "validation | at epoch | last FID",
        "nothing": "nothing",
    },
    "vi": {
        "head": "bước | tập dữ liệu | thay đổi | từ commit | epoch | vòng lặp | phút | FID thấp "
        "nhất, validation | ở epoch | FID cuối",
        "nothing": "không gì",
    },
}


def block(language: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each step, in the order in which they were made: Markdown; empty without rows."""
    if not rows:
        return ""
    words = WORDS[language]
    head = words["head"].split(" | ")
    lines = [head, [*["---"] * 4, *["---:"] * (len(head) - 4)]]
    for row in rows:
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
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _value(value: Any) -> str:
    return "none" if value is None else str(value)
