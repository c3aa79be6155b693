"""Score a model's samples against the real test images. Stage `evaluate` of dvc.yaml."""

import sys

import numpy as np

from ganvas import files
from ganvas.evaluation import scores
from ganvas.workflow import mirror, program, scoring
from ganvas.workflow.instances import Instance


def main(instance: Instance) -> None:
    data = instance.data
    with mirror.of_model(instance) as tracker:
        asked, returned = (
            np.load(path) if path.exists() else None
            for path in (instance.samples / f"{name}.npy" for name in ("classes", "returned"))
        )
        images = np.load(instance.samples / "images.npy")
        found = scoring.score(images, data, asked, instance.recipe.horizontal_flips, returned)
        warnings = {"warnings": found["warnings"]} if "warnings" in found else {}
        files.write_json(instance.results / "metrics.json", scores.numbers(found) | warnings)
        files.write_csv(instance.results / "scores.csv", *scores.table(found))
        for name in data.extractors:
            print(f"{instance.name}: {name} FID {found[name]['fid']:.2f}")
        for warning in warnings.get("warnings", []):
            print(f"warning: {instance.name}: {warning}", file=sys.stderr)
        mirror.scores(tracker, instance)
        mirror.lineage(tracker, "evaluate", instance)


if __name__ == "__main__":
    program.run_stage(main)
