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


def summary(dataset: Dataset) -> None:
    """Print the scores of a data set's models, and where to look next."""
    import json

    from ganvas.errors import GanvasError
    from ganvas.reporting import scoreboard
    from ganvas.workflow import instances

    data = instances.data_set(dataset)
    extractor = data.extractors[0]
    files = {each.model: each.results / "metrics.json" for each in data.instances()}
    files["real images"] = data.results / "floor.json"
    try:
        rows = {name: json.loads(path.read_text())[extractor] for name, path in files.items()}
    except (FileNotFoundError, KeyError):
        raise GanvasError(
            f"{dataset}: no scores by {extractor} for each model; `dvc repro report@{dataset}` "
            "makes them"
        ) from None
    heads = [heading for measure, heading in SHOWN.items() if measure in rows["real images"]]
    print(f"\n{dataset}, by the features of {extractor}:\n")
    print("".join([f"{'':<14}", *(f"{heading:>17}" for heading in heads)]))
    for name, scores in rows.items():
        print("".join([f"{name:<14}", *(f"{scores[m]:>17.2f}" for m in SHOWN if m in scores)]))
    fids = {name: rows[name]["fid"] for name in files if name != "real images"}
    alike = scoreboard.alike(fids, data.settings.seed_deviation)
    if len(alike) > 1:
        print(f"\n{' and '.join(alike)}: seeds make more of a difference in FID, none is ahead.")
    print(f"\nThe report:  {data.page}")
    print("Every run:   make ui, then http://127.0.0.1:5000")
    print("Next:        edit params.yaml, then `make repro` for MNIST and Fashion-MNIST too\n")
