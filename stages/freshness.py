"""Which stages have code, parameters or commands moved past since the results were made?

python -m stages.freshness    needs nothing but what git holds: no data, no MLflow
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganvas.errors import GanvasError
from stages import cli, paths, pipeline, provenance


def main() -> None:
    entries, stages = pipeline.locked(), pipeline.plan()
    if not entries:
        print("no results yet: `dvc repro` makes them")
        return
    about = published()
    if about.get("dvc_lock") == provenance.dvc_hash(Path("dvc.lock")):
        print(f"results made at commit {about['commit']}, {about['date']}")
    else:
        print("results not published: `make publish` says at which commit dvc.lock was made")
    found = moved(entries, stages)
    for stage, what in found.items():
        print(f"{stage}: {', '.join(what)}")
    if found:
        print("`dvc repro` makes these again, and what is made from them")
    else:
        print(f"all {len(stages)} stages are as they were made")


def published() -> dict[str, Any]:
    """What `stages.publish` recorded about the committed results; empty before the first time."""
    try:
        values = json.loads(paths.PUBLISHED.read_text())
        return values if isinstance(values, dict) else {}
    except FileNotFoundError:
        return {}
    except ValueError:
        raise GanvasError(f"{paths.PUBLISHED}: not valid JSON; `git checkout` it") from None


def moved(
    entries: Mapping[str, pipeline.Entry], stages: Iterable[pipeline.Declared]
) -> dict[str, list[str]]:
    """By stage, the files and keys in which it differs from what dvc.lock says it was made with.

    Outputs of other stages are left out: they follow from the rest.
    """
    stages = list(stages)
    made = {out for stage in stages for out in stage.outs}
    found = {stage.stage: _differences(entries.get(stage.stage), stage, made) for stage in stages}
    return {stage: what for stage, what in found.items() if what}


def _differences(then: pipeline.Entry | None, now: pipeline.Declared, made: set[str]) -> list[str]:
    if then is None:
        return ["never made"]
    files = {
        path
        for path in then.deps.keys() & set(now.deps)
        if then.deps[path] != _hash(path) and not any(pipeline.overlap(path, out) for out in made)
    }
    files |= then.deps.keys() ^ set(now.deps)
    files |= then.outs.keys() ^ set(now.outs)
    values = [dict(pipeline.leaves(params)) for params in (then.params, now.params)]
    absent = object()
    keys = [
        key
        for key in sorted(values[0].keys() | values[1].keys())
        if values[0].get(key, absent) != values[1].get(key, absent)
    ]
    return [*sorted(files), *keys, *(["its command"] if then.cmd != now.cmd else [])]


def _hash(path: str) -> str | None:
    return provenance.dvc_hash(Path(path)) if Path(path).exists() else None


if __name__ == "__main__":
    cli.run(main)
