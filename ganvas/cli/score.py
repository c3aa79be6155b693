"""Put any images on the scale of a data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ganvas.cli.options import Dataset

EXAMPLES = """\
  ganvas score samples.npz --dataset mnist
  ganvas score samples.pt --dataset mnist --range -1,1
  ganvas score folder --dataset digits --resize --json > scores.json"""
SPANS = {"0,1": (0, 1), "-1,1": (-1, 1)}


def score(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A .npy, .npz or .pt file of (N, H, W), with or without channels, or a folder of "
            "images.",
            show_default=False,
        ),
    ],
    dataset: Dataset,
    span: Annotated[
        Literal["0,1", "-1,1"] | None,
        typer.Option("--range", help="Black and white in floats.", show_default=False),
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Take another size: bicubic, antialiased.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score images, of this or any other system, against the real ones.

    Prints every measure, beside its floor; writes nothing. The real images' features must be
    there: `dvc repro reference@mnist`, once.
    """
    import json
    import sys

    from ganvas.data import images
    from ganvas.workflow import instances, scoring

    data = instances.data_set(dataset)
    size, channels = data.settings.image_size, data.settings.channels
    given = images.read(path, size, channels, SPANS[span] if span else None, any_size=resize)
    found = scoring.score(images.resized(given, size), data)
    if given.shape[1] != size:
        found["resized_from"] = given.shape[1]
    for warning in found.get("warnings", []):
        print(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(found, indent=2) if as_json else "\n".join(_table(found, path, dataset)))


def _table(found: dict[str, Any], path: Path, dataset: str) -> Iterator[str]:
    """The lines of the answer to a person."""
    from ganvas.evaluation import scores
    from ganvas.reporting import scoreboard

    yield (
        f"{path}: {found['images']:,} images against {found['reference_images']:,} "
        f"{found['reference']} images of {dataset}"
    )
    if "resized_from" in found:
        side = found["resized_from"]
        yield f"resized from {side} × {side} pixels: bicubic, antialiased"
    for section in scoreboard.tables(found["floor"], {"value": scores.numbers(found)}):
        yield f"\n{section['about']}:\n"
        yield f"{'measure':<24}{'value':>20}{'floor':>20}"
        for row in section["rows"]:
            value, floor = map(scoreboard.with_deviation, (row["cells"]["value"], row["floor"]))
            shown = row["measure"]
            yield f"{shown.title:<24}{value:>20}{floor:>20}  {shown.direction}"
