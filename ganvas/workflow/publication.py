"""The pages' tables and pictures, from what `dvc repro` has just made of a clean commit."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ganvas import files, pictures
from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.reporting import report, search, showcase, zoo
from ganvas.workflow import freshness, mirror, modules, paths, pipeline, provenance
from ganvas.workflow.instances import DataSet, Instance

# The blocks of each page, which its translation has too (showcase.py).
BLOCKS = {
    "README": {"first": showcase.first},
    "docs/results": {"results": showcase.tables, "zoo": zoo.block, "search": search.block},
}
PAGES = {
    showcase.Page(f"{page}{ending}", language): blocks
    for page, blocks in BLOCKS.items()
    for language, ending in {"en": ".md", "vi": ".vi.md"}.items()
}
NAMES = tuple(page.name for page in PAGES)

Entries = Mapping[str, pipeline.Entry]


def write(params: Params, *, tables_only: bool = False) -> None:
    """Write docs/results.json, docs/images/ and the blocks of `PAGES`.

    The pages' tables and the zoo's chart alone need nothing but what git holds. Raises
    `GanvasError`, and writes nothing, where the results are not all of one clean commit.
    """
    facts = freshness.published() if tables_only else _facts(_of_one_commit(params), params)
    texts = pages(params, facts)
    if not tables_only:
        for name in params.matrix.datasets:
            _write_pictures(DataSet(params, name))
        _write_first(params)
        files.write_json(paths.PUBLISHED, facts)
    if zoo.timed(rows := showcase.collected(paths.ZOO)):
        files.write_bytes(zoo.CHART, zoo.chart(rows))
    for name, text in texts.items():
        files.write_text(Path(name), text)


def pages(params: Params, facts: Mapping[str, Any]) -> dict[str, str]:
    """Each page by name, as it has to be with the results that are there and these facts."""
    if not facts:
        raise GanvasError(f"{paths.PUBLISHED}: not here; `make publish` writes it")
    scores = {}
    for dataset in params.matrix.datasets:
        data = DataSet(params, dataset)
        of_models = {
            instance.model: report.read_json(instance.results / "metrics.json")
            for instance in data.instances()
        }
        floor = report.read_json(data.results / "floor.json")
        scores[dataset] = (floor, of_models, data.settings.seed_deviation)
    collected = (showcase.collected(path) for path in (paths.ZOO, paths.SEARCH))
    results, texts = showcase.Results(scores, facts, *collected), {}
    for page, blocks in PAGES.items():
        texts[page.name] = Path(page.name).read_text()
        for name, block in blocks.items():
            text = block(page, results)
            texts[page.name] = showcase.replaced(texts[page.name], name, text, page.name)
    return texts


def _of_one_commit(params: Params) -> Entries:
    """What dvc.lock records, or `GanvasError` where that is not all of one clean commit."""
    entries = pipeline.locked()
    if not entries:
        raise GanvasError("publish: there is no dvc.lock; `dvc repro` makes it and the results")
    if found := provenance.trouble():
        raise GanvasError(f"publish: {'; '.join(found)}")
    if provenance.commit() is None:
        raise GanvasError("publish: no commit to name; commit the code first")
    if provenance.dirty("docs", *NAMES):
        raise GanvasError(
            "publish: code or parameters differ from the commit; commit them, `dvc repro`, publish"
        )
    stages = pipeline.plan(params)
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
    return entries


def _facts(entries: Entries, params: Params) -> dict[str, Any]:
    """What docs/results.json holds. Of what was published already only what is new is looked up."""
    before, lock = freshness.published(), provenance.dvc_hash(Path("dvc.lock"))
    if before.get("dvc_lock") != lock:
        before |= {
            "commit": provenance.commit(),
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "dvc_lock": lock,
        }
    training: dict[str, Any] = {dataset: {} for dataset in params.matrix.datasets}
    seeds: dict[str, Any] = {dataset: {} for dataset in params.matrix.datasets}
    found = list(_experiments())
    published = [DataSet(params, dataset) for dataset in params.matrix.datasets]
    for instance in (instance for data in published for instance in data.instances()):
        dataset, model = instance.data.name, instance.model
        known = before.get("training", {}).get(dataset, {}).get(model)
        training[dataset][model] = _training(entries, instance, known)
        known = before.get("seeds", {}).get(dataset, {}).get(model, {})
        seeds[dataset][model] = _seeds(entries, found, instance, known, before["commit"])
    about = {key: before[key] for key in ("commit", "date", "dvc_lock")}
    return about | {"training": training, "seeds": seeds}


def _training(
    entries: Entries, instance: Instance, known: Mapping[str, Any] | None
) -> dict[str, Any]:
    """How long the training of the generator on disk takes, at the speed that its run noted here.

    `known` is what was published of it, perhaps on another machine.
    """
    train = entries[pipeline.named("train", instance)]
    generator = train.outs[instance.generators.as_posix()]
    if known and known["generator"] == generator and "seconds" in known:
        return dict(known)
    if noted := mirror.speed(paths.ROOT, instance.data.name, generator):
        table = report.read_columns(instance.results / "selection.csv", ["iteration"])
        speed = noted["iterations_per_second"]
        hardware = noted.get("hardware") or provenance.hardware(instance.params.device)
        return {
            "generator": generator,
            "seconds": round(max(table["iteration"]) / speed, 1),
            "iterations_per_second": round(speed, 2),
            "hardware": hardware,
        }
    print(f"{instance.name}: no MLflow run here noted its training's speed; a dash is shown")
    return {"generator": generator}


def _seeds(
    entries: Entries,
    experiments: Iterable[tuple[modules.Read, Entries]],
    instance: Instance,
    known: Mapping[str, Any],
    commit: str,
) -> dict[str, Any]:
    """FID by seed, of dvc.lock and of each experiment that differs from it in the seed alone.

    Those that were published before, at the `commit` noted with them, are kept as long as the seed
    of dvc.lock still has its published FID to the last digit: then no code, parameter, data or
    classifier that changed has changed what comes out.
    """
    here = _fid(modules.on_disk, entries, instance)
    unmoved = known and here and here.items() <= known["fid"].items()
    fids = dict(known["fid"]) if unmoved else {}
    same = _all_but_the_seed(entries, instance)
    for read, others in experiments:
        if _all_but_the_seed(others, instance) == same:
            fids |= _fid(read, others, instance)
    fids |= here
    since = known["commit"] if unmoved else commit
    return {"commit": since, "fid": dict(sorted(fids.items(), key=lambda item: int(item[0])))}


def _experiments() -> Iterable[tuple[modules.Read, Entries]]:
    """What reads a file of it, and dvc.lock, of each `dvc exp run`, the oldest first."""
    found = provenance.git(
        "for-each-ref", "--sort=committerdate", "--format=%(objectname)", "refs/exps"
    )
    for commit in (found or "").split():
        read = partial(provenance.at, commit)
        if lock := read("dvc.lock"):
            yield read, pipeline.locked(lock.decode())


def _all_but_the_seed(entries: Entries, instance: Instance) -> str:
    names = [pipeline.named(stage, instance) for stage in mirror.OF_A_MODEL]
    if any(name not in entries for name in names):
        return ""
    return pipeline.all_but_the_seed(entries, [entries[name] for name in names])


def _fid(read: modules.Read, entries: Entries, instance: Instance) -> dict[str, float]:
    """FID by seed of a dvc.lock and of results/ beside it; none where they are not of one seed."""
    of_model = [entries[pipeline.named(stage, instance)] for stage in mirror.OF_A_MODEL]
    path, last = (instance.results / "metrics.json").as_posix(), of_model[-1]
    content, seeds = read(path), {entry.params["seed"] for entry in of_model}
    if content is None or hashlib.md5(content).hexdigest() != last.outs[path] or len(seeds) > 1:
        return {}
    named = last.params[f"datasets.{instance.data.name}.extractors"]
    extractor = (named or instance.data.extractors)[0]
    return {str(seeds.pop()): json.loads(content)[extractor]["fid"]}


def _write_pictures(data: DataSet) -> None:
    images, drawn = {}, {}
    for instance in data.instances():
        images[instance.model] = np.load(instance.samples / "images.npy", mmap_mode="r")
        drawn[instance.model] = instance.folder / "progress"
        losses = showcase.picture(data.name, f"{instance.model}-losses")
        files.write_bytes(losses, (instance.report / "losses.png").read_bytes())
    pictures.save_png(showcase.picture(data.name, "samples"), showcase.samples(images))
    pictures.save_png(showcase.picture(data.name, "progress"), showcase.progress(drawn))


def _write_first(params: Params) -> None:
    drawn = {
        name: {i.model: i.samples / "images.npy" for i in DataSet(params, name).instances()}
        for name in params.matrix.datasets
    }
    images = {
        name: {model: np.load(drawn[name][model], mmap_mode="r") for model in models}
        for name, models in showcase.in_first(drawn).items()
    }
    pictures.save_png(showcase.FIRST, showcase.first_picture(images))
