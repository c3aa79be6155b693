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
from PIL import Image, UnidentifiedImageError

from ganvas.errors import GanvasError
from ganvas.reporting import scoreboard
from ganvas.tracking.runs import Origin

TEMPLATE = Path(__file__).parent / "templates" / "report.html.j2"

# What keeps a page small, whatever params.yaml asks for.
PICTURE_BYTES = 300_000
PROGRESS_STEPS = 24
CURVE_POINTS = 2_000

SMOOTHED_ROWS = 60  # shorter curves are drawn as they are
SMOOTHING = 1 / 25  # of the curve: the running mean's window

FASHION = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


class Folders(NamedTuple):
    """Where the files of one model lie."""

    model: Path  # config.json, history.csv, progress/iteration-NNNNNNN.png
    samples: Path  # grid.png, interpolation.png and, optionally, nearest.png
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
) -> str:
    """The HTML of the report on `dataset`.

    `results` holds floor.json and classifier.json; `models` says for each model, in the order of
    the columns, where its files are; `seed_deviation` is scoreboard.alike's. Raises `GanvasError`
    when a file is missing or broken.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # A number that is not finite would not be JSON.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {
        "number": scoreboard.number,
        "percent": scoreboard.percent,
        "picture": _picture,
    }
    try:
        template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        content = _content(dataset, results, models, lineage, seed_deviation)
        return template.render(content)
    except FileNotFoundError as error:
        path = error.filename
        raise GanvasError(f"{path}: missing; make it with `dvc repro report@{dataset}`") from None
    except OSError as error:
        raise GanvasError(
            f"{error.filename}: cannot be read ({error.strerror}); delete it and make it again "
            f"with `dvc repro report@{dataset}`"
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
) -> dict[str, Any]:
    """What the template shows."""
    floor, classifier = read_json(results / "floor.json"), read_json(results / "classifier.json")
    metrics = {model: read_json(at.results / "metrics.json") for model, at in models.items()}
    configs = {model: read_json(at.model / "config.json") for model, at in models.items()}
    selections = {model: _selection(at.results) for model, at in models.items()}
    histories = {model: _history(at.model / "history.csv") for model, at in models.items()}
    differing, agreeing = _parameters(configs)
    sections = scoreboard.tables(floor, metrics, seed_deviation)
    progress = {model: drawn(at.model / "progress") for model, at in models.items()}
    loss_charts, selection_charts = _loss_charts(histories), _selection_charts(selections)
    return {
        "dataset": dataset,
        "models": list(models),
        "folders": models,
        "classifier": classifier,
        "floor": floor,
        "metrics": metrics,
        "configs": configs,
        "headline": _headline(sections, seed_deviation),
        "sections": sections,
        # For each extractor what its scores were computed from, the same for every model.
        "context": {
            row["extractor"]: row for at in models.values() for row in read_scores(at.results)
        },
        "selections": selections,
        "histories": histories,
        "differing": differing,
        "agreeing": agreeing,
        "distrust": dict.fromkeys(
            warning for scores in metrics.values() for warning in scores.get("warnings", [])
        ),
        "with_nearest": {
            model: at for model, at in models.items() if (at.samples / "nearest.png").exists()
        },
        "progress": progress,
        "steps": steps(progress),
        "with_probabilities": [model for model in models if f"probability-{model}" in loss_charts],
        "log_fid": any(chart["log"] for chart in selection_charts.values()),
        "charts": loss_charts | selection_charts | _histogram_charts(dataset, floor, metrics),
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
    """A data URI; a picture above `PICTURE_BYTES` is halved until it is below."""
    content = path.read_bytes()
    try:
        while len(content) > PICTURE_BYTES:
            buffer = io.BytesIO()
            with Image.open(io.BytesIO(content)) as image:
                image.reduce(2).save(buffer, "png", optimize=True)
            content = buffer.getvalue()
    except UnidentifiedImageError:
        raise GanvasError(f"{path}: no picture; delete it and run `dvc repro`") from None
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def drawn(folder: Path) -> dict[int, Path]:
    """The progress pictures by iteration."""
    found = {int(path.stem.removeprefix("iteration-")): path for path in folder.glob("iter*.png")}
    if not found:
        raise FileNotFoundError(errno.ENOENT, "", str(folder / "iteration-*.png"))
    return dict(sorted(found.items()))


def _headline(sections: list[dict[str, Any]], seed_deviation: float) -> dict[str, Any] | None:
    """The FID of each model, best first, by the first extractor; which seeds might reorder."""
    for section in sections:
        for row in section["rows"]:
            cells = row["cells"]
            if row["key"] == "fid" and all(cell["value"] is not None for cell in cells.values()):
                ranked = sorted(cells, key=lambda model: cells[model]["value"])
                scores = [(model, cells[model]["text"]) for model in ranked]
                floor = row["floor"]["text"]
                values = {model: cells[model]["value"] for model in ranked}
                alike = scoreboard.alike(values, seed_deviation)
                about = {"extractor": section["name"], "scores": scores, "floor": floor}
                return about | {"alike": alike if len(alike) > 1 else []}
    return None


def _parameters(
    configs: dict[str, dict[str, Any]],
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Parameters that differ, with each model's value, and those that agree."""
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    shown = {
        key: [_plain(config.get(key)) for config in configs.values()]
        for key in keys
        if key not in scoreboard.APART
    }
    differing = {key: values for key, values in shown.items() if len(set(values)) > 1}
    agreeing = {key: values[0] for key, values in shown.items() if key not in differing}
    return differing, agreeing


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


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


def _loss_charts(histories: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Three charts per model; a quantity has the same scale for all of them."""
    kinds = {
        "generator": {"generator_loss": "loss"},
        "discriminator": {"discriminator_loss": "loss"},
        "probability": {"real_probability": "D(real)", "fake_probability": "D(generated)"},
    }
    charts = {}
    for kind, series in kinds.items():
        having = {m: h for m, h in histories.items() if series.keys() <= h["columns"].keys()}
        curves = [history["columns"][name] for history in having.values() for name in series]
        losses = [value for curve in curves for value in curve if math.isfinite(value)]
        top = 1.0 if kind == "probability" else max(losses, default=1.0)
        for model, history in having.items():
            columns, window = history["columns"], history["window"]
            charts[f"{kind}-{model}"] = {
                "kind": "line",
                "label": f"{model}, {kind}: {', '.join(series.values())} by iteration",
                "x": columns["iteration"],
                "x_name": "iteration",
                "epochs": _short(columns["epoch"]),
                "y": [0, top or 1.0],
                "log": False,
                "series": [
                    {
                        "name": label,
                        "values": _short(columns[name]),
                        "smooth": _short(running_mean(columns[name], window))
                        if window > 1
                        else None,
                    }
                    for name, label in series.items()
                ],
                "marks": [],
            }
    return charts


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


def _histogram_charts(
    dataset: str, floor: dict[str, Any], metrics: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Shares of the classes, the real ones first; no chart where no model has them."""
    found = {
        name: scores.get("classifier", {}).get("histogram")
        for name, scores in {"": floor, **metrics}.items()
    }
    histograms = {name: shares for name, shares in found.items() if shares}
    if not histograms.keys() & metrics.keys():
        return {}
    models = list(metrics)
    classes = max(len(shares) for shares in histograms.values())
    top = max(share for shares in histograms.values() for share in shares)
    names = FASHION if dataset == "fashion_mnist" and classes == len(FASHION) else range(classes)
    chart = {
        "kind": "bars",
        "label": "share of each class among the images",
        "x": list(range(classes)),
        "names": [str(name) for name in names],
        "x_name": "class",
        "y": [0, 100 * top * 1.05],
        "series": [
            {
                "name": model or "real images",
                "tone": models.index(model) if model else None,
                "values": _short(100 * share for share in shares),
            }
            for model, shares in histograms.items()
        ],
    }
    return {"histogram": chart}


def _short(values: Iterable[float]) -> list[float | None]:
    """Four digits are more than a chart shows; JSON has no NaN."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]
