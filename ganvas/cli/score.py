"""Put any images on the scale of a data set."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.cli.options import Dataset

EXAMPLES = """\
  ganvas score images.npy --dataset mnist
  ganvas score folder-of-pngs --dataset digits > scores.json"""


def score(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A .npy or .npz file of uint8 (N, H, W), 0 to 255, or a folder of grey PNGs.",
            show_default=False,
        ),
    ],
    dataset: Dataset,
) -> None:
    """Score images, of this or any other system, against the real ones.

    Prints every measure, beside its floor, as JSON; writes nothing. The real images' features must
    be there: `dvc repro reference@mnist`, once.
    """
    import json

    from ganvas.data import images
    from ganvas.workflow import instances, scoring

    data = instances.data_set(dataset)
    found = scoring.score(images.read(path, data.params.image_size), data)
    print(json.dumps(found, indent=2))
