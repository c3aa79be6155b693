"""Draw images from a trained generator."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """\
  ganvas draw models/mnist/dcgan --count 64 --seed 7 --out grid.png
  ganvas draw models:/ganvas-mnist@best --count 10000 --out images.npy
  ganvas draw models/mnist/gan --interpolate --out walk.gif
  ganvas draw models/mnist/cdcgan --class 3 --out threes.png"""
MOST = 100_000  # numbers of five digits, in a folder


def draw(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A model's folder, a checkpoint's file, or models:/NAME@ALIAS of MLflow.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="PATH",
            help="A grid as .png, an animation as .gif, uint8 (N, H, W) as .npy, of colour images "
            "(N, H, W, 3); without an ending a folder of PNGs.",
        ),
    ],
    count: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=MOST,
            help="Images; a grid of a model that is told classes has a whole row for each.",
        ),
    ] = 64,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed, the same images.")
    ] = 0,
    wanted: Annotated[
        int | None,
        typer.Option(
            "--class",
            metavar="N",
            min=0,
            help="Images of this class, by a model that is told classes.",
            show_default=False,
        ),
    ] = None,
    interpolate: Annotated[
        bool,
        typer.Option("--interpolate", help="A walk from point to point, back to where it began."),
    ] = False,
) -> None:
    """Draw images from a trained generator.

    From a model's folder it takes the checkpoint that stage select has taken, else the last one.
    """
    from ganvas.drawing import export

    export.ending(out)  # a name that is not allowed is said before seconds of work

    import torch

    from ganvas.drawing import conditional, sampling, walks
    from ganvas.workflow import generators

    generator, words = generators.load(what)
    if wanted is not None:
        conditional.check(generator, wanted)
    classes, columns = len(generator.classes), None
    if interpolate:
        drawn = walks.walk(generator, count, seed, wanted)
    elif wanted is not None:
        drawn = sampling.images(generator, count, seed, torch.full((count,), wanted))
    elif classes and export.ending(out) == ".png":
        columns = -(-count // classes)
        drawn = sampling.of_each_class(generator, columns, seed)
    else:
        drawn = sampling.images(generator, count, seed)
    export.write(out, drawn, columns, walk=interpolate)
    of_class = "" if wanted is None else f" of class {wanted}"
    rows = ", a row a class," if columns else ""
    typer.echo(f"{out}: {len(drawn):,} images{of_class}{rows} by {words}", err=True)
