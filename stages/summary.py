"""Print the scores of one data set and where to look next. The last line of `make quickstart`."""

import json

from ganvas import config
from stages import cli, paths

SHOWN = {  # measure -> its heading
    "fid": "FID",
    "inception_score": "Inception Score",
    "precision": "precision",
    "recall": "recall",
    "modes_covered": "modes",
}


def main(dataset: str) -> None:
    params = config.load()
    extractor = params.datasets[dataset].extractors[0]
    folder = paths.results(dataset)
    rows = {
        model: json.loads((folder / model / "metrics.json").read_text())[extractor]
        for model in params.matrix.models
    }
    rows["real images"] = json.loads((folder / "floor.json").read_text())[extractor]
    heads = [heading for measure, heading in SHOWN.items() if measure in rows["real images"]]
    print(f"\n{dataset}, by the features of {extractor}:\n")
    print("".join([f"{'':<14}", *(f"{heading:>17}" for heading in heads)]))
    for name, scores in rows.items():
        print("".join([f"{name:<14}", *(f"{scores[m]:>17.2f}" for m in SHOWN if m in scores)]))
    print(f"\nThe report:  {paths.report(dataset)}")
    print("Every run:   make ui, then http://127.0.0.1:5000")
    print("Next:        edit params.yaml, then `make repro` for MNIST and Fashion-MNIST too\n")


if __name__ == "__main__":
    cli.run(main)
