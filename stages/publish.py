"""Write README's tables and pictures from what `dvc repro` has just made of a clean commit.

python -m stages.publish            docs/results.json, docs/images/ and both READMEs
python -m stages.publish --tables   the tables alone: needs nothing but what git holds
"""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ganvas import config, devices, files, pictures, report, showcase, tracking
from ganvas.errors import GanvasError
from stages import cli, freshness, mirror, paths, pipeline, provenance

READMES = {"README.md": "en", "README.vi.md": "vi"}

Entries = Mapping[str, pipeline.Entry]


def main(tables: bool = False) -> None:
    params = config.load()
    if tables:
        texts = pages(params, freshness.published())
    else:
        entries = pipeline.locked()
        _refuse_what_is_not_of_one_commit(entries)
        facts = _facts(entries, params)
        texts = pages(params, facts)
        _write_pictures(params)
        files.write_json(paths.PUBLISHED, facts)
    for name, text in texts.items():
        files.write_text(Path(name), text)
    print(
        f"written: {', '.join(READMES)}" + ("" if tables else f", {paths.PUBLISHED}, docs/images")
    )


def pages(params: config.Params, facts: Mapping[str, Any]) -> dict[str, str]:
    """Each README by name, as it has to be with the results that are there and these facts."""
    if not facts:
        raise GanvasError(f"{paths.PUBLISHED}: not here; `make publish` writes it")
    scores = {}
    for dataset in params.matrix.datasets:
        floor = report.read_json(paths.results(dataset) / "floor.json")
        scores[dataset] = (
            floor,
            {
                model: report.read_json(paths.results(dataset, model) / "metrics.json")
                for model in params.matrix.models
            },
        )
    return {
        name: showcase.replaced(
            Path(name).read_text(), showcase.block(language, scores, facts), name
        )
        for name, language in READMES.items()
    }


def _refuse_what_is_not_of_one_commit(entries: Entries) -> None:
    if not entries:
        raise GanvasError("publish: there is no dvc.lock; `dvc repro` makes it and the results")
    if provenance.commit() is None:
        raise GanvasError("publish: no commit to name; commit the code first")
    if provenance.dirty("docs", *READMES):
        raise GanvasError(
            "publish: code or parameters differ from the commit; commit them, `dvc repro`, publish"
        )
    stages = pipeline.plan()
    if moved := freshness.moved(entries, stages):
        raise GanvasError(
            f"publish: made before the last change of {', '.join(moved)}; run `dvc repro` first"
        )
    outs = {out: md5 for stage in stages for out, md5 in entries[stage.stage].outs.items()}
    other = [out for out, md5 in outs.items() if provenance.dvc_hash(Path(out)) != md5]
    if other:
        raise GanvasError(
            f"publish: not on disk as dvc.lock records: {', '.join(other)}; "
            "`dvc pull` or `dvc repro` brings it"
        )


def _facts(entries: Entries, params: config.Params) -> dict[str, Any]:
    """What docs/results.json holds. Of what was published already only what is new is looked up."""
    before, lock = freshness.published(), provenance.dvc_hash(Path("dvc.lock"))
    if before.get("dvc_lock") != lock:
        before |= {
            "commit": provenance.commit(),
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "dvc_lock": lock,
        }
    models = [(d, m) for d in params.matrix.datasets for m in params.matrix.models]
    training: dict[str, Any] = {dataset: {} for dataset, _ in models}
    seeds: dict[str, Any] = {dataset: {} for dataset, _ in models}
    found = list(_experiments())
    for dataset, model in models:
        known = before.get("training", {}).get(dataset, {}).get(model)
        training[dataset][model] = _training(entries, params, dataset, model, known)
        known = before.get("seeds", {}).get(dataset, {}).get(model)
        seeds[dataset][model] = _seeds(entries, found, dataset, model, known)
    about = {key: before[key] for key in ("commit", "date", "dvc_lock")}
    return about | {"training": training, "seeds": seeds}


def _training(
    entries: Entries,
    params: config.Params,
    dataset: str,
    model: str,
    known: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """How long the training of the generator on disk takes, at the speed that its run noted here.

    `known` is what was published of it, perhaps on another machine.
    """
    train = entries[pipeline.instance("train", dataset, model)]
    generator = train.outs[f"{paths.model(dataset, model)}/generator"]
    if known and known["generator"] == generator and "seconds" in known:
        return dict(known)
    tag = f"tags.`{tracking.GENERATOR_TAG}` = '{generator}'"
    for run in tracking.runs(paths.ROOT, dataset, tag):
        speed = run.data.metrics.get("iterations_per_second")
        if speed:  # 0 is a training that found nothing left to do
            table = report.read_columns(
                paths.results(dataset, model) / "selection.csv", ["iteration"]
            )
            return {
                "generator": generator,
                "seconds": round(max(table["iteration"]) / speed, 1),
                "iterations_per_second": round(speed, 2),
                "hardware": f"{_processor()} ({devices.describe(devices.choose(params.device))})",
            }
    print(f"{dataset}-{model}: no MLflow run here noted its training's speed; README shows a dash")
    return {"generator": generator}


def _seeds(
    entries: Entries,
    experiments: Iterable[tuple[str, Entries]],
    dataset: str,
    model: str,
    known: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """FID by seed: of dvc.lock, of each experiment that differs from it in the seed alone, and of
    those that were published before and so differ."""
    same = _all_but_the_seed(entries, dataset, model)
    fids = dict(known["fid"]) if known and known["same"] == same else {}
    for commit, others in [*experiments, (None, entries)]:
        if _all_but_the_seed(others, dataset, model) == same:
            score = _fid(commit, others, dataset, model)
            fids |= {} if score is None else dict([score])
    return {"same": same, "fid": dict(sorted(fids.items(), key=lambda item: int(item[0])))}


def _experiments() -> Iterable[tuple[str, Entries]]:
    """Commit and dvc.lock of what `dvc exp run` made, the oldest first."""
    found = provenance.git(
        "for-each-ref", "--sort=committerdate", "--format=%(objectname)", "refs/exps"
    )
    for commit in (found or "").split():
        if lock := provenance.at(commit, "dvc.lock"):
            yield commit, pipeline.locked(lock.decode())


def _all_but_the_seed(entries: Entries, dataset: str, model: str) -> str:
    """Hash of what makes the scores of a model comparable: code, parameters, data, classifier."""
    seeded = {out for entry in entries.values() if "seed" in entry.params for out in entry.outs}
    parts = []
    for stage in mirror.OF_A_MODEL:
        entry = entries.get(pipeline.instance(stage, dataset, model))
        if entry is None:
            return ""
        deps = {
            path: md5
            for path, md5 in entry.deps.items()
            if not any(pipeline.overlap(path, out) for out in seeded)
        }
        params = {key: value for key, value in entry.params.items() if key != "seed"}
        parts.append([entry.cmd, deps, params])
    return hashlib.md5(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _fid(
    commit: str | None, entries: Entries, dataset: str, model: str
) -> tuple[str, float] | None:
    """(seed, FID) of a dvc.lock and of results/ beside it; None where they are not of one seed."""
    of_model = [entries[pipeline.instance(stage, dataset, model)] for stage in mirror.OF_A_MODEL]
    path = (paths.results(dataset, model) / "metrics.json").as_posix()
    content = provenance.at(commit, path) if commit else Path(path).read_bytes()
    evaluated = of_model[-1]
    seeds = {entry.params["seed"] for entry in of_model}
    if (
        content is None
        or hashlib.md5(content).hexdigest() != evaluated.outs[path]
        or len(seeds) > 1
    ):
        return None
    extractor = evaluated.params[f"datasets.{dataset}.extractors"][0]
    return str(seeds.pop()), json.loads(content)[extractor]["fid"]


def _write_pictures(params: config.Params) -> None:
    for dataset in params.matrix.datasets:
        models = params.matrix.models
        images = {
            model: np.load(paths.samples(dataset, model) / "images.npy", mmap_mode="r")
            for model in models
        }
        drawn = {model: paths.model(dataset, model) / "progress" for model in models}
        sheets = {"samples": showcase.samples(images), "progress": showcase.progress(drawn)}
        for what, sheet in sheets.items():
            pictures.save_png(Path(showcase.picture(dataset, what)), sheet)
        for model in models:
            losses = paths.report(dataset).parent / model / "losses.png"
            target = Path(showcase.picture(dataset, f"{model}-losses"))
            files.write_bytes(target, losses.read_bytes())


def _processor() -> str:
    """The processor's name, as its maker wrote it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, check=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    cli.run(main)
