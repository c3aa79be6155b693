"""The DVC remote as files: what its run cache knows, and the states of trainings on a cluster.

DVC's own commands carry results there and back, but for two things: outputs that git keeps
(`cache: false`) are in the run cache, yet `dvc push` leaves them out, so that another machine would
run their stages again; and it sends the whole run cache, what came from the remote too.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML

from ganvas.errors import GanvasError
from ganvas.workflow import pipeline, provenance
from ganvas.workflow.pipeline import Declared

CACHE = Path(".dvc/cache")
OBJECTS = "files/md5"  # below the remote and the cache, by the first two digits of the hash
RUNS = "runs"  # there too: runs/<two digits>/<key>/<hash of the entry>
# DVC's keys of a remote, as fsspec's file systems call them. Credentials come from the environment.
OPTIONS = {"endpointurl": "endpoint_url", "profile": "profile"}


class Remote:
    """The files below a URL that fsspec knows: a folder, s3://bucket/path and so on."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        from fsspec.core import url_to_fs

        # What other machines write must be seen at once.
        more = {"use_listings_cache": False} if "://" in url else {"auto_mkdir": True}
        self._files, self._root = url_to_fs(url, **more, **(options or {}))

    def find(self, folder: str) -> list[str]:
        """All files below a folder, as paths from the remote's root; none where it is not there."""
        with suppress(FileNotFoundError):
            found = self._files.find(f"{self._root}/{folder}")
            return [path.removeprefix(self._root).lstrip("/") for path in found]
        return []

    def has(self, path: str) -> bool:
        return bool(self._files.exists(f"{self._root}/{path}"))

    def read(self, path: str) -> bytes:
        """Raises `FileNotFoundError` where there is none."""
        content: bytes = self._files.cat_file(f"{self._root}/{path}")
        return content

    def write(self, path: str, content: bytes) -> None:
        """The whole file or none of it, also where this process is killed meanwhile."""
        with self._files.transaction:
            self._files.pipe_file(f"{self._root}/{path}", content)

    def remove(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm(f"{self._root}/{folder}", recursive=True)


def of_project(folder: Path = Path()) -> Remote:
    """The default remote that the repository's committed .dvc/config names.

    Raises `GanvasError` where there is none that every machine finds.
    """
    config = ConfigParser(interpolation=None)
    config.read(folder / ".dvc/config")
    name = config.get("core", "remote", fallback="")
    section = f"'remote \"{name}\"'"
    settings = dict(config[section]) if section in config else {}
    url = settings.get("url", "")
    if "://" not in url and not Path(url).is_absolute():
        raise GanvasError(
            ".dvc/config: no default remote that other machines find; `dvc remote add --default "
            "team s3://bucket/dvc`, or the full path of a shared folder, and commit it"
        )
    return Remote(url, {OPTIONS[key]: value for key, value in settings.items() if key in OPTIONS})


def known(remote: Remote, stages: Iterable[Declared]) -> set[str]:
    """Of stages, given in the order they run, those whose result the remote has, by name.

    Follows DVC: the key of each stage hangs on what those before it made.
    """
    entries = {PurePosixPath(path).parent.name: path for path in remote.find(RUNS)}
    objects = set(remote.find(OBJECTS))
    outs: dict[str, str] = {}
    found = set()
    for stage in stages:
        deps = {dep: _hash(dep, stage, outs, remote) for dep in stage.deps}
        hashed = {dep: md5 for dep, md5 in deps.items() if md5}
        none = dict.fromkeys(stage.outs, "")
        key = pipeline.Entry(stage.stage, stage.cmd, hashed, stage.recorded, none).key
        path = entries.get(key)
        # An entry of a time when the stage did without what is not made yet is another's.
        if len(hashed) < len(deps) or path is None:
            continue
        made = {out["path"]: out["md5"] for out in YAML(typ="safe").load(remote.read(path))["outs"]}
        if all(_object(md5) in objects for md5 in made.values()):
            outs |= made
            found.add(stage.stage)
    return found


def complete(remote: Remote, cache: Path) -> None:
    """Before `dvc push --run-cache`: send what it would leave out, and let it not send anew what
    the remote has. `cache` is DVC's, for this once."""
    there = set(remote.find(RUNS))
    for path in _files(cache / RUNS):
        relative = path.relative_to(cache).as_posix()
        if relative in there:
            shutil.rmtree(path.parent)
            continue
        for out in YAML(typ="safe").load(path.read_text())["outs"]:
            name = _object(out["md5"])
            if not name.endswith(".dir") and not remote.has(name):
                remote.write(name, (cache / name).read_bytes())


def send_states(remote: Remote, place: str, runs: Path, sent: dict[str, int]) -> None:
    """Bring what is new below `runs`, the trainings of one model, to `place` at the remote.

    `sent` remembers what is there. A training that goes on needs what it made before its state, so
    the state is read first and sent last.
    """
    new: dict[str, tuple[int, bytes]] = {}
    for path in [*sorted(runs.glob("*/state.safetensors")), *_files(runs)]:
        name, changed = path.relative_to(runs).as_posix(), path.stat().st_mtime_ns
        if name not in new and sent.get(name) != changed and _is_state(path):
            new[name] = changed, path.read_bytes()
    for name, (changed, content) in reversed(new.items()):
        remote.write(f"{place}/{name}", content)
        sent[name] = changed


def fetch_states(remote: Remote, place: str, runs: Path) -> None:
    for path in remote.find(place):
        file = runs / PurePosixPath(path).relative_to(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(remote.read(path))


def _hash(dep: str, stage: Declared, outs: Mapping[str, str], remote: Remote) -> str | None:
    """Of a dependency as it will be; None where the stage that makes it has not run."""
    if pipeline.is_code(dep):
        return pipeline.code_hash(dep, stage.recipe)
    for out, md5 in outs.items():
        if dep == out:
            return md5
        if dep.startswith(f"{out}/"):
            listing: list[dict[str, str]] = json.loads(remote.read(_object(md5)))
            inside = {f"{out}/{file['relpath']}": file["md5"] for file in listing}
            return inside.get(dep)
    path = Path(dep)
    return provenance.dvc_hash(path) if dep.startswith("data/places/") and path.exists() else None


def _object(md5: str) -> str:
    return f"{OBJECTS}/{md5[:2]}/{md5[2:]}"


def _is_state(path: Path) -> bool:
    """Not a lock or half a file; nor a run that is known only to a store of this machine."""
    elsewhere = path.name == "mlflow_run" and "MLFLOW_TRACKING_URI" not in os.environ
    return not (elsewhere or path.name.startswith(".") or path.suffix == ".lock")


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())
