"""Which stages have code, parameters or commands moved past since the results were made?

Needs nothing but what git holds: no data, no links below data/recipes/, no MLflow.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganvas.errors import GanvasError
from ganvas.workflow import paths, pipeline, provenance


def published() -> dict[str, Any]:
    """What `ganvas publish` recorded about the committed results; empty before the first time."""
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

    Of a folder of links the files behind it are named too. Outputs of other stages are left out:
    they follow from the rest.
    """
    stages = list(stages)
    made = {out for stage in stages for out in stage.outs}
    found = {stage.stage: _differences(entries.get(stage.stage), stage, made) for stage in stages}
    return {stage: what for stage, what in found.items() if what}


def _differences(then: pipeline.Entry | None, now: pipeline.Declared, made: set[str]) -> list[str]:
    if then is None:
        return ["never made"]
    files = (then.deps.keys() ^ set(now.deps)) | (then.outs.keys() ^ set(now.outs))
    for path in then.deps.keys() & set(now.deps):
        if _differs(path, then.deps[path], now.recipe, made):
            files.add(path)
    before, after = (dict(pipeline.leaves(params)) for params in (then.params, now.params))
    keys = before.keys() ^ after.keys()
    keys |= {key for key in before.keys() & after.keys() if before[key] != after[key]}
    command = ["its command"] if then.cmd != now.cmd else []
    return [*(_words(path, now.recipe) for path in sorted(files)), *sorted(keys), *command]


def _differs(path: str, md5: str, recipe: pipeline.Parts, made: set[str]) -> bool:
    if pipeline.is_code(path):  # also where it is links, which a stage makes
        return pipeline.code_hash(path, recipe) != md5
    if any(pipeline.overlap(path, out) for out in made):
        return False
    return not Path(path).exists() or provenance.dvc_hash(Path(path)) != md5


def _words(path: str, recipe: pipeline.Parts) -> str:
    """A file by its name; a folder of links by what it is of the model, and the files behind it."""
    files = pipeline.code(path, recipe)
    return path if files == [path] else f"{Path(path).name} ({', '.join(files)})"
