"""What a module of this project imports from `ganvas`, directly and through what it imports."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Modules that cannot change an output. Each for a reason:
NO_DEPENDENCIES = {
    "ganvas/__init__.py",  # calls process.py
    "ganvas/config.py",  # checks values and holds none: a value that changes is a DVC parameter
    "ganvas/errors.py",  # words
    "ganvas/events.py",  # mirrors
    "ganvas/process.py",  # the machine's, like the machine itself
    "ganvas/progress.py",  # prints
    "ganvas/registry.py",  # mirrors
    "ganvas/tracking.py",  # mirrors
}


def module_file(name: str) -> str | None:
    """The file of a dotted name, relative to the root; None for a name inside a module."""
    path = Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate.as_posix()
    return None


def direct(file: str) -> set[str]:
    """Files below ganvas/ that `file` imports, wherever in the file the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {
            path for name in names if name.split(".")[0] == "ganvas" and (path := module_file(name))
        }
    return found


def closure(file: str) -> set[str]:
    """All files below ganvas/ that can change what `file` computes."""
    seen: set[str] = set()
    todo = direct(file)
    while todo:
        path = todo.pop()
        if path not in seen and path not in NO_DEPENDENCIES:
            seen.add(path)
            todo |= direct(path)
    return seen
