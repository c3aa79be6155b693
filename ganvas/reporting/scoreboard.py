"""How scores are shown: the name of each measure, the order of models, the tables, the numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard


class Measure(NamedTuple):
    """How a score is shown. `better`: lower, higher or zero; `kind`: number, share or count."""

    title: str
    better: str
    kind: str = "number"

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return DIRECTIONS[self.better]


MEASURES = {
    "fid": Measure("Fréchet distance (FID)", "lower"),
    "fid_infinity": Measure("FID of unlimited images", "lower"),
    "kid": Measure("Kernel distance (KID)", "lower"),
    "inception_score": Measure("Inception Score", "higher"),
    "precision": Measure("Precision", "higher", "share"),
    "recall": Measure("Recall", "higher", "share"),
    "density": Measure("Density", "higher"),
    "coverage": Measure("Coverage", "higher", "share"),
    "modes_covered": Measure("Classes made", "higher", "count"),
    "modes_kl": Measure("Class imbalance", "lower"),
    # Of models that are told classes.
    "class_accuracy": Measure("Accuracy on the asked class", "higher", "share"),
    "class_fid": Measure("Mean FID within a class", "lower"),
    # Of those that translate.
    "domain_accuracy": Measure("Accuracy on the asked domain", "higher", "share"),
    "class_kept": Measure("Class kept", "higher", "share"),
    "l1": Measure("Mean error (L1)", "lower"),
    "psnr": Measure("PSNR, dB", "higher"),
    "ssim": Measure("SSIM", "higher"),
    "cycle_l1": Measure("Mean error there and back", "lower"),
    "memorisation": Measure("Memorisation", "zero"),
}
FIDS = ("fid", "fid_infinity")
DIRECTIONS = {"lower": "lower is better", "higher": "higher is better", "zero": "0 is best", "": ""}
# Of a training's config.json what is said elsewhere than among its parameters.
APART = ("dataset", "model", "run", "warnings", "given")
EXTRACTORS = {
    "classifier": "Features of the classifier that was trained on this data set",
    "contrastive": "Features of a network that learnt from this data set's images alone: there are "
    "no classes",
    "inception": "Features of InceptionV3: comparable with published scores, though that network "
    "was made for large colour photographs",
    "pixels": "Pixels, without any network",
}


def measure(key: str) -> Measure:
    """How the score of that name is shown; plainly where it is none of `MEASURES`."""
    return MEASURES.get(key, Measure(key, ""))


def is_told(config: Mapping[str, Any]) -> bool:
    """Whether the generator is told classes; `config` is the training's config.json."""
    return bool(config.get("classes", "none") != "none")


def ranked(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The models by FID, lowest first, those without one last; as they come where none has any.

    `metrics` are each model's metrics.json; the FID is by the first extractor that gave one.
    """
    for name in _extractors(metrics):
        scores = {model: of_model.get(name, {}).get("fid") for model, of_model in metrics.items()}
        fids = {model: fid for model, fid in scores.items() if is_number(fid)}
        if fids:
            return sorted(metrics, key=lambda model: fids.get(model, math.inf))
    return list(metrics)


def alike(fids: Mapping[str, float], seed_deviation: float) -> list[str]:
    """The models of which another seed might put any first: the best alone where it is clear.

    Those whose FID is less than two standard deviations of the difference from the lowest one;
    `seed_deviation` is an FID's own, from seed to seed, as a share of it.
    """
    lowest = min(fids.values())
    return [
        model
        for model, fid in fids.items()
        if fid - lowest <= 2 * seed_deviation * math.hypot(fid, lowest)
    ]


def tables(
    floor: dict[str, Any],
    metrics: dict[str, dict[str, Any]],
    seed_deviation: float = 0.0,
    baselines: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """For each extractor its scores: rows of the floor, each model's value and each baseline's.

    The best is marked, of the FID only where it is one of its own (see `alike`).
    """
    sections = []
    for name in _extractors(metrics):
        columns = {model: scores.get(name, {}) for model, scores in metrics.items()}
        found = [key for scores in columns.values() for key in scores if not key.endswith("_std")]
        rows = [
            _row(key, floor.get(name, {}), columns, seed_deviation)
            for key in dict.fromkeys([*MEASURES, *found])
            if any(is_number(scores.get(key)) for scores in columns.values())
        ]
        for row in rows:
            row["baselines"] = {
                baseline: _cell(row["measure"].kind, scores.get(name, {}), row["key"])
                for baseline, scores in (baselines or {}).items()
            }
        sections.append({"name": name, "about": EXTRACTORS.get(name, name), "rows": rows})
    return sections


def within(
    floor: dict[str, Any], metrics: dict[str, dict[str, Any]], key: str, names: Sequence[str]
) -> list[dict[str, Any]]:
    """For each extractor that has any, the FID within each class, or domain: floor and models.

    `key` says which, `names` are theirs. Models without that measure are left out; a class with too
    few images has none. The lowest of a class is marked.
    """
    sections = []
    for extractor in _extractors(metrics):
        found = {m: scores.get(extractor, {}).get(key) for m, scores in metrics.items()}
        columns = {model: fids for model, fids in found.items() if fids}
        real = floor.get(extractor, {}).get(key) or []
        rows = []
        for index, name in enumerate(names):
            of_class = {model: _entry(fids, index) for model, fids in columns.items()}
            known = [fid for fid in of_class.values() if fid is not None]
            lowest = min(known) if len(set(known)) > 1 else None
            cells = {
                model: {"text": number(fid), "best": fid is not None and fid == lowest}
                for model, fid in of_class.items()
            }
            rows.append({"name": name, "cells": cells, "floor": number(_entry(real, index))})
        if columns:
            about = EXTRACTORS.get(extractor, extractor)
            sections.append({"about": about, "models": list(columns), "rows": rows})
    return sections


def _entry(values: Sequence[Any], index: int) -> float | None:
    value = values[index] if index < len(values) else None
    return value if is_number(value) else None


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The parameters in a training's config.json as text, under dotted keys: `penalties.r1`."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if key in APART:
            continue
        if isinstance(value, Mapping):
            found |= {f"{key}.{below}": text for below, text in parameters(value).items()}
        elif isinstance(value, list):
            found[key] = ", ".join(map(str, value)) or "none"
        else:
            found[key] = "–" if value is None else str(value)
    return found


def _extractors(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the scores of metrics.json stand below, in their order."""
    names = (
        name
        for scores in metrics.values()
        for name, value in scores.items()
        if isinstance(value, dict)
    )
    return list(dict.fromkeys(names))


def _row(
    key: str, floor: dict[str, Any], columns: dict[str, dict[str, Any]], seed_deviation: float
) -> dict[str, Any]:
    shown = measure(key)
    cells = {model: _cell(shown.kind, scores, key) for model, scores in columns.items()}
    known = {model: cell["value"] for model, cell in cells.items() if cell["value"] is not None}
    best = {"lower": min, "higher": max}.get(shown.better)
    winner = best(known.values()) if best and len(set(known.values())) > 1 else None
    if winner is not None and key in FIDS and len(alike(known, seed_deviation)) > 1:
        winner = None
    for cell in cells.values():
        cell["best"] = winner is not None and winner == cell["value"]
    return {"key": key, "measure": shown, "floor": _cell(shown.kind, floor, key), "cells": cells}


def _cell(kind: str, scores: dict[str, Any], key: str) -> dict[str, Any]:
    value, deviation = scores.get(key), scores.get(f"{key}_std")
    if not is_number(value):
        return {"value": None, "text": "–", "deviation": ""}
    text = {"share": percent, "count": "{:.0f}".format, "number": number}[kind](value)
    # The deviation shows as many decimals as its value.
    shown = kind == "number" and is_number(deviation)
    spread = f"{deviation:,.{_decimals(value)}f}" if shown else ""
    return {"value": value, "text": text, "deviation": spread}


def with_deviation(cell: Mapping[str, Any]) -> str:
    """A cell's text with its deviation, where it has one."""
    return f"{cell['text']} ± {cell['deviation']}" if cell["deviation"] else str(cell["text"])


def number(value: float | None) -> str:
    """About four digits: 531.4, 75.46, 0.0698; a dash for what is not there."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{_decimals(value)}f}".replace("-", "−")


def joined(names: Sequence[str], last: str = " and ") -> str:
    """One name at least, as a sentence lists them: a, b and c."""
    *others, final = names
    return f"{', '.join(others)}{last}{final}" if others else final


def percent(share: float | None) -> str:
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _decimals(value: float) -> int:
    digits = 3 - math.floor(math.log10(abs(value))) if value else 2
    return min(max(digits, 0), 4)
