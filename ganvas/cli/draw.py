"""Draw images from a trained generator."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """\
  ganvas draw models/mnist/dcgan --count 64 --seed 7 --out grid.png
  ganvas draw models:/ganvas-mnist@best --count 10000 --out images.npy
  ganvas draw models/mnist/gan --interpolate --out walk.gif"""
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
            help="A grid as .png, an animation as .gif, uint8 (N, H, W) as .npy; without an ending "
            "a folder of PNGs.",
        ),
    ],
    count: Annotated[int, typer.Option(metavar="N", min=1, max=MOST, help="Images.")] = 64,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed, the same images.")
    ] = 0,
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

    from ganvas.drawing import sampling, walks
    from ganvas.workflow import generators

    network, latent_dim, words = generators.load(what)
    drawn = walks.walk if interpolate else sampling.images
    export.write(out, drawn(network, count, latent_dim, seed), walk=interpolate)
    typer.echo(f"{out}: {count:,} images by {words}", err=True)
