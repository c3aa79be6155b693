"""The parts that a recipe names, modules found by their names: adding one edits no other file."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
# key of a recipe -> the folder below ganvas/ whose modules it may name: one, or several
FOLDERS = {
    "network": "networks",
    "generator": "networks/translation",
    "discriminator": "networks/translation",
    "objective": "training/objectives",
    "penalties": "training/penalties",
    "augment": "training/augmentations",
    "optimizer": "training/optimizers",
    "method": "training/methods",
}


def file(kind: str, name: str) -> str:
    """The module's file, relative to the repository's root."""
    return f"{PACKAGE.name}/{FOLDERS[kind]}/{name}.py"


def package(kind: str) -> Any:
    """What the modules of that kind lie in."""
    return import_module(f"{PACKAGE.name}.{FOLDERS[kind].replace('/', '.')}")


def names(kind: str) -> list[str]:
    """What a recipe may name; modules whose names begin with _ are what several share."""
    return sorted(path.stem for path in (PACKAGE / FOLDERS[kind]).glob("[!_]*.py"))


def named(recipe: Mapping[str, Any], kind: str) -> list[str]:
    """Which modules of that kind the recipe names; none if it is of a version without them."""
    value = recipe.get(kind, ())
    return [value] if isinstance(value, str) else list(value)


@cache
def load(kind: str, name: str) -> Any:
    """The module; `config` has checked that there is one."""
    return import_module(f"{PACKAGE.name}.{FOLDERS[kind].replace('/', '.')}.{name}")
