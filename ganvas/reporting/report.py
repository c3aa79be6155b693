"""The report on one data set: a single HTML page that needs nothing but itself.

Pictures go in as base64, curves as JSON that a few lines of JavaScript draw. The page holds no
date, so the same files give the same bytes.
"""

import base64
import csv
import errno
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.reporting import scoreboard
from ganvas.tracking.runs import Origin

TEMPLATE = Path(__file__).parent / "templates" / "report.html.j2"

# What keeps a page small, whatever params.yaml asks for.
PICTURE_BYTES = 300_000
JPEG_QUALITY = 90
PROGRESS_STEPS = 24
PROGRESS_PICTURES = 120  # of all models together: with many of them the slider has fewer steps
CURVE_POINTS = 2_000

SMOOTHED_ROWS = 60  # shorter curves are drawn as they are
SMOOTHING = 1 / 25  # of the curve: the running mean's window

TONES = 10  # colours of the template; a model's follows its place in params.yaml, not its rank
NAMED = 3  # models whose FID the page opens with, where there are two more at least

# The charts of history.csv's columns that a model may have, and what their lines are called.
CURVES = {
    "generator": {"generator_loss": "loss"},
    "discriminator": {"discriminator_loss": "loss"},
    "class_loss": {"class_loss": "loss"},
    "reconstruction": {"reconstruction_loss": "L1"},
    "penalty": {"penalty": "penalty"},
    "probability": {"real_probability": "D(real)", "fake_probability": "D(generated)"},
    "logit": {"real_logit": "real", "fake_logit": "generated"},
    "heart": {
        "train_logit": "training",
        "validation_logit": "held-out",
        "generated_logit": "generated",
    },
}
SMALL = ("class_loss", "penalty", "reconstruction")


class Folders(NamedTuple):
    """Where the files of one model lie."""

    model: Path  # config.json, history.csv, progress/iteration-NNNNNNN.png
    samples: Path  # grid.png, interpolation.png of what draws from noise, optionally nearest.png
    results: Path  # metrics.json, scores.csv, selection.json, selection.csv


class Lineage(NamedTuple):
    """What made the figures; the dictionaries are by model."""

    commit: str | None  # or why it is unknown; None: no repository, or no commit in it
    dirty: bool  # code or parameters differed from the commit
    data: str  # hash of the normalized images
    generators: Mapping[str, str]  # hashes of the generators' checkpoints
    origins: Mapping[str, Origin] = {}  # where the store knows them


def page(
    dataset: str,
    results: Path,
    models: Mapping[str, Folders],
    lineage: Lineage,
    seed_deviation: float = 0.0,
    classes: Sequence[str] = (),
    found: Mapping[str, Any] | None = None,
    domains: Sequence[str] = (),
    stage: str | None = None,
) -> str:
    """The HTML of the report on `dataset`, which DVC makes as `stage`.

    `results` holds floor.json and classifier.json; `models` says for each model, in params.yaml's
    order, where its files are: the page has them in scoreboard.ranked's. `seed_deviation` is
    scoreboard.alike's; `classes` are names, without which numbers stand for them; `found` is what
    was found among a person's own images (data/findings.py); `domains` are the names of those that
    images are translated to. Raises `GanvasError` when a file is
    missing or broken.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # A number that is not finite would not be JSON.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {
        "joined": scoreboard.joined,
        "number": scoreboard.number,
        "percent": scoreboard.percent,
        "picture": _picture,
    }
    stage = stage or f"report@{dataset}"
    try:
        template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        content = _content(dataset, results, models, lineage, seed_deviation, classes, domains)
        return template.render(content | {"found": found, "stage": stage})
    except FileNotFoundError as error:
        path = error.filename
        raise GanvasError(f"{path}: missing; make it with `dvc repro {stage}`") from None
    except OSError as error:
        raise GanvasError(
            f"{error.filename}: cannot be read ({error.strerror}); delete it and make it again "
            f"with `dvc repro {stage}`"
        ) from None


def smoothing_window(points: int) -> int:
    """Over how many points of a curve its running mean goes: odd, 1 for a short curve."""
    return 2 * round(points * SMOOTHING / 2) + 1 if points >= SMOOTHED_ROWS else 1


def running_mean(values: Sequence[float] | NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Centred mean over `window` values (odd), fewer at the ends; NaN values do not count.

    There must be as many values as one window has.
    """
    raw = np.asarray(values, dtype=np.float64)
    known = np.isfinite(raw)
    sums, counts = (
        np.convolve(part, np.ones(window), "same")
        for part in (np.where(known, raw, 0.0), known.astype(np.float64))
    )
    # Far from any known value nothing is known.
    means: NDArray[np.float64] = np.full(len(raw), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0.5)
    return means


def steps(drawn: Mapping[str, Iterable[int]], limit: int = PROGRESS_STEPS) -> list[dict[str, Any]]:
    """For each position of the slider its iteration, and each model's picture and caption there.

    `drawn` are the iterations of which a model has a picture. A model without one at that
    iteration shows its nearest earlier one, or None before its first. Where there are more than
    `limit` iterations, `limit` of them, evenly spread, remain.
    """
    iterations = sorted({iteration for of_model in drawn.values() for iteration in of_model})
    if len(iterations) > limit:
        kept = np.linspace(0, len(iterations) - 1, limit).round().astype(int)
        iterations = [iterations[index] for index in kept]
    positions = []
    for iteration in iterations:
        shown = {
            model: max((earlier for earlier in of_model if earlier <= iteration), default=None)
            for model, of_model in drawn.items()
        }
        captions = {model: _caption(iteration, picture) for model, picture in shown.items()}
        positions.append({"iteration": iteration, "shown": shown, "captions": captions})
    return positions


def _caption(iteration: int, shown: int | None) -> str:
    if shown is None:
        return f"no picture at iteration {iteration:,} or before"
    if shown == iteration:
        return f"iteration {iteration:,}"
    return f"iteration {shown:,}, the nearest earlier picture"


def _content(
    dataset: str,
    results: Path,
    models: Mapping[str, Folders],
    lineage: Lineage,
    seed_deviation: float,
    classes: Sequence[str],
    domains: Sequence[str],
) -> dict[str, Any]:
    """What the template shows."""
    tones = {model: place % TONES for place, model in enumerate(models)}
    floor, classifier = read_json(results / "floor.json"), read_json(results / "classifier.json")
    found = {model: read_json(at.results / "metrics.json") for model, at in models.items()}
    metrics = {model: found[model] for model in scoreboard.ranked(found)}
    models = {model: models[model] for model in metrics}
    configs = {model: read_json(at.model / "config.json") for model, at in models.items()}
    selections = {model: _selection(at.results) for model, at in models.items()}
    histories = {model: _history(at.model / "history.csv") for model, at in models.items()}
    differing, agreeing = _parameters(configs)
    baselines = floor.get("baselines", {})
    sections = scoreboard.tables(floor, metrics, seed_deviation, baselines)
    progress = {model: drawn(at.model / "progress") for model, at in models.items()}
    selection_charts = _selection_charts(selections)
    loss_charts = _loss_charts(histories, {m: of.get("objective") for m, of in configs.items()})
    classes = classes or _class_numbers(floor, metrics)
    charts = loss_charts | selection_charts | _class_charts(classes, floor, metrics)
    return {
        "dataset": dataset,
        "models": list(models),
        "tones": tones,
        "folders": models,
        "classifier": classifier,
        "floor": floor,
        "images": _together({m: scores["images"] for m, scores in metrics.items()}),
        "configs": configs,
        "headline": _headline(sections, seed_deviation),
        "sections": sections,
        # For each extractor what its scores were computed from, the same for every model.
        "context": {
            row["extractor"]: row for at in models.values() for row in read_scores(at.results)
        },
        "selections": selections,
        "averaged": _together({m: history["averaged"] for m, history in histories.items()}),
        "smoothed": any(history["window"] > 1 for history in histories.values()),
        "objectives": len({of.get("objective") for of in configs.values()}),
        "differing": differing,
        "agreeing": agreeing,
        "told": [model for model, config in configs.items() if scoreboard.is_told(config)],
        "distrust": dict.fromkeys(
            warning for scores in metrics.values() for warning in scores.get("warnings", [])
        ),
        "baselines": baselines,
        "truth": "l1" in floor.get("pixels", {}),
        "columns": {m: of.get("given", {}).get("columns", []) for m, of in configs.items()},
        "with_nearest": {
            model: at for model, at in models.items() if (at.samples / "nearest.png").exists()
        },
        # What translates has no latent points to walk between.
        "with_walks": {m: at for m, at in models.items() if "generator" not in configs[m]},
        "progress": progress,
        "steps": steps(progress, min(PROGRESS_STEPS, max(PROGRESS_PICTURES // len(models), 2))),
        "log_fid": any(chart["log"] for chart in selection_charts.values()),
        "charts": charts,
        "kinds": {name.rpartition("-")[0] for name in charts},
        "within_classes": scoreboard.within(floor, metrics, "class_fids", classes),
        "within_domains": scoreboard.within(floor, metrics, "domain_fids", domains),
        "lineage": lineage,
    }


def read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise GanvasError(f"{path}: not the JSON that was written; delete it and run `dvc repro`")
    return values


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The file's rows, one at least, with a field for each of `columns` at least."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [column for column in columns if not rows or column not in rows[0]]
    if missing:
        raise GanvasError(f"{path}: lacks {missing[0]}; delete it and run `dvc repro`")
    return rows


def read_scores(results: Path) -> list[dict[str, str]]:
    """The rows of a model's scores.csv."""
    return read_rows(results / "scores.csv", ("extractor", "reference", "weights_sha256"))


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, list[float]]:
    """The file's columns by name, of which `columns` must be there, with one row at least."""
    rows = read_rows(path, columns)
    try:
        return {name: [float(row[name]) for row in rows] for name in rows[0]}
    except (TypeError, ValueError):
        raise GanvasError(
            f"{path}: lacks a number in every field; delete it and run `dvc repro`"
        ) from None


def _picture(path: Path) -> str:
    """A data URI; a picture above `PICTURE_BYTES` is halved until it is below.

    One in colour becomes a JPEG: as PNGs, photographs are four times as large.
    """
    content, kind = path.read_bytes(), "png"
    try:
        image: Image.Image = Image.open(io.BytesIO(content))
        if image.mode == "RGB":
            content, kind = _encoded(image, "jpeg"), "jpeg"
        while len(content) > PICTURE_BYTES:
            image = image.reduce(2)
            content = _encoded(image, kind)
    except (OSError, SyntaxError):  # of Pillow
        raise GanvasError(f"{path}: no picture; delete it and run `dvc repro`") from None
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "jpeg":  # of itself it would halve the colours' sides
        image.save(buffer, kind, quality=JPEG_QUALITY, subsampling=0)
    else:
        image.save(buffer, kind, optimize=True)
    return buffer.getvalue()


def drawn(folder: Path) -> dict[int, Path]:
    """The progress pictures by iteration."""
    found = {int(path.stem.removeprefix("iteration-")): path for path in folder.glob("iter*.png")}
    if not found:
        raise FileNotFoundError(errno.ENOENT, "", str(folder / "iteration-*.png"))
    return dict(sorted(found.items()))


def _together(values: Mapping[str, int]) -> dict[int, list[str]]:
    """The models that have the same value, by that value."""
    found: dict[int, list[str]] = {}
    for model, value in values.items():
        found.setdefault(value, []).append(model)
    return found


def _headline(sections: list[dict[str, Any]], seed_deviation: float) -> dict[str, Any] | None:
    """The FIDs by the first extractor, best first; which seeds might reorder.

    Of many models those behind the first ones are `others`: how many, their best FID and worst.
    `behind`: there are some that no seed would put first.
    """
    for section in sections:
        for row in section["rows"]:
            if row["key"] == "fid":
                cells = {m: cell for m, cell in row["cells"].items() if cell["value"] is not None}
                ranked = sorted(cells, key=lambda model: cells[model]["value"])
                values = {model: cells[model]["value"] for model in ranked}
                alike = scoreboard.alike(values, seed_deviation)
                scores = [(model, cells[model]["text"]) for model in ranked]
                named = scores if len(scores) <= NAMED + 1 else scores[:NAMED]
                others = scores[len(named) :]
                return {
                    "extractor": section["name"],
                    "scores": named,
                    "others": (len(others), others[0][1], others[-1][1]) if others else None,
                    "floor": row["floor"]["text"],
                    "alike": alike if len(alike) > 1 else [],
                    "behind": len(alike) < len(scores),
                }
    return None


def _parameters(
    configs: dict[str, dict[str, Any]],
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Parameters that differ, with each model's value, and those that agree."""
    columns = [scoreboard.parameters(config) for config in configs.values()]
    keys = dict.fromkeys(key for column in columns for key in column)
    sections = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    together = sorted(keys, key=lambda key: sections.index(key.partition(".")[0]))
    shown = {key: [column.get(key, "–") for column in columns] for key in together}
    differing = {key: values for key, values in shown.items() if len(set(values)) > 1}
    agreeing = {key: values[0] for key, values in shown.items() if key not in differing}
    return differing, agreeing


def _selection(folder: Path) -> dict[str, Any]:
    """selection.json with the table of selection.csv and the FID at the lowest generator loss."""
    chosen = read_json(folder / "selection.json")
    table = read_columns(folder / "selection.csv", ("epoch", "iteration", "fid", "generator_loss"))
    fids = dict(zip(table["epoch"], table["fid"], strict=True))
    of_lowest_loss = fids.get(chosen["lowest_generator_loss_epoch"])
    return {**chosen, "table": table, "lowest_generator_loss_fid": of_lowest_loss}


def _history(path: Path) -> dict[str, Any]:
    """Columns of a training's curves, how many iterations a point averages, and the smoothing."""
    columns = read_columns(path, ("iteration", "epoch", "discriminator_loss", "generator_loss"))
    averaged = int(columns["iteration"][0])
    rows = len(columns["iteration"])
    if rows > CURVE_POINTS:
        group = -(-rows // CURVE_POINTS)
        averaged *= group
        for name, values in columns.items():
            parts = [values[start : start + group] for start in range(0, rows, group)]
            whole = name in ("iteration", "epoch")
            columns[name] = [part[-1] if whole else float(np.mean(part)) for part in parts]
    window = smoothing_window(len(columns["iteration"]))
    return {"columns": columns, "averaged": averaged, "window": window}


def _loss_charts(
    histories: dict[str, dict[str, Any]], objectives: Mapping[str, str | None]
) -> dict[str, Any]:
    """The charts of `CURVES` for each model that has their columns; what compares has one scale."""
    charts = {}
    for kind, lines in CURVES.items():
        having = {m: h for m, h in histories.items() if lines.keys() <= h["columns"].keys()}
        scales = {model: _scale(kind, model, objectives[model]) for model in having}
        for model, history in having.items():
            columns, window = history["columns"], history["window"]
            curves = [
                having[other]["columns"][name]
                for other in having
                if scales[other] == scales[model]
                for name in lines
            ]
            charts[f"{kind}-{model}"] = {
                "kind": "line",
                "label": f"{model}, {kind.replace('_', ' ')}: {', '.join(lines.values())} "
                "by iteration",
                "x": columns["iteration"],
                "x_name": "iteration",
                "epochs": _short(columns["epoch"]),
                "y": [0, 1]
                if kind == "probability"
                else _range(curves, zero=kind not in ("logit", "heart")),
                "log": False,
                "small": kind in SMALL,
                "series": [
                    {
                        "name": label,
                        "values": _short(columns[name]),
                        "smooth": _short(running_mean(columns[name], window))
                        if window > 1
                        else None,
                    }
                    for name, label in lines.items()
                ],
                "marks": [],
            }
    return charts


def _scale(kind: str, model: str, objective: str | None) -> str | None:
    """The same for models whose curves of that kind compare."""
    if kind in ("generator", "discriminator"):
        return objective
    return kind if kind in ("probability", "class_loss") else model


def _range(curves: Iterable[Iterable[float]], zero: bool) -> list[float]:
    """Lowest and highest of the values, with 0 in between or at an end where `zero` is asked."""
    values = [value for curve in curves for value in curve if math.isfinite(value)]
    values = [*values, 0.0] if zero or not values else values
    low, high = min(values), max(values)
    return [low, high if high > low else low + 1.0]


def _selection_charts(selections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One chart of FID by epoch per model, all on one scale."""
    fids = [fid for chosen in selections.values() for fid in chosen["table"]["fid"]]
    fids = [fid for fid in fids if math.isfinite(fid)] or [1.0]
    low, high = min(fids), max(fids)
    log = low > 0 and high > 10 * low
    charts = {}
    for model, chosen in selections.items():
        epochs = chosen["table"]["epoch"]
        marked = {
            "taken": chosen["epoch"],
            "best": chosen["best_epoch"],
            "loss": chosen["lowest_generator_loss_epoch"],
        }
        charts[f"fid-{model}"] = {
            "kind": "line",
            "label": f"{model}: FID of each checkpoint by epoch",
            "x": epochs,
            "x_name": "epoch",
            "epochs": None,
            "y": [low / 1.15, high * 1.15] if log else [min(low, 0), high * 1.05 or 1.0],
            "log": log,
            "dots": len(epochs) <= 60,
            "series": [{"name": "FID", "values": _short(chosen["table"]["fid"]), "smooth": None}],
            "extra": {"generator loss": _short(chosen["table"]["generator_loss"])},
            "marks": [
                {"kind": kind, "at": epochs.index(epoch)}
                for kind, epoch in marked.items()
                if epoch in epochs
            ],
        }
    return charts


def _class_numbers(floor: dict[str, Any], metrics: dict[str, dict[str, Any]]) -> list[str]:
    """Of as many classes as the scores tell apart."""
    by_class = [
        found[key]
        for scores in (floor, *metrics.values())
        for found in scores.values()
        if isinstance(found, dict)
        for key in ("histogram", "class_fids")
        if key in found
    ]
    count = max(map(len, by_class), default=0)
    return [*map(str, range(count))]


def _class_charts(
    classes: Sequence[str], floor: dict[str, Any], metrics: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Shares of the classes beside the real ones: a chart for each model that has them."""
    found = {
        model: shares
        for model, scores in metrics.items()
        if (shares := scores.get("classifier", {}).get("histogram"))
    }
    real = floor.get("classifier", {}).get("histogram")
    beside = {"real images": real} if real else {}
    top = max((share for shares in [*found.values(), real or []] for share in shares), default=0)
    return {
        f"classes-{model}": {
            "kind": "bars",
            "label": f"{model}: share of each class among the images",
            "x": list(range(len(classes))),
            "names": classes,
            "x_name": "class",
            "y": [0, 100 * top * 1.05],
            "series": [
                {"name": name, "values": _short(100 * share for share in of)}
                for name, of in {**beside, "generated": shares}.items()
            ],
        }
        for model, shares in found.items()
    }


def _short(values: Iterable[float]) -> list[float | None]:
    """Four digits are more than a chart shows; JSON has no NaN."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]
