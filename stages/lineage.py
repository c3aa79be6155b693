"""From any file to the run that made it, and from any run to its files.

python -m stages.lineage PATH       a file or folder of models/, samples/, results/ or reports/
python -m stages.lineage RUN_ID     the same from the other end, and what brings its files back
python -m stages.lineage --verify   which rows of the tracker match no more; exits with 1 if any
python -m stages.lineage --rebuild  write the runs that the store lacks, from the files alone
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from ganvas import config, tracking
from ganvas.errors import GanvasError
from stages import cli, mirror, paths, pipeline, provenance

if TYPE_CHECKING:
    from mlflow.entities import Run

OF_A_MODEL = ("train", "select", "sample", "evaluate")
Line = tuple[str, str]


def main(what: str | None = None, /, verify: bool = False, rebuild: bool = False) -> None:
    if [what is not None, verify, rebuild].count(True) != 1:
        raise GanvasError("lineage: give a path or a run's id, or --verify, or --rebuild")
    params = config.load()
    if what is None:
        sys.exit(_verify(params) if verify else _rebuild(params))
    found = _of_path(what, params) if Path(what).exists() or "/" in what else _of_run(what, params)
    for name, words in found:
        print(f"{name:<12}{words}")


def _of_path(what: str, params: config.Params) -> Iterable[Line]:
    """What made a file or folder."""
    entries = pipeline.locked()
    path = _in_repository(what)
    entry = pipeline.maker(path, entries)
    if entry is None:
        outs = [out for entry in entries.values() for out in entry.outs]
        within = sorted(out for out in outs if out.startswith(f"{path}/"))
        hint = f"name one of its outputs: {', '.join(within)}" if within else "run `dvc repro`"
        raise GanvasError(f"{what}: no stage of dvc.lock makes it as a whole; {hint}")
    out = next(out for out in entry.outs if path == out or path.startswith(f"{out}/"))
    yield "output", f"{out}  {entry.outs[out]}, {_state(out, entry.outs[out])}"
    yield "stage", f"{entry.stage}: {entry.cmd}"
    yield "stage hash", entry.key
    runs = [run for dataset in params.datasets for run in tracking.runs(paths.ROOT, dataset)]
    made = [run for run in runs if _made(run, entry, out)]
    # The recording commit may be later: dvc.lock is committed after the run.
    commit = _commit(made[0]) if made else provenance.recording_commit(entry.outs[out])
    yield "commit", commit or "none holds it yet: commit dvc.lock"
    for key, value in _leaves(entry.params):
        yield "parameter", f"{key}: {value}"
    for dep, md5 in entry.deps.items():
        yield "code" if _is_code(dep) else "data", f"{dep}  {md5}"
    if not made:
        yield "MLflow run", "none in the store; `python -m stages.lineage --rebuild` writes it"
    for run in made:
        own = mirror.recorded(run.data.tags, entry.name) is not None
        yield "MLflow run" if own else "used by", _words(run)
    later = [run for run in runs if made and _replaced(made[0], run)]
    if later:
        yield "restored", f"DVC brought these bytes back: run {later[0].info.run_id} is later"


def _of_run(run_id: str, params: config.Params) -> Iterable[Line]:
    """What a run read and made, and the commands that bring its files back."""
    found = [
        run
        for dataset in params.datasets
        for run in tracking.runs(paths.ROOT, dataset)
        if run.info.run_id.startswith(run_id)
    ]
    if len(found) != 1:
        what = "more than one run begins so" if found else "neither a path here nor a run's id"
        raise GanvasError(f"{run_id}: {what}; `mlflow ui` shows the ids")
    run, entries = found[0], pipeline.locked()
    yield "MLflow run", _words(run)
    yield "commit", _commit(run) or "none"
    for key, value in sorted(run.data.params.items()):
        yield "parameter", f"{key}: {value}"
    outs: dict[str, str] = {}
    for stage in OF_A_MODEL:
        recorded = mirror.recorded(run.data.tags, stage)
        if recorded is None:
            continue
        yield "stage", f"{stage}@{run.info.run_name}"
        yield "stage hash", recorded["key"]
        for dep, md5 in recorded["deps"].items():
            if not _is_code(dep):
                yield "data", f"{dep}  {md5}"
        for out, md5 in recorded["outs"].items():
            outs[out] = md5
            yield "output", f"{out}  {md5}, {_state(out, md5)}"
    if not outs:
        yield "files", f"none: its training did not end ({run.info.status.lower()})"
        return
    locked = {out: md5 for entry in entries.values() for out, md5 in entry.outs.items()}
    current = all(locked.get(out) == md5 for out, md5 in outs.items())
    for command in _bring_back(run, outs) if not current else _check_out(outs):
        yield "bring back", command


def _check_out(outs: Iterable[str]) -> list[str]:
    cached = " ".join(out for out in outs if not out.startswith("results/"))
    return [f"dvc checkout {cached}", f"dvc pull {cached}    # where the cache does not have them"]


def _bring_back(run: "Run", outs: Mapping[str, str]) -> list[str]:
    """Commands for the files of a run that dvc.lock has moved past."""
    files = "params.yaml dvc.yaml dvc.lock ganvas stages results"
    lasting = next(md5 for out, md5 in outs.items() if out.endswith("/generator"))
    if commit := provenance.recording_commit(lasting):
        # Found in the change that brought it in; the file of that commit holds all the rest.
        return [f"git checkout {commit[:12]} -- {files} && dvc checkout --force"]
    if name := run.data.tags.get("dvc.experiment"):
        return [f"dvc exp apply {name}"]
    commit = run.data.tags.get("mlflow.source.git.commit", "none")
    code, changed = _differences(run, commit)
    last = next(s for s in reversed(OF_A_MODEL) if mirror.recorded(run.data.tags, s))
    target = f"{last}@{run.info.run_name}"
    if code:
        return [f"none is certain: no commit holds its {', '.join(code)}; {target} ran with them"]
    sets = "".join(f" -S '{key}={value}'" for key, value in changed.items())
    # DVC finds the result in its run cache, and trains nothing.
    return [f"git checkout {commit[:12]} -- {files} && dvc exp run{sets} {target}"]


def _differences(run: "Run", commit: str) -> tuple[list[str], dict[str, Any]]:
    """The code, and the parameters with their values, in which a run differs from its commit."""
    committed = YAML(typ="safe").load(provenance.at(commit, pipeline.PARAMS) or b"{}") or {}
    of_commit = dict(_leaves(committed))
    code: list[str] = []
    params: dict[str, Any] = {}
    for stage in OF_A_MODEL:
        recorded = mirror.recorded(run.data.tags, stage) or {"deps": {}, "params": {}}
        for path, md5 in recorded["deps"].items():
            content = provenance.at(commit, path) if _is_code(path) else None
            if _is_code(path) and hashlib.md5(content or b"").hexdigest() != md5:
                code.append(path)
        for key, value in _leaves(recorded["params"]):
            if of_commit.get(key) != value:
                params[key] = value
    return sorted(set(code)), params


def _verify(params: config.Params) -> int:
    """Say of each run whether dvc.lock and the disk still agree with it; 1 if one does not."""
    entries = pipeline.locked()
    wrong = 0
    for entry in entries.values():
        for out, md5 in entry.outs.items():
            if Path(out).exists() and provenance.dvc_hash(Path(out)) != md5:
                print(f"{out}: not what dvc.lock records; `dvc repro` or `dvc checkout` mends it")
                wrong += 1
    for dataset in params.datasets:
        for run in tracking.runs(paths.ROOT, dataset):
            words = f"{run.info.run_id} {run.info.run_name}"
            if not any(mirror.recorded(run.data.tags, stage) for stage in OF_A_MODEL):
                print(f"{words}: {run.info.status.lower()}, recorded no output")
                continue
            misfits = _misfits(run, entries)
            print(f"{words}: {'; '.join(misfits) or 'matches'}")
            wrong += bool(misfits)
    return int(wrong > 0)


def _misfits(run: "Run", entries: Mapping[str, pipeline.Entry]) -> list[str]:
    """In what a run differs from what dvc.lock records; nothing where it agrees."""
    outs = {out: md5 for entry in entries.values() for out, md5 in entry.outs.items()}
    found = [
        f"{out} is another one now" if out in outs else f"{out} is made no more"
        for stage in OF_A_MODEL
        for out, md5 in (mirror.recorded(run.data.tags, stage) or {"outs": {}})["outs"].items()
        if outs.get(out) != md5
    ]
    dataset, _, model = str(run.info.run_name).partition("-")
    results = paths.results(dataset, model) / "metrics.json"
    if not found and results.exists() and mirror.recorded(run.data.tags, "evaluate"):
        found = [
            f"{name} is {run.data.metrics.get(name)}, {results} has {value}"
            for name, value in mirror.measured(dataset, model).items()
            if run.data.metrics.get(name) != value
        ]
    return found


def _rebuild(params: config.Params) -> int:
    """Write a run for each model of dvc.lock that the store does not have."""
    entries = pipeline.locked()
    for dataset in params.matrix.datasets:
        known = {
            r.data.tags.get(tracking.GENERATOR_TAG) for r in tracking.runs(paths.ROOT, dataset)
        }
        for model in params.matrix.models:
            train = entries.get(pipeline.instance("train", dataset, model))
            if train is None:
                print(f"{dataset}-{model}: not in dvc.lock; `dvc repro` makes it")
            elif train.outs[f"{paths.model(dataset, model)}/generator"] in known:
                print(f"{dataset}-{model}: the store has its run")
            else:
                missing = mirror.rebuild(entries, dataset, model, params)
                lacks = f", but for {', '.join(missing)}: `dvc pull` first" if missing else ""
                print(f"{dataset}-{model}: written{lacks}")
    return 0


def _made(run: "Run", entry: pipeline.Entry, out: str) -> bool:
    """Whether the run made this output, or used the stage's, where that is one of the data set."""
    recorded = mirror.recorded(run.data.tags, entry.name)
    if recorded is not None:
        return bool(recorded["outs"].get(out) == entry.outs[out])
    stages = [mirror.recorded(run.data.tags, stage) or {"deps": {}} for stage in OF_A_MODEL]
    return any(
        found["deps"].get(path) == md5 for found in stages for path, md5 in entry.outs.items()
    )


def _replaced(made: "Run", run: "Run") -> bool:
    """Whether `run` is a later training of the model that `made` is of, with other bytes."""
    generators = [r.data.tags.get(tracking.GENERATOR_TAG) for r in (made, run)]
    same_model = run.info.run_name == made.info.run_name and None not in generators
    later = run.info.start_time > made.info.start_time
    return bool(same_model and later and generators[0] != generators[1])


def _words(run: "Run") -> str:
    experiment = run.data.tags.get("dvc.experiment")
    of = f", experiment {experiment}" if experiment else ""
    return f"{run.info.run_id} {run.info.run_name}, {tracking.moment(run)}{of}"


def _commit(run: "Run") -> str | None:
    commit = run.data.tags.get("mlflow.source.git.commit")
    dirty = run.data.tags.get("mlflow.source.git.dirty") == "true"
    return f"{commit}, with changes that were not committed" if commit and dirty else commit


def _state(out: str, md5: str) -> str:
    if not Path(out).exists():
        return "not on disk"
    return "on disk" if provenance.dvc_hash(Path(out)) == md5 else "another one on disk"


def _in_repository(what: str) -> str:
    try:
        return Path(what).resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        raise GanvasError(f"{what}: outside the repository; run this in its root") from None


def _is_code(path: str) -> bool:
    return path.endswith((".py", ".j2"))


def _leaves(values: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """(dotted key, value) of nested mappings."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


if __name__ == "__main__":
    cli.run(main)
