"""From any file to the run that made it, and from any run to its files."""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ganvas import config
from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.tracking import runs as store
from ganvas.workflow import instances, mirror, modules, paths, pipeline, provenance
from ganvas.workflow.instances import Instance, matrix

Line = tuple[str, str]


def trace(what: str, params: Params) -> Iterable[Line]:
    """Where a file, a folder or a run comes from: lines of a word and what it says.

    `what` is a path, or the beginning of a run's id. Raises `GanvasError` where nothing is known.
    """
    return _of_path(what, params) if Path(what).exists() or "/" in what else _of_run(what, params)


def _of_path(what: str, params: Params) -> Iterable[Line]:
    """What made a file or folder."""
    entries = _locked()
    path = _in_repository(what)
    made_by = pipeline.maker(path, entries)
    if made_by is None:
        outs = [out for entry in entries.values() for out in entry.outs]
        within = sorted(out for out in outs if out.startswith(f"{path}/"))
        hint = f"name one of its outputs: {', '.join(within)}" if within else "run `dvc repro`"
        raise GanvasError(f"{what}: no one stage of dvc.lock makes it; {hint}")
    entry, outs = made_by
    for out in outs:
        yield "output", f"{out}  {entry.outs[out]}, {_state(out, entry.outs[out])}"
    yield "stage", f"{entry.stage}: {entry.cmd}"
    yield "stage hash", entry.key
    runs = _runs(params)
    made = [run for run in runs if _made(run, entry, outs[0])]
    # Where no run says it: dvc.lock is committed after the stage has run.
    recorded = mirror.recorded(made[0].data.tags, entry.name) if made else None
    commit = recorded["commit"] if recorded else provenance.recording_commit(entry.outs[outs[0]])
    yield "commit", commit or provenance.unknown() or "none holds it yet: commit dvc.lock"
    for key, value in pipeline.leaves(entry.params):
        yield "parameter", f"{key}: {value}"
    for dep, md5 in entry.deps.items():
        yield "code" if pipeline.is_code(dep) else "data", f"{dep}  {md5}"
    if made:
        for run in made:
            yield "MLflow run", _words(run)
        if later := [run for run in runs if _replaced(made[0], run)]:
            later_id = later[0].info.run_id
            yield "restored", f"or kept by DVC: run {later_id} is later, with other bytes"
    elif using := [run for run in runs if _uses(run, entry)]:
        for run in using:
            yield "used by", _words(run)
    elif of_generator := [run for run in runs if _trained(run, entry, entries)]:
        since = f"{entry.stage} has run again since, and the run shows that result"
        for run in of_generator:
            yield "MLflow run", _words(run)
            yield "restored", f"by DVC: {since}"
    else:
        yield "MLflow run", "none in the store; `ganvas lineage --rebuild` writes it"


def _of_run(run_id: str, params: Params) -> Iterable[Line]:
    """What a run read and made, and the commands that bring its files back."""
    found = [run for run in _runs(params) if run.info.run_id.startswith(run_id)]
    if len(found) != 1:
        what = "more than one run begins so" if found else "neither a path here nor a run's id"
        raise GanvasError(f"{run_id}: {what}; `mlflow ui` shows the ids")
    run, locked = found[0], _hashes(_locked().values())
    yield "MLflow run", _words(run)
    for key, value in sorted(run.data.params.items()):
        yield "parameter", f"{key}: {value}"
    outs = _outs(run)
    for stage, recorded in _stages(run).items():
        yield "stage", _stage(stage, run)
        yield "stage hash", recorded["key"]
        yield "commit", recorded["commit"]
        for dep, md5 in recorded["deps"].items():
            if not pipeline.is_code(dep):
                yield "data", f"{dep}  {md5}"
        for out, md5 in recorded["outs"].items():
            yield "output", f"{out}  {md5}, {_state(out, md5)}"
    if not outs:
        yield "files", f"none: its training did not end ({run.info.status.lower()})"
        return
    current = outs.items() <= locked.items()
    for command in _check_out(outs) if current else _bring_back(run, outs):
        yield "bring back", command


def _check_out(outs: Mapping[str, str]) -> list[str]:
    """Commands for files that dvc.lock still records."""
    in_git = [out for out in outs if out.startswith("results/")]
    cached = " ".join(out for out in outs if out not in in_git)
    commands = [f"dvc checkout {cached}", f"dvc pull {cached}"] if cached else []
    commit = next((c for out in in_git if (c := provenance.recording_commit(outs[out]))), None)
    return commands + ([f"git checkout {commit} -- {' '.join(in_git)}"] if commit else [])


def _bring_back(run: "store.Run", outs: Mapping[str, str]) -> list[str]:
    """Commands for the files of a run that dvc.lock has moved past."""
    md5 = next((md5 for out, md5 in outs.items() if out.endswith("/generator")), None)
    if md5 is None:
        return ["none is known: another run, or none that was tracked, trained its generator"]
    if unknown := provenance.unknown():
        return [f"none is certain: commits are {unknown}"]
    name = run.data.tags.get("dvc.experiment")
    if name and not _of_experiment(run, name):
        return [f"dvc exp apply {name}"]
    if commit := provenance.recording_commit(md5):
        return [f"{_code_of(commit)} && dvc checkout --force"]
    commit = run.data.tags.get("mlflow.source.git.commit", "none")
    if commit.startswith("unknown"):
        return [f"none is certain: its commit is {commit}"]
    code, changes = _differences(run, commit)
    target = _stage([*_stages(run)][-1], run)
    if code:
        return [f"none is certain: no commit holds its {', '.join(code)}; {target} ran with them"]
    # DVC finds the result in its run cache, and trains nothing.
    sets = "".join(f" -S '{change}'" for change in changes)
    return [f"{_code_of(commit)} && dvc exp run{sets} {target}"]


def _code_of(commit: str) -> str:
    """The command that puts a commit's code, parameters and results in place."""
    there = set((provenance.git("ls-tree", "--name-only", commit) or "").split())
    wanted = ("params.yaml", "dvc.yaml", "dvc.lock", "ganvas", "stages", "results")
    files = " ".join(name for name in wanted if name in there)
    # What is not committed comes back with `git stash pop`.
    # Without overlay: a module that became a package would otherwise be hidden behind it.
    return f"git stash && git checkout --no-overlay {commit[:12]} -- {files}"


def _differences(run: "store.Run", commit: str) -> tuple[list[str], list[str]]:
    """The code in which a run differs from its commit, and the parameters as `dvc exp run -S`."""
    values = YAML(typ="safe").load(provenance.at(commit, pipeline.PARAMS) or b"{}") or {}
    committed = dict(pipeline.leaves(values))
    defaults = dict(pipeline.leaves({"datasets": config.defaults(values.get("datasets", {}))}))
    of_commit = cache(partial(provenance.at, commit))  # each is a process of git's
    stages, recipe = _stages(run).values(), _recipe(run)
    code = {
        path
        for recorded in stages
        for path, md5 in recorded["deps"].items()
        if pipeline.is_code(path) and pipeline.code_hash(path, recipe, of_commit) != md5
    }
    ran_with = {k: v for recorded in stages for k, v in pipeline.leaves(recorded["params"])}
    below = tuple(f"{key}." for recorded in stages for key in recorded["params"])
    changes = [f"~{key}" for key in committed if key.startswith(below) and key not in ran_with]
    for key, value in ran_with.items():
        if key not in committed and (key not in defaults or defaults[key] != value):
            changes.append(f"+{key}={value}")
        elif key in committed and committed[key] != value:
            changes.append(f"{key}={value}")
    return sorted(code), changes


def _recipe(run: "store.Run") -> dict[str, Any]:
    """With what DVC ran the training, the data set's own settings among it."""
    values = _stages(run).get("train", {}).get("params", {})
    dataset, model = run.data.params["dataset"], run.data.params["model"]
    own = values.get(f"datasets.{dataset}.models.{model}", {})
    return {**values.get(f"models.{model}", {}), **own}


def verify(params: Params) -> bool:
    """Print of each run whether dvc.lock and the disk still agree with it; whether all do.

    The run of an experiment may agree with what the experiment's own commit records instead.
    """
    locked = _hashes(_locked().values())
    there = {out: provenance.dvc_hash(Path(out)) for out in locked if Path(out).exists()}
    changed = [out for out, md5 in there.items() if md5 != locked[out]]
    for out in changed:
        print(f"{out}: not what dvc.lock records; `dvc repro` or `dvc checkout` mends it")
    wrong = bool(changed)
    for run in _runs(params):
        words = f"{run.info.run_id} {run.info.run_name}"
        if not _outs(run):
            print(f"{words}: {run.info.status.lower()}, recorded no output")
            continue
        misfits, fit = _misfits(run, locked, there, modules.on_disk), "matches"
        if misfits and (name := run.data.tags.get("dvc.experiment")):
            misfits, fit = _of_experiment(run, name), f"matches its experiment {name}"
        print(f"{words}: {'; '.join(misfits) or fit}")
        wrong |= bool(misfits)
    return not wrong


def _of_experiment(run: "store.Run", name: str) -> list[str]:
    """In what a run differs from the experiment that made it, whose files are not here."""
    if unknown := provenance.unknown():
        return [f"experiment {name} is {unknown}"]
    found = [
        f"experiment {name} is not here: removed, stopped early, or another clone's; if nobody "
        f"misses it, `mlflow runs delete --run-id {run.info.run_id}`"
    ]
    for commit in provenance.experiments(name):
        of_commit = partial(provenance.at, commit)
        entries = pipeline.locked((of_commit("dvc.lock") or b"").decode())
        locked = _hashes(entries.values())
        misfits = _misfits(run, locked, {}, of_commit)
        if not misfits:
            return []
        found = [f"experiment {name} holds another result now", *misfits]
    return found


def _misfits(
    run: "store.Run",
    locked: Mapping[str, str],
    there: Mapping[str, str],
    read: Callable[[str], bytes | None],
) -> list[str]:
    """In what a run differs from a dvc.lock and from the hashes of what is `there` of it.

    `read` gives a file of results/, or None. Nothing where the run agrees.
    """
    differing: dict[str, list[str]] = {}
    outs = _outs(run)
    for out, md5 in outs.items():
        if out not in locked:
            differing.setdefault("made no more", []).append(out)
        elif md5 not in (locked[out], there.get(out, locked[out])):
            differing.setdefault("another one now", []).append(out)
        elif there.get(out, md5) != md5:
            differing.setdefault("changed on disk", []).append(out)
        elif locked[out] != md5:
            differing.setdefault("another one in dvc.lock", []).append(out)
    found = [f"{how}: {', '.join(outs)}" for how, outs in differing.items()]
    scores = [out for out in outs if out.endswith("/metrics.json")]
    if not found and scores and (metrics := read(scores[0])):
        found = [
            f"{name} is {run.data.metrics.get(name)}, results/ has {value}"
            for name, value in mirror.measures(metrics).items()
            if run.data.metrics.get(name) != value
        ]
    return found


def _runs(params: Params) -> list["store.Run"]:
    """All that the store has of the data sets."""
    return [run for dataset in params.datasets for run in store.search(paths.ROOT, dataset)]


def _stages(run: "store.Run") -> dict[str, dict[str, Any]]:
    """What the run has recorded of its model's stages, by stage."""
    found = {stage: mirror.recorded(run.data.tags, stage) for stage in mirror.OF_A_MODEL}
    return {stage: recorded for stage, recorded in found.items() if recorded}


def _outs(run: "store.Run") -> dict[str, str]:
    """Hashes of all that those stages made."""
    return {out: md5 for of in _stages(run).values() for out, md5 in of["outs"].items()}


def _hashes(entries: Iterable[pipeline.Entry]) -> dict[str, str]:
    """Of every output of stages."""
    return {out: md5 for entry in entries for out, md5 in entry.outs.items()}


def rebuild(params: Params) -> bool:
    """Write a run for each model of dvc.lock that the store lacks, or that has other results.

    Prints a line for each model; returns whether none is left without its run.
    """
    entries = _locked()
    rebuilt = [_rebuild(instance, entries) for instance in matrix(params)]
    return all(rebuilt)


def _rebuild(instance: Instance, entries: Mapping[str, pipeline.Entry]) -> bool:
    names = [pipeline.named(stage, instance) for stage in mirror.OF_A_MODEL]
    of_model = [entries[name] for name in names if name in entries]
    outs = _hashes(of_model)
    md5 = outs.get(instance.generators.as_posix())
    if md5 is None:
        print(f"{instance.name}: not in dvc.lock; `dvc repro` makes it")
        return True
    absent = [out for out, md5 in outs.items() if _state(out, md5) != "on disk"]
    runs = store.search(paths.ROOT, instance.data.name)
    known = [run for run in runs if run.data.tags.get(store.GENERATOR_TAG) == md5]
    if any(_complete(run, of_model) for run in known):
        print(f"{instance.name}: the store has its run")
    elif absent:
        print(f"{instance.name}: needs {', '.join(absent)}: `dvc pull` or `dvc checkout` first")
        return False
    elif mirror.rebuild(entries, instance, known=bool(known)):
        print(f"{instance.name}: written")
    else:
        return False  # the tracker has said why
    return True


def _complete(run: "store.Run", of_model: Iterable[pipeline.Entry]) -> bool:
    stages = _stages(run)
    return all(stages.get(entry.name, {}).get("outs") == entry.outs for entry in of_model)


def _made(run: "store.Run", entry: pipeline.Entry, out: str) -> bool:
    recorded = mirror.recorded(run.data.tags, entry.name)
    return bool(recorded and recorded["outs"].get(out) == entry.outs[out])


def _uses(run: "store.Run", entry: pipeline.Entry) -> bool:
    """Whether the run read the outputs of a stage that has no run: one of the data set."""
    of_model = entry.name in mirror.OF_A_MODEL
    deps = [recorded["deps"].items() for recorded in _stages(run).values()]
    return not of_model and any(entry.outs.items() & each for each in deps)


def _trained(
    run: "store.Run", entry: pipeline.Entry, entries: Mapping[str, pipeline.Entry]
) -> bool:
    """Whether the run trained the generator that the stage worked on."""
    train = entries.get(f"train{entry.stage.removeprefix(entry.name)}")
    generator = run.data.tags.get(store.GENERATOR_TAG)
    return train is not None and generator in train.outs.values()


def _replaced(made: "store.Run", run: "store.Run") -> bool:
    """Whether `run` is a later training of the model that `made` is of, with other bytes."""
    generators = [r.data.tags.get(store.GENERATOR_TAG) for r in (made, run)]
    names = ("dvc.stage", "dvc.experiment")  # an experiment elsewhere has replaced nothing here
    same_model = [run.data.tags.get(n) for n in names] == [made.data.tags.get(n) for n in names]
    later = run.info.start_time > made.info.start_time
    return same_model and later and generators[0] != generators[1] and None not in generators


def _words(run: "store.Run") -> str:
    experiment = run.data.tags.get("dvc.experiment")
    of = f", experiment {experiment}" if experiment else ""
    return f"{run.info.run_id} {run.info.run_name}, {store.moment(run)}{of}"


def _stage(stage: str, run: "store.Run") -> str:
    """As DVC names it; by the parameters, since a run's name may have been changed by hand."""
    group = instances.TRANSLATION if "generator" in run.data.params else ""
    return f"{stage}{group}@{run.data.params['dataset']}-{run.data.params['model']}"


def _locked() -> dict[str, pipeline.Entry]:
    entries = pipeline.locked()
    if not entries:
        raise GanvasError("dvc.lock: not here, or empty; `dvc repro` writes it")
    return entries


def _state(out: str, md5: str) -> str:
    if not Path(out).exists():
        return "not on disk"
    return "on disk" if provenance.dvc_hash(Path(out)) == md5 else "another one on disk"


def _in_repository(what: str) -> str:
    try:
        # Links are not followed: DVC's outputs may be links into its cache.
        return Path(os.path.abspath(what)).relative_to(Path.cwd()).as_posix()  # noqa: PTH100
    except ValueError:
        raise GanvasError(f"{what}: outside the repository; run this in its root") from None
