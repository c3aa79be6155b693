"""The zoo: a ranked table per data set of all recipes, and a chart of FID against minutes.

Both are made of docs/zoo.json alone, whose rows benchmarks/zoo.py collects, one for each data set,
model and seed. The same rows, the same bytes.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from ganvas.reporting import figures, scoreboard, showcase

Row = Mapping[str, Any]
CHART = Path("docs/images/zoo.png")
COLUMNS = ("precision", "recall", "coverage", "modes_covered")
TOLD = ("class_accuracy", "class_fid")  # of recipes that are told classes

WORDS = {
    "en": {
        "title": "Every recipe",
        "of": "Every recipe on {}",
        "head": "place | recipe | FID ↓ | seeds",
        "precision": "precision ↑",
        "recall": "recall ↑",
        "coverage": "coverage ↑",
        "modes_covered": "classes made ↑",
        "class_accuracy": "asked class drawn ↑",
        "class_fid": "FID within a class ↓",
        "speed": "it/s | minutes",
        "floor": "real images",
        "about": "Ranked by FID on {images} generated images ({extractor}), each recipe by its "
        "checkpoint of the lowest FID on validation images. With several seeds every number is "
        "their mean, ± the standard deviation. Real images: training images in the place of "
        "generated ones. Trained at {commits} on {hardware}; minutes are those of the training "
        "alone.",
        "commit": "commit {}",
        "commits": "commits {}",
        "chart": "{titles}: FID on validation images against minutes of training, a line for each "
        "recipe",
        "and": " and ",
    },
    "vi": {
        "title": "Mọi công thức",
        "of": "Mọi công thức trên {}",
        "head": "hạng | công thức | FID ↓ | số seed",
        "precision": "precision ↑",
        "recall": "recall ↑",
        "coverage": "coverage ↑",
        "modes_covered": "số lớp sinh ra ↑",
        "class_accuracy": "vẽ đúng lớp ↑",
        "class_fid": "FID trong một lớp ↓",
        "speed": "vòng lặp/giây | phút",
        "floor": "ảnh thật",
        "about": "Xếp hạng theo FID trên {images} ảnh sinh ({extractor}), mỗi công thức lấy "
        "checkpoint có FID thấp nhất trên ảnh validation. Nếu có nhiều seed, mỗi số là trung bình "
        "của chúng, ± độ lệch chuẩn. Ảnh thật: ảnh huấn luyện thay cho ảnh sinh. Huấn luyện tại "
        "{commits} trên {hardware}; số phút chỉ tính phần huấn luyện.",
        "commit": "commit {}",
        "commits": "các commit {}",
        "chart": "{titles}: FID trên ảnh validation theo số phút huấn luyện, mỗi công thức một "
        "đường",
        "and": " và ",
    },
}

# Told apart beside each other and on white; each recipe has its own in every panel. The first ones
# are of solid lines, the others of dashed ones.
COLOURS = (
    *("#1f6fb4", "#d1662d", "#2b8a3e", "#8a4fbf", "#c2255c", "#0b7f86", "#a07400", "#5c5f66"),
    *("#3391e6", "#e8760a", "#69b345", "#b88ae8", "#f06595", "#22b8b0", "#8f9400", "#8d5a3b"),
)
SOLID = 8
INCHES = 9.0  # across; shown at 900 pixels a point of type is 1.4 of them
DPI = 120
LABEL, SPACE = 8.5, 11.0  # points: a label's size, and from one to the next
LOWEST, MARGIN = 2.4, 0.85  # inches: a panel at least, and of it what is above and below its axes


class Recipe(NamedTuple):
    """A recipe on a data set, over those of its seeds that are alike in all else."""

    name: str
    rows: list[Row]  # by seed

    def value(self, get: Any) -> float | None:
        """The mean over the seeds; None where one lacks it."""
        values = [get(row) for row in self.rows]
        return mean(values) if all(scoreboard.is_number(value) for value in values) else None

    def score(self, key: str) -> float | None:
        return self.value(lambda row: row["scores"][row["extractor"]].get(key))

    @property
    def fid(self) -> str:
        text = scoreboard.number(self.score("fid"))
        decimals = len(text.partition(".")[2])
        fids = [row["scores"][row["extractor"]]["fid"] for row in self.rows]
        return f"{text} ± {stdev(fids):,.{decimals}f}" if len(fids) > 1 else text


def by_dataset(rows: Iterable[Row]) -> dict[str, list[Recipe]]:
    """The recipes of each data set, the lowest FID first; data sets with most recipes first."""
    seeds: dict[str, dict[str, list[Row]]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        of_model = seeds.setdefault(row["dataset"], {}).setdefault(row["model"], [])
        if not of_model or of_model[0]["alike"] == row["alike"]:
            of_model.append(row)
    ranked = {
        dataset: sorted(
            (Recipe(model, of_model) for model, of_model in models.items()),
            key=lambda recipe: (recipe.score("fid") or 0, recipe.name),
        )
        for dataset, models in seeds.items()
    }
    return dict(sorted(ranked.items(), key=lambda item: (-len(item[1]), item[0])))


def apart(rows: Iterable[Row]) -> list[Row]:
    """Those that no table shows: seeds that were unlike the first one of their recipe."""
    shown = [row for each in by_dataset(rows).values() for recipe in each for row in recipe.rows]
    return [row for row in rows if row not in shown]


def timed(rows: Iterable[Row]) -> dict[str, list[Recipe]]:
    """`by_dataset` of those whose speed is known: what the chart shows."""
    return by_dataset(row for row in rows if "minutes" in row["curve"])


def block(page: showcase.Page, results: showcase.Results) -> str:
    """The chart and a table of each data set, Markdown; empty without rows."""
    rows = results.zoo
    if not rows:
        return ""
    words, recipes = WORDS[page.language], by_dataset(rows)
    parts = [f"## {words['title']}", about(page.language, recipes)]
    if shown := [showcase.TITLES.get(dataset, dataset) for dataset in timed(rows)]:
        caption = words["chart"].format(titles=scoreboard.joined(shown, words["and"]))
        parts.append(f"![{caption}]({page.link(CHART)})")
    for dataset, of_dataset in recipes.items():
        title = words["of"].format(showcase.TITLES.get(dataset, dataset))
        parts += [f"### {title}", table(page.language, of_dataset)]
    return "\n\n".join(parts)


def about(language: str, recipes: Mapping[str, Sequence[Recipe]]) -> str:
    """What the tables say and where the numbers are from."""
    words = WORDS[language]
    rows = [row for each in recipes.values() for recipe in each for row in recipe.rows]
    commits = list(dict.fromkeys(f"`{row['commit'][:12]}`" for row in rows))
    commit = words["commit" if len(commits) == 1 else "commits"]
    return words["about"].format(
        images=", ".join(f"{count:,}" for count in sorted({row["images"] for row in rows})),
        extractor=", ".join(dict.fromkeys(row["extractor"] for row in rows)),
        commits=commit.format(scoreboard.joined(commits, words["and"])),
        hardware="; ".join(dict.fromkeys(row.get("hardware", "–") for row in rows)),
    )


def table(language: str, recipes: Sequence[Recipe]) -> str:
    """The recipes of a data set, ranked, and real images below them; Markdown."""
    words = WORDS[language]
    told = [key for key in TOLD if any(recipe.score(key) is not None for recipe in recipes)]
    keys = [*COLUMNS, *told]
    head = [
        *words["head"].split(" | "),
        *(words[key] for key in keys),
        *words["speed"].split(" | "),
    ]
    lines = [head, ["---:", "---", *["---:"] * (len(head) - 2)]]
    for place, recipe in enumerate(recipes, 1):
        scores = [_shown(key, recipe.score(key)) for key in keys]
        rate = recipe.value(lambda row: row.get("iterations_per_second"))
        minutes = recipe.value(lambda row: row.get("minutes"))
        name = f"`{recipe.name}`{_changed(recipe.rows[0]['changed'])}"
        start = [str(place), name, recipe.fid, str(len(recipe.rows))]
        lines.append([*start, *scores, _three(rate), _three(minutes)])
    first = recipes[0].rows[0]
    floor = first["floor"][first["extractor"]]
    shown = [_shown(key, floor.get(key)) for key in keys]
    lines.append(["", words["floor"], scoreboard.number(floor["fid"]), "", *shown, "", ""])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _changed(parameters: Mapping[str, Any]) -> str:
    """Behind a recipe's name what is not as in params.yaml."""
    return "".join(f", `{key}: {value}`" for key, value in parameters.items())


def _shown(key: str, value: float | None) -> str:
    kind = scoreboard.measure(key).kind
    if value is None:
        return "–"
    if kind == "count":
        return f"{value:.4g}"
    return scoreboard.percent(value) if kind == "share" else scoreboard.number(value)


def _three(value: float | None) -> str:
    """About three digits."""
    if value is None:
        return "–"
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{decimals}f}"


def chart(rows: Sequence[Row]) -> bytes:
    """FID of each checkpoint on validation images against minutes of training, both logarithmic.

    A panel for each data set, a line for each seed of a recipe; PNG bytes. `timed` has to be some.
    """
    recipes = timed(rows)
    names = sorted({recipe.name for each in recipes.values() for recipe in each})
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    heights = [max((len(each) + 6) * SPACE / 72 + MARGIN, LOWEST) for each in recipes.values()]
    # The user's own settings of matplotlib would change the bytes.
    with matplotlib.style.context(["default", figures.STYLE]):
        figure = Figure(figsize=(INCHES, sum(heights)), dpi=DPI)
        below = whole = sum(heights)
        for (dataset, of_dataset), height in zip(recipes.items(), heights, strict=True):
            below -= height
            place = (0.085, (below + 0.5) / whole, 0.755, (height - MARGIN) / whole)
            panel(figure.add_axes(place), dataset, of_dataset, colours)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    # A third of the bytes in as many colours as lines need; and without matplotlib's version.
    with Image.open(buffer) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def panel(axes: Axes, dataset: str, recipes: Sequence[Recipe], colours: Mapping[str, str]) -> None:
    """One data set: lines, each with its recipe's name at the right."""
    axes.set(xscale="log", yscale="log", title=showcase.TITLES.get(dataset, dataset))
    axes.set(xlabel="minutes of training", ylabel="FID, validation images")
    for recipe in recipes:
        for index, row in enumerate(recipe.rows):
            x, y, colour = row["curve"]["minutes"], row["curve"]["fid"], colours[recipe.name]
            style = "-" if COLOURS.index(colour) < SOLID else (0, (4, 1.2))
            alpha = 0.35 if index else 1
            axes.plot(x, y, color=colour, linestyle=style, linewidth=1.4, alpha=alpha)
            axes.plot(x[-1], y[-1], "o", color=colour, markersize=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axis.set_minor_formatter(NullFormatter())
    _label(axes, recipes, colours)


def _label(axes: Axes, recipes: Sequence[Recipe], colours: Mapping[str, str]) -> None:
    """The recipes' names right of the panel, as high as their lines end, or as near as may be."""
    axes.autoscale_view()  # matplotlib would wait with it, and lines would end elsewhere
    height = axes.get_window_extent().height * 72 / DPI
    ends = {}
    for recipe in recipes:
        curve = recipe.rows[0]["curve"]
        place = axes.transData.transform((curve["minutes"][-1], curve["fid"][-1]))
        left, high = axes.transAxes.inverted().transform(place)
        ends[recipe.name] = (left, high * height)
    order = sorted(ends, key=lambda name: (ends[name][1], name))
    heights = spread([ends[name][1] for name in order], SPACE, height)
    for name, high in zip(order, heights, strict=True):
        left, end = ends[name]
        axes.annotate(
            name,
            (left, end / height),
            (1.035, high / height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=colours[name],
            fontsize=LABEL,
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colours[name],
                "linewidth": 0.6,
                "alpha": 0.6,
                "relpos": (0, 0.5),
            },
        )


def spread(wanted: Sequence[float], space: float, height: float) -> list[float]:
    """Places `space` apart at least and as near as may be, by squares, to those wanted.

    `wanted` ascends. They lie from 0 to `height`, where there is room for all.
    """
    # Places less their number's space only have to ascend: isotonic regression, by pools of equals.
    pools: list[tuple[float, int]] = []
    for index, each in enumerate(wanted):
        pools.append((each - index * space, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (first, m), (second, n) = pools[-2:]
            pools[-2:] = [((m * first + n * second) / (m + n), m + n)]
    most = height - (len(wanted) - 1) * space
    level = [min(max(value, 0.0), max(most, 0.0)) for value, count in pools for _ in range(count)]
    return [value + index * space for index, value in enumerate(level)]
