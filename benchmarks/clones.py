"""What clones of this repository have made: results of their workspaces and of DVC's experiments.

A clone is read as its own git and dvc.lock have it, and nothing in it is written.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager
from csv import DictReader
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from ganvas import config, files
from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.reporting import showcase
from ganvas.workflow import mirror, modules, pipeline, program, provenance
from ganvas.workflow.pipeline import Entry

Row = dict[str, Any]
# What of a row hangs on the run of its training; the last keys, in the order that they have.
NOTED = ("curve", "iterations_per_second", "hardware", "minutes")
# refs/exps/<two digits of the commit it started from>/<its others>/<name>; not those below exec/
EXPERIMENT = re.compile(r"(\S+) (\S+) refs/exps/([0-9a-f]{2}/[0-9a-f]{38})/(\S+)")


class State(NamedTuple):
    """Results that lie together: a workspace's, or an experiment's."""

    name: str  # of the experiment; empty for the workspace
    commit: str  # that the code is of: an experiment's is the one that it started from
    date: str  # of the experiment's own commit; empty for the workspace
    read: modules.Read
    entries: dict[str, Entry]  # of its dvc.lock

    def of_model(self, dataset: str, model: str, stages: Sequence[str]) -> list[Entry]:
        """Those of the stages that dvc.lock has."""
        names = [f"{stage}@{dataset}-{model}" for stage in stages]
        return [self.entries[name] for name in names if name in self.entries]

    def md5(self, path: str) -> str | None:
        """Of a file or folder as it lies there, as DVC has it; None where it does not."""
        if not self.name:
            return provenance.dvc_hash(Path(path)) if Path(path).exists() else None
        content = self.read(path)
        return None if content is None else hashlib.md5(content).hexdigest()

    def json(self, path: str) -> dict[str, Any]:
        return dict(json.loads(self.read(path) or b"{}"))

    def columns(self, path: str) -> dict[str, list[float]]:
        """The numbers of a .csv by the names of its columns."""
        rows = list(DictReader((self.read(path) or b"").decode().splitlines()))
        return {name: [float(row[name]) for row in rows] for name in rows[0]}


@contextmanager
def inside(clone: Path) -> Iterator[None]:
    """Paths and git's commands are of the clone. Raises `GanvasError` where it is none."""
    if not clone.is_dir():
        raise GanvasError(f"{clone}: no such folder; name a clone of this repository")
    with chdir(clone):
        if provenance.commit() is None:
            why, remedy = provenance.trouble() or (
                "no repository of git with a commit",
                "name a clone",
            )
            raise GanvasError(f"{clone}: {why}; {remedy}")
        if not Path("dvc.yaml").exists():
            raise GanvasError(f"{clone}: has no dvc.yaml; name a clone of this repository's root")
        yield


def workspace() -> State:
    return State("", provenance.commit() or "", "", modules.on_disk, pipeline.locked())


def experiments() -> list[State]:
    """Those that `dvc exp` keeps, the oldest first."""
    found = provenance.git(
        *("for-each-ref", "--sort=committerdate", "refs/exps"),
        "--format=%(objectname) %(committerdate:iso-strict) %(refname)",
    )
    states = []
    for line in (found or "").splitlines():
        if match := EXPERIMENT.fullmatch(line):
            commit, date, base, name = match.groups()
            read = cache(partial(provenance.at, commit))
            entries = pipeline.locked((read("dvc.lock") or b"").decode())
            states.append(State(name, base.replace("/", ""), date, read, entries))
    return states


def doubt(state: State, of_model: Iterable[Entry]) -> str | None:
    """Why dvc.lock does not vouch for what these stages of a model made; None where it does.

    Files have to be those that it records, each stage to have run on what the others made, with the
    same seed, and the code to be the commit's.
    """
    of_model = list(of_model)
    outs = {out: md5 for entry in of_model for out, md5 in entry.outs.items()}
    for out, md5 in outs.items():
        there = state.md5(out)
        if there != md5 and (there or out.startswith("results/")):
            return f"{out} is not what dvc.lock records"
    for entry in of_model:
        other = [path for path, md5 in entry.deps.items() if outs.get(path, md5) != md5]
        if other:
            return f"{entry.stage} ran on another {other[0]}"
    if len({entry.params["seed"] for entry in of_model}) > 1:
        return "its stages ran with different seeds"
    of_commit = partial(_at, state.commit)
    values = recipe(of_model)
    code = {
        dep
        for entry in of_model
        for dep, md5 in entry.deps.items()
        if pipeline.is_code(dep) and pipeline.code_hash(dep, values, of_commit) != md5
    }
    return f"made by other code than commit {state.commit[:12]} has: {min(code)}" if code else None


def recipe(of_model: Iterable[Entry]) -> dict[str, Any]:
    """With what DVC ran the training, the data set's own settings among it."""
    train = next(entry for entry in of_model if entry.name == "train")
    dataset, model = train.stage.partition("@")[2].split("-")
    own = train.params.get(f"datasets.{dataset}.models.{model}", {})
    return {**train.params[f"models.{model}"], **own}


def generator(of_model: Iterable[Entry]) -> str:
    """DVC's hash of what the training made."""
    train = next(entry for entry in of_model if entry.name == "train")
    return next(md5 for out, md5 in train.outs.items() if out.endswith("/generator"))


def noted(state: State, path: str, dataset: str, generator: str) -> dict[str, Any]:
    """`NOTED`: the curve of a selection.csv with, where MLflow knows the run, minutes and speed."""
    table = state.columns(path)
    curve: dict[str, list[float]] = {"iteration": [*map(int, table["iteration"])]}
    curve["fid"] = table["fid"]
    speed = mirror.speed(Path.cwd(), dataset, generator)
    if not speed:
        return {"curve": curve}
    per_minute = 60 * speed["iterations_per_second"]
    curve["minutes"] = [round(iteration / per_minute, 3) for iteration in curve["iteration"]]
    return {"curve": curve, **speed, "minutes": max(curve["minutes"])}


def params(state: State) -> dict[str, Any]:
    """params.yaml by dotted keys, as an experiment has it."""
    values = YAML(typ="safe").load(state.read(pipeline.PARAMS) or b"{}") or {}
    return dict(pipeline.leaves(values))


def merged(before: Iterable[Row], found: Iterable[Row], by: Sequence[str]) -> list[Row]:
    """The rows of before, with those found in the place of their like; `by` are keys that name one.

    What the run of a training noted is kept, where a row of the same generator comes without it.
    """
    rows = {tuple(row[key] for key in by): row for row in before}
    for row in found:
        name = tuple(row[key] for key in by)
        old = rows.get(name, {})
        if "iterations_per_second" not in row and old.get("generator") == row["generator"]:
            row |= {key: old[key] for key in NOTED if key in old}
        rows[name] = row
    return [*rows.values()]


def collect(
    about: str,
    path: Path,
    by: Sequence[str],
    order: Sequence[str],
    read: Callable[[Params], Iterable[Row]],
) -> list[Row]:
    """A program: merge what `read` finds in the clones that the command line names into the rows of
    the file, in order of those keys; returns them. `read` is given this repository's params.yaml.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("clones", nargs="+", type=Path, metavar="CLONE")
    arguments = parser.parse_args()
    with program.errors_in_one_line():
        params, found = config.load(), []
        for clone in arguments.clones:
            with inside(clone.resolve()):
                found += list(read(params))
        before = showcase.collected(path)
        rows = sorted(merged(before, found, by), key=lambda row: [row[key] for key in order])
        files.write_json(path, rows)
    new = sum(row not in before for row in rows)
    print(f"{path}: {len(rows)} rows, {new} of them new; `ganvas publish --tables` shows them")
    return rows


def left_out(what: str, why: str) -> None:
    print(f"left out: {what}: {why}", file=sys.stderr)


_at = cache(provenance.at)
