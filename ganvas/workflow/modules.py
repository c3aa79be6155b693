"""Which of this project's modules another one imports, and which of them a recipe names.

DVC is told what each stage imports by dvc.yaml, where a test holds the lists against `closure`, and
what only one model uses by links: data/recipes/<dataset>/<model>/network/ holds one to each module
of its network, training/ to those of all else that its recipe names. So `dvc status` names the
model as soon as one of its modules is edited, and no other model.
"""

import ast
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ganvas import files, parts
from ganvas.errors import GanvasError

Read = Callable[[str], bytes | None]  # a file by its path in the repository; None where it is not
PACKAGE = "ganvas"
LINKS = Path("data/recipes")

# What cannot change an output. Each for a reason:
NO_DEPENDENCIES = (
    "ganvas/__init__.py",  # calls process.py
    "ganvas/cli/",  # what people type
    "ganvas/config.py",  # checks values and holds none: a value that changes is a DVC parameter
    "ganvas/errors.py",  # words
    "ganvas/process.py",  # the machine's, like the machine itself
    "ganvas/progress.py",  # prints
    "ganvas/tracking/",  # mirrors
    *(
        # Where files lie, as dvc.yaml says too; what is mirrored, and noted in config.json.
        f"ganvas/workflow/{name}.py"
        for name in ("instances", "mirror", "modules", "paths", "pipeline", "program", "provenance")
    ),
)
NETWORKS = ("network", "generator")  # that are in checkpoints
# By the folder of links: the kinds of parts it is of, and what loads them. What that imports stands
# in the lists of dvc.yaml wherever the parts are used.
LINKED = {
    "network": (NETWORKS, "ganvas/networks/__init__.py"),
    "training": (
        tuple(kind for kind in parts.FOLDERS if kind not in NETWORKS),
        "ganvas/training/run.py",
    ),
}
# Those of earlier versions, which dvc.lock and MLflow's runs may still name.
EARLIER = {kind: ((kind,), "ganvas/training/run.py") for kind in ("objective", "method")}


def on_disk(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def direct(file: str, read: Read = on_disk) -> set[str]:
    """Files of the package that `file` imports, wherever in it the import stands.

    A package whose __init__.py is no more than a docstring is none of them.
    """
    found: set[str] = set()
    for name in _names(read(file) or b""):
        parents = name.split(".")
        for length in range(1, len(parents) + 1):
            path = "/".join(parents[:length])
            for candidate in (f"{path}.py", f"{path}/__init__.py"):
                content = read(candidate)
                if content is not None and not _only_words(content):
                    found.add(candidate)
    return found


def closure(file: str, read: Read = on_disk) -> set[str]:
    """All files of the package that can change what `file` computes, but for itself."""
    seen: set[str] = set()
    todo = direct(file, read)
    while todo:
        path = todo.pop()
        if path not in seen and path != file and not path.startswith(NO_DEPENDENCIES):
            seen.add(path)
            todo |= direct(path, read)
    return seen


def of_recipe(recipe: Mapping[str, Any], folder: str, read: Read = on_disk) -> list[str]:
    """The files behind a folder of links: the parts, and what only they import."""
    kinds, loader = (LINKED | EARLIER)[folder]
    found: set[str] = set()
    for kind in kinds:
        for own in (parts.file(kind, name) for name in parts.named(recipe, kind)):
            found |= {own, *closure(own, read)}
    return sorted(found - {loader} - closure(loader, read))


def link(target: Path, recipe: Mapping[str, Any]) -> None:
    """Make `target` hold the folders `LINKED`, with links to the modules of the recipe."""
    for folder in LINKED:
        for file in of_recipe(recipe, folder):
            files.link(target / folder / linked(file), Path(file))


def linked(file: str) -> str:
    """What a module is called in a folder of links."""
    return file.removeprefix(f"{PACKAGE}/")


@cache
def _names(source: bytes) -> frozenset[str]:
    """Dotted names that may be modules of the package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise GanvasError(
                f"from {'.' * node.level}{node.module or ''} import …: not seen by what watches "
                f"the modules; write `from {PACKAGE}. …` in full"
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in found if name.split(".")[0] == PACKAGE)


@cache
def _only_words(source: bytes) -> bool:
    body = ast.parse(source).body
    return all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in body)
