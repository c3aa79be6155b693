"""dvc.yaml and dvc.lock as data: what each stage reads, writes and is run with."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.workflow import modules, provenance
from ganvas.workflow.instances import DataSet, Instance, data_sets, matrix

PARAMS = "params.yaml"
FOR_EACH = ("dataset", "model")  # what an entry of matrix.translations has
SETTINGS = "data/datasets.json"  # of the data sets, defaults filled in: stage params writes it

Recorded = dict[str, dict[str, Any]]  # values by key, by the file that DVC reads them from
Of = DataSet | Instance | None  # what an instance of a stage works on
Parts = Mapping[str, Any]  # of a recipe, which modules it names


class Entry(NamedTuple):
    """A stage with the values and the bytes that it ran on; hashes are DVC's, by path."""

    stage: str  # as DVC names it: train@mnist-gan
    cmd: str
    deps: dict[str, str]
    recorded: Recorded
    outs: dict[str, str]

    @property
    def name(self) -> str:
        """The stage without its data set and model."""
        return bare(self.stage)

    @property
    def params(self) -> dict[str, Any]:
        """By the keys of params.yaml, wherever DVC read them."""
        return _by_key(self.recorded)

    @property
    def key(self) -> str:
        """Hash of all but the outputs' bytes: DVC's own, under which its run cache files them."""
        deps = [{"path": p, "hash": "md5", "md5": md5} for p, md5 in sorted(self.deps.items())]
        parts: dict[str, Any] = {"cmd": self.cmd, "deps": deps, "outs": sorted(self.outs)}
        if self.recorded:
            parts["params"] = self.recorded
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Declared(NamedTuple):
    """A stage as dvc.yaml and params.yaml have it now; paths without hashes."""

    stage: str
    cmd: str
    deps: list[str]
    recorded: Recorded
    outs: list[str]
    recipe: Parts

    @property
    def params(self) -> dict[str, Any]:
        return _by_key(self.recorded)


def named(stage: str, of: Of) -> str:
    """As DVC names a stage of a data set, or of a model on it."""
    return of.stage(stage) if of else stage


def bare(stage: str) -> str:
    """A stage, as DVC names it, without what it works on: train@mnist-gan is train."""
    return stage.partition("@")[0].partition("-")[0]


def locked(text: str | None = None) -> dict[str, Entry]:
    """What dvc.lock records, by stage; empty where there is none. `text` is another dvc.lock's."""
    if text is None:
        path = Path("dvc.lock")
        text = path.read_text() if path.exists() else ""
    try:
        content = YAML(typ="safe").load(text) or {}
    except YAMLError:
        raise GanvasError("dvc.lock: not valid YAML (a merge that stopped?); mend it") from None
    return {
        stage: Entry(
            stage,
            values["cmd"],
            {item["path"]: item["md5"] for item in values.get("deps", ())},
            values.get("params", {}),
            {item["path"]: item["md5"] for item in values.get("outs", ())},
        )
        for stage, values in content.get("stages", {}).items()
    }


def declared(stage: str, of: Of, values: Any = None) -> Declared:
    """One instance of a stage of dvc.yaml, with the values of params.yaml, read if not given."""
    values, items = values or _params(), _dvc_yaml()[named(stage, of).partition("@")[0]]
    items = items.get("do", items)
    data = of.data if isinstance(of, Instance) else of
    files = {PARAMS: values, SETTINGS: data.params.data_sets() if data else {}}
    model = of.model if isinstance(of, Instance) else ""

    def filled(text: str) -> str:
        name = data.name if data else ""
        return text.replace("${item.dataset}", name).replace("${item.model}", model)

    def at(file: str, key: str) -> Any:
        return reduce(lambda section, part: section.get(part, {}), key.split("."), files[file])

    def paths(kinds: Iterable[str]) -> list[str]:
        found = [item for kind in kinds for item in items.get(kind, ())]
        return sorted(filled(item if isinstance(item, str) else next(iter(item))) for item in found)

    return Declared(
        named(stage, of),
        filled(items["cmd"]),
        paths(["deps"]),
        {
            file: {key: at(file, key) for key in sorted(map(filled, keys))}
            for file, keys in sorted(_watched(items.get("params", ())).items())
        },
        paths(["outs", "metrics", "plots"]),
        of.recipe.model_dump() if isinstance(of, Instance) else {},
    )


def plan(params: Params, seed: int | None = None) -> list[Declared]:
    """Every stage that `dvc repro` would look at, in dvc.yaml's order; with another `seed`."""
    values, every = _params(), [None, *data_sets(params), *matrix(params)]
    values["seed"] = values["seed"] if seed is None else seed
    kinds = {(): type(None), ("dataset",): DataSet, ("dataset", "model"): Instance}
    return [
        declared(bare(stage), of, values)
        for stage, items in _dvc_yaml().items()
        for of in every
        if isinstance(of, kinds[tuple(items.get("matrix", FOR_EACH if "do" in items else ()))])
        and named(bare(stage), of).partition("@")[0] == stage
    ]


def present(stage: str, of: Of) -> Entry:
    """What dvc.lock will record once the stage, whose outputs are written, has ended."""
    now = declared(stage, of)
    outs = {out: provenance.dvc_hash(Path(out)) for out in now.outs}
    return Entry(now.stage, now.cmd, _hashed(stage, of), now.recorded, outs)


def recorded(stage: str, of: Of) -> bool:
    """Whether dvc.lock has what the stage makes of its inputs as they are."""
    now = declared(stage, of)
    then = locked().get(now.stage)
    inputs = (now.cmd, _hashed(stage, of), now.recorded)
    return then is not None and (then.cmd, then.deps, then.recorded) == inputs


def is_code(dep: str) -> bool:
    """Whether a dependency is on a module or template, or on a folder of links to modules."""
    return dep.endswith((".py", ".j2")) or dep.startswith(f"{modules.LINKS}/")


def code(dep: str, recipe: Parts, read: modules.Read = modules.on_disk) -> list[str]:
    """The files behind a dependency on code: itself, or what a folder of links leads to."""
    linked = dep.startswith(f"{modules.LINKS}/")
    return modules.of_recipe(recipe, Path(dep).name, read) if linked else [dep]


def code_hash(dep: str, recipe: Parts, read: modules.Read = modules.on_disk) -> str | None:
    """What dvc.lock would record for a dependency on code, links made or not; None where it is not
    there."""
    md5s = {
        file: hashlib.md5(content).hexdigest()
        for file in code(dep, recipe, read)
        if (content := read(file)) is not None
    }
    if dep in md5s or not md5s:
        return md5s.get(dep)
    return provenance.folder_hash({modules.linked(file): md5 for file, md5 in md5s.items()})


def code_hashes(stage: str, of: Of) -> dict[str, str | None]:
    """Of a stage's dependencies those on code, with the hashes that they have now."""
    now = declared(stage, of)
    return {dep: code_hash(dep, now.recipe) for dep in now.deps if is_code(dep)}


def maker(path: str, entries: Mapping[str, Entry]) -> tuple[Entry, list[str]] | None:
    """The stage that makes the file or folder, and of its outputs those that the path is about.

    A path may lie in an output, or hold outputs, if all are of one stage.
    """
    around = []
    for entry in entries.values():
        if outs := [out for out in entry.outs if overlap(path, out)]:
            around.append((entry, outs))
    return around[0] if len(around) == 1 else None


def all_but_the_seed(entries: Mapping[str, Entry], of_model: Iterable[Entry]) -> str:
    """Hash of what makes the scores of a model comparable: code, parameters, data, classifier.

    `of_model` are those of its stages among the entries of a dvc.lock.
    """
    seeded = {out for entry in entries.values() if "seed" in entry.params for out in entry.outs}
    parts = []
    for entry in of_model:
        deps = {
            path: md5
            for path, md5 in entry.deps.items()
            if not any(overlap(path, out) for out in seeded)
        }
        params = {key: value for key, value in entry.params.items() if key != "seed"}
        parts.append([entry.cmd, deps, params])
    return hashlib.md5(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def overlap(path: str, other: str) -> bool:
    """Whether one is the other or lies in it."""
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")


def leaves(values: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """(dotted key, value) of nested mappings."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _by_key(recorded: Recorded) -> dict[str, Any]:
    settings = {f"datasets.{key}": value for key, value in recorded.get(SETTINGS, {}).items()}
    return recorded.get(PARAMS, {}) | settings


def _watched(params: Iterable[Any]) -> dict[str, list[str]]:
    """The keys that a stage of dvc.yaml names, by their file."""
    found: dict[str, list[str]] = {}
    for each in params:
        for file, keys in (each if isinstance(each, dict) else {PARAMS: [each]}).items():
            found.setdefault(file, []).extend(keys)
    return found


def _hashed(stage: str, of: Of) -> dict[str, str]:
    """The hashes of a stage's dependencies as they are."""
    # A stage that is run by hand may find no links.
    code = code_hashes(stage, of)
    deps = declared(stage, of).deps
    return {dep: code.get(dep) or provenance.dvc_hash(Path(dep)) for dep in deps}


@cache
def _dvc_yaml() -> Any:
    return YAML(typ="safe").load(Path("dvc.yaml"))["stages"]


def _params() -> Any:
    return YAML(typ="safe").load(Path(PARAMS))
