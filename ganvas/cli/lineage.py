"""Where a figure comes from."""

from typing import Annotated

import typer

EXAMPLES = """\
  ganvas lineage samples/mnist/dcgan/grid.png
  ganvas lineage --verify"""


def lineage(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT",
            help="A file, a folder, or the beginning of a run's id.",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Do all runs match the files? Exit code 1 if not.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Write a lost store, from the files.")
    ] = False,
) -> bool:
    """Say where a file comes from, or what a run made.

    Of a file: stage, commit, parameters, data, code and run. Of a run: what it read and made, and
    the commands that bring its files back.
    """
    from ganvas import config
    from ganvas.errors import GanvasError
    from ganvas.workflow import lineage as library
    from ganvas.workflow import provenance

    params = config.load()
    if [what is not None, verify, rebuild].count(True) != 1:
        raise GanvasError("lineage: give a file, a folder, a run's id, --verify or --rebuild")
    provenance.warn()
    if verify:
        return library.verify(params)
    if rebuild:
        return library.rebuild(params)
    for name, words in library.trace(str(what), params):
        print(f"{name:<12}{words}")
    return True
