"""Options that several commands have."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer


def _names(incomplete: str) -> list[str]:
    """The data sets of params.yaml, read without a check: a shell waits for them."""
    from ruamel.yaml import YAML

    # Whatever is wrong with the file, the command itself says it.
    with suppress(Exception):
        known = YAML(typ="safe").load(Path("params.yaml"))["datasets"]
        return [name for name in known if name.startswith(incomplete)]
    return []


Dataset = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="A data set of params.yaml.",
        autocompletion=_names,
    ),
]
