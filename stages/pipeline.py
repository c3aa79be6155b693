"""dvc.yaml and dvc.lock as data: what each stage reads, writes and is run with."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ganvas.errors import GanvasError
from stages import provenance

PARAMS = "params.yaml"


class Entry(NamedTuple):
    """A stage with the values and the bytes that it ran on; hashes are DVC's, by path."""

    stage: str  # as DVC names it: train@mnist-gan
    cmd: str
    deps: dict[str, str]
    params: dict[str, Any]  # by the keys that dvc.yaml names
    outs: dict[str, str]

    @property
    def name(self) -> str:
        """The stage without its data set and model."""
        return self.stage.partition("@")[0]

    @property
    def key(self) -> str:
        """Hash of all but the outputs' bytes: DVC's own, under which its run cache files them."""
        parts: dict[str, Any] = {"cmd": self.cmd, "deps": _lock_items(self.deps)}
        if self.params:
            parts["params"] = {PARAMS: self.params}
        parts["outs"] = sorted(self.outs)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Declared(NamedTuple):
    """A stage as dvc.yaml and params.yaml have it now; paths without hashes."""

    stage: str
    cmd: str
    deps: list[str]
    params: dict[str, Any]
    outs: list[str]


def instance(stage: str, dataset: str, model: str | None = None) -> str:
    return f"{stage}@{dataset}" + (f"-{model}" if model else "")


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
            values.get("params", {}).get(PARAMS, {}),
            {item["path"]: item["md5"] for item in values.get("outs", ())},
        )
        for stage, values in content.get("stages", {}).items()
    }


def declared(stage: str, dataset: str | None = None, model: str | None = None) -> Declared:
    """One instance of a stage of dvc.yaml, with the values of params.yaml."""
    values, items = _params(), _dvc_yaml()[stage]

    def filled(text: str) -> str:
        return text.replace("${item.dataset}", dataset or "").replace("${item.model}", model or "")

    def paths(kinds: Iterable[str]) -> list[str]:
        found = [item for kind in kinds for item in items.get(kind, ())]
        return sorted(filled(item if isinstance(item, str) else next(iter(item))) for item in found)

    return Declared(
        instance(stage, dataset, model) if dataset else stage,
        filled(items["cmd"]),
        paths(["deps"]),
        {key: _at(values, key) for key in sorted(map(filled, items.get("params", ())))},
        paths(["outs", "metrics", "plots"]),
    )


def plan() -> list[Declared]:
    """Every stage that `dvc repro` would look at, in dvc.yaml's order."""
    values = _params()
    found = []
    for stage, items in _dvc_yaml().items():
        named = items.get("matrix", {})  # {name: "${key of params.yaml}"}
        choices = [
            _at(values, keys.removeprefix("${").removesuffix("}")) for keys in named.values()
        ]
        for chosen in product(*choices):
            found.append(declared(stage, **dict(zip(named, chosen, strict=True))))
    return found


def present(stage: str, dataset: str, model: str | None = None) -> Entry:
    """What dvc.lock will record once the stage, whose outputs are written, has ended."""
    now = declared(stage, dataset, model)

    def hashes(paths: Iterable[str]) -> dict[str, str]:
        return {path: provenance.dvc_hash(Path(path)) for path in paths}

    return Entry(now.stage, now.cmd, hashes(now.deps), now.params, hashes(now.outs))


def maker(path: str, entries: Mapping[str, Entry]) -> tuple[Entry, list[str]] | None:
    """The stage that makes the file or folder, and of its outputs those that the path is about.

    A path may lie in an output, or hold outputs, if all are of one stage.
    """
    around = [
        (entry, out) for entry in entries.values() for out in entry.outs if overlap(path, out)
    ]
    if len({entry.stage for entry, _ in around}) != 1:
        return None
    return around[0][0], [out for _, out in around]


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


@cache
def _dvc_yaml() -> dict[str, Any]:
    stages: dict[str, Any] = YAML(typ="safe").load(Path("dvc.yaml"))["stages"]
    return stages


def _params() -> dict[str, Any]:
    values: dict[str, Any] = YAML(typ="safe").load(Path(PARAMS))
    return values


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part, {})
    return values


def _lock_items(hashes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"path": path, "hash": "md5", "md5": hashes[path]} for path in sorted(hashes)]
