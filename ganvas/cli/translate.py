"""Translate a folder of images by a trained generator."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """\
  ganvas translate models/edges/pix2pix --in sketches --out garments
  ganvas translate models/dresses/stargan --to inverted --in ink --out paper
  ganvas translate models:/ganvas-edges@best --in sketches --out garments"""


def translate(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A model's folder, a checkpoint's file, or models:/NAME@ALIAS of MLflow.",
        ),
    ],
    source: Annotated[
        Path, typer.Option("--in", metavar="FOLDER", help="Images of any format and size.")
    ],
    target: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Gets one of the same name for each, as .png."
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="DOMAIN",
            help="The domain to translate to, of a model that knows several.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of the noise that a U-Net's dropout is.")
    ] = 0,
) -> None:
    """Turn each image of a folder into another.

    From a model's folder it takes the checkpoint that stage select has taken, else the last one.
    """
    from ganvas.drawing import folders
    from ganvas.workflow import generators

    found = generators.load_translating(what)
    domain, form = generators.domain(found, to), found.form
    done = folders.translate(found.generator, source, target, form, domain, seed)
    size = f"{form.image_size} × {form.image_size} pixels"
    if done.fitted:
        how = "their middle, resized" if form.fit == "crop" else "resized, with a border"
        size += f"; {done.fitted:,} had another size: {how}"
    typer.echo(f"{target}: {done.images:,} images by {found.words}, {size}", err=True)
