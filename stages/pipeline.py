"""dvc.yaml and dvc.lock as data: what each stage reads, writes and is run with."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
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


def present(stage: str, dataset: str, model: str | None = None) -> Entry:
    """What dvc.lock will record once the stage, whose outputs are written, has ended."""
    declared = _declared()[stage]

    def filled(text: str) -> str:
        return text.replace("${item.dataset}", dataset).replace("${item.model}", model or "")

    def hashes(kinds: Iterable[str]) -> dict[str, str]:
        items = [item for kind in kinds for item in declared.get(kind, ())]
        paths = [filled(item if isinstance(item, str) else next(iter(item))) for item in items]
        return {path: provenance.dvc_hash(Path(path)) for path in sorted(paths)}

    values = YAML(typ="safe").load(Path(PARAMS))
    return Entry(
        instance(stage, dataset, model),
        filled(declared["cmd"]),
        hashes(["deps"]),
        {key: _at(values, key) for key in sorted(map(filled, declared.get("params", ())))},
        hashes(["outs", "metrics", "plots"]),
    )


def maker(path: str, entries: Mapping[str, Entry]) -> tuple[Entry, list[str]] | None:
    """The stage that makes the file or folder, and of its outputs those that the path is about.

    A path may lie in an output, or hold outputs, if all are of one stage.
    """
    around = [
        (entry, out)
        for entry in entries.values()
        for out in entry.outs
        if path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/")
    ]
    if len({entry.stage for entry, _ in around}) != 1:
        return None
    return around[0][0], [out for _, out in around]


@cache
def _declared() -> dict[str, Any]:
    stages: dict[str, Any] = YAML(typ="safe").load(Path("dvc.yaml"))["stages"]
    return stages


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part, {})
    return values


def _lock_items(hashes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"path": path, "hash": "md5", "md5": hashes[path]} for path in sorted(hashes)]
