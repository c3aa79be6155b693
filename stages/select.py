"""Score every checkpoint of a training and take one. Stage `select` of dvc.yaml.

The score is the FID against the validation images, which neither network was trained on: no test
image takes part in the choice. Of images of several domains it is the mean of those within each.
"""

import json

from ganvas import devices, files, progress
from ganvas.data import datasets, questions
from ganvas.drawing import exam
from ganvas.evaluation import features, selection
from ganvas.evaluation.metrics.frechet import frechet_distance, statistics
from ganvas.training import checkpoints
from ganvas.workflow import extraction, mirror, program
from ganvas.workflow.instances import Instance


def main(instance: Instance) -> None:
    data, params = instance.data, instance.params
    device = devices.choose(params.device)
    # Opened first: MLflow takes seconds to import, beside the work and not after it.
    with mirror.of_model(instance) as tracker:
        name = data.extractors[0]
        extractor = extraction.load(data, name, device)
        architecture = checkpoints.architecture(instance.architecture)
        validation = datasets.tensors(data.normalized, "validation")
        domains = len(data.domain_names)
        asked = questions.ask(validation, params.select.images, params.seed, domains)
        targets = asked.targets if asked else None
        real = features.load(data.reference(name), "validation")
        sides = [
            statistics(each.features) for each in real.apart(validation.get("domains"), domains)
        ]
        found = sorted(instance.generators.glob("*.safetensors"))
        scored = []
        for path in progress.each(found, f"select {instance.name}", len(found), "checkpoints"):
            generator = checkpoints.load(path, architecture).to(device)
            drawn = exam.draw(
                *(generator, asked, params.select.images, params.seed),
                processes=params.train.processes,
            )
            fake = extractor.extract(drawn.images).apart(targets, domains)
            fids = [
                frechet_distance(*side, *statistics(each.features))
                for side, each in zip(sides, fake, strict=True)
            ]
            fid = sum(fids) / len(fids)
            scored.append(selection.Scored(*checkpoints.facts(path), path.name, fid))
        scored.sort()  # by epoch: names of files sort 10000 before 9999
        chosen = selection.choose(scored, params.select.rule)
        columns = ("epoch", "iteration", "fid", "generator_loss")
        rows = [[getattr(score, column) for column in columns] for score in scored]
        files.write_csv(instance.results / "selection.csv", columns, rows)
        files.write_json(instance.results / "selection.json", {"extractor": name, **chosen})
        print(f"{instance.name}: epoch {chosen['epoch']} taken ({params.select.rule})")
        mirror.selection(tracker, instance)
        mirror.lineage(tracker, "select", instance)
        if params.tracking.tensorboard:
            key = json.loads(instance.config.read_text())["run"]
            with mirror.events(instance, key, scored[-1].iteration) as events:
                events.curves(mirror.checkpoint_fids(instance))


if __name__ == "__main__":
    program.run_stage(main)
