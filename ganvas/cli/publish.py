"""The tables and pictures of README and docs/."""

from typing import Annotated

import typer

EXAMPLES = """\
  ganvas publish
  ganvas publish --tables"""


def publish(
    tables: Annotated[
        bool,
        typer.Option("--tables", help="The tables alone: needs nothing but what git holds."),
    ] = False,
) -> None:
    """Write the tables and pictures of README and docs/, and docs/results.json.

    From what `dvc repro` has just made of a clean commit; refuses where it is not of one.
    """
    from ganvas import config
    from ganvas.workflow import paths, publication

    publication.write(config.load(), tables_only=tables)
    also = "" if tables else f", {paths.PUBLISHED}, docs/images"
    print(f"written: {', '.join(publication.NAMES)}{also}")
