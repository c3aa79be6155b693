"""The scores of one data set. The last line of `make quickstart`."""

from ganvas.cli.options import Dataset

EXAMPLES = """\
  ganvas summary --dataset digits"""
SHOWN = {  # measure -> its heading
    "fid": "FID",
    "inception_score": "Inception Score",
    "precision": "precision",
    "recall": "recall",
    "modes_covered": "modes",
}
FINE = ("domain_accuracy", "class_accuracy", "class_kept", "ssim")
OF_TRANSLATIONS = {
    "fid": "FID",
    "domain_accuracy": "right domain",
    "class_accuracy": "right class",
    "class_kept": "class kept",
    "l1": "L1",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "cycle_l1": "there and back",
}


def summary(dataset: Dataset) -> None:
    """Print the scores of a data set's models, and where to look next."""
    import json

    from ganvas.errors import GanvasError
    from ganvas.reporting import scoreboard
    from ganvas.workflow import instances

    data = instances.data_set(dataset)
    extractor = data.extractors[0]
    if not data.instances():
        raise GanvasError(f"{dataset}: no translation of it in matrix.translations; add one")
    files = {each.model: each.results / "metrics.json" for each in data.instances()}
    try:
        found = {name: json.loads(path.read_text()) for name, path in files.items()}
        floor = json.loads((data.results / "floor.json").read_text())
        found |= floor.get("baselines", {}) | {"real images": floor}
        rows = {name: each[extractor] | each["pixels"] for name, each in found.items()}
    except (FileNotFoundError, KeyError):
        raise GanvasError(
            f"{dataset}: no scores by {extractor} for each model; `dvc repro "
            f"{data.stage('report')}` makes them"
        ) from None
    shown = OF_TRANSLATIONS if data.group else SHOWN
    shown = {key: heading for key, heading in shown.items() if key in rows["real images"]}
    print(f"\n{dataset}, by the features of {extractor}:\n")
    print("".join([f"{'':<14}", *(f"{heading:>17}" for heading in shown.values())]))
    for name, scores in rows.items():
        cells = [
            f"{scores[key]:>17.{_decimals(key)}f}" if key in scores else f"{'–':>17}"
            for key in shown
        ]
        print("".join([f"{name:<14}", *cells]))
    fids = {name: rows[name]["fid"] for name in files}
    alike = scoreboard.alike(fids, data.settings.seed_deviation)
    if len(alike) > 1:
        print(f"\n{' and '.join(alike)}: seeds make more of a difference in FID, none is ahead.")
    print(f"\nThe report:  {data.page}")
    print("Every run:   make ui, then http://127.0.0.1:5000")
    more = "" if data.group else " for MNIST and Fashion-MNIST too"
    print(f"Next:        edit params.yaml, then `make repro`{more}\n")


def _decimals(measure: str) -> int:
    """Shares and distances of pixels lie between 0 and 1: two would say too little."""
    return 4 if measure in ("l1", "cycle_l1") else 3 if measure in FINE else 2
