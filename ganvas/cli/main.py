"""The program: its commands, its help, its exit codes.

A command's module imports what it works with inside its function: `ganvas --help`, and a shell that
completes a word, must not wait for PyTorch.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable

import typer

from ganvas.cli import cluster, draw, freshness, lineage, publish, score, summary, translate

NAME = "ganvas"
COMPLETION = "_GANVAS_COMPLETE"  # by it a shell asks for completions, and a person for the script

app = typer.Typer(
    help="Draw from trained generators, translate and score images, and follow results to what "
    "made them.",
    epilog="Run it in the repository's root. `dvc repro` makes what these commands look at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _ending_well(command: Callable[..., bool | None]) -> Callable[..., None]:
    """The command with errors in one line; exit code 1 where it says that not all is well."""

    @functools.wraps(command)
    def run(**arguments: object) -> None:
        from ganvas.workflow import program

        well: bool | None = None  # it stays so where a reader has read enough
        with program.errors_in_one_line():
            well = command(**arguments)
        if well is False:
            raise typer.Exit(1)

    return run


def _help(command: Callable[..., bool | None]) -> str:
    """The docstring, its paragraphs as wide as the terminal."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


# The function of a command has the name of its module.
for _module in (draw, translate, score, lineage, summary, freshness, publish, cluster):
    _command = getattr(_module, _module.__name__.rpartition(".")[2])
    # \b: the lines of the examples stay as they are.
    _epilog = f"\b\nExamples:\n{_module.EXAMPLES}"
    app.command(help=_help(_command), epilog=_epilog)(_ending_well(_command))


def main() -> None:
    """Run what was typed. Exits with 1 after an error, 2 where it is not understood, 130 on Ctrl-C.

    The library looks which shell is running; a shell that is named wins: `--show-completion zsh`.
    """
    if sys.argv[1:2] == ["--show-completion"] and len(sys.argv) == 3:
        os.environ[COMPLETION] = f"source_{sys.argv[2]}"
    try:
        code = app(prog_name=NAME, standalone_mode=False)
    except typer.TyperException as error:
        if message := error.format_message():  # none where the help was asked for by no argument
            where = getattr(error, "ctx", None)
            command = where.command_path if where else NAME
            print(f"error: {_line(message)} see `{command} --help`", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(code)


def _line(message: str) -> str:
    line = " ".join(message.split())
    return line if line.endswith("?") else f"{line.removesuffix('.')};"
