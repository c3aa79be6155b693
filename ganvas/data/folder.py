"""A person's own images, brought to arrays of one shape, split, and reported on.

found = folder.read(Path("flowers"), Form(3, 64), seed=0, test_share=0.1, validation_share=0.1)
print(*found.report.lines(), sep="\\n")
found.splits["train"]["images"]  # uint8 (N, 3, 64, 64)

Of images to translate, pairs (`kind="pairs"`) and domains (`kind="domains"`) are read the same way.
"""

import hashlib
from collections import Counter, defaultdict
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from ganvas import process
from ganvas.data import decoded, findings, places
from ganvas.data.decoded import Decoded, Seen
from ganvas.data.findings import SPLITS, Report
from ganvas.data.form import Form, Kind
from ganvas.data.naming import few
from ganvas.data.places import Item
from ganvas.errors import GanvasError

UNREADABLE = 0.01  # share of the files that may be left out


class Found(NamedTuple):
    """What was read.

    `splits` has `train`, `validation` and `test`: each `images` uint8 (N, channels, image_size,
    image_size), 0 to 255, and, where there are classes, `labels` int64 (N,): places in `classes`,
    which are names, sorted. Of pairs each has `inputs`, too, in the same order and form as their
    answers, `images`. Of domains each has `domains` int64 (N,), places in `domains`, and no labels.
    """

    splits: dict[str, dict[str, np.ndarray]]
    classes: tuple[str, ...]
    report: Report
    domains: tuple[str, ...] = ()


def read(
    source: Path,
    form: Form,
    *,
    seed: int,
    test_share: float,
    validation_share: float,
    classes: bool = True,
    unreadable_share: float = UNREADABLE,
    cache: Path | None = None,
    workers: int | None = None,
    kind: Kind = "images",
    inputs: str | None = None,
) -> Found:
    """All images at `source` (places.py says where they may lie), each as `form` says.

    Where no folder says what is test or validation, `test_share` of the images, and of the others
    `validation_share`, are drawn by `seed` and the bytes of the file: an image stays in its split
    when others come, go, or are renamed, and copies of a file are in one. `classes=False` reads
    without them. The same images give the same bytes, whatever the number of `workers`
    (processes; as many as there are processors).

    Of `kind` "domains", folders are domains instead of classes. Of `kind` "pairs", the two images
    of a pair lie under one name in two folders, whatever its ending, or side by side in one picture
    (pairing.py); an image without partner is as one that cannot be read. `inputs` says which are
    the inputs: the name of their folder (else the first by name), or "left" (else that, too) or
    "right", which also says that pictures may be of any even width, not twice their height alone.
    A pair is drawn by the bytes of its input, or of the picture that holds both. Of a .npz, an
    array `inputs` lies beside `images`, or one `domains`.

    What is read lies in `cache`, a folder of this data set's own, until all is, so that a second
    call goes on where a first was killed; without one, in a temporary folder. In memory there are
    the arrays, about 1 kB for each image, and what the processes are decoding.

    Raises `GanvasError` when more than `unreadable_share` of the images cannot be read, when there
    are too few, a domain has none to train on, and for all that `places.opened` does.
    """
    if inputs is not None and kind != "pairs":
        raise GanvasError(
            f"{source}: inputs: {inputs}: only pairs have inputs, and these are {kind}; leave it "
            "out, or read it as pairs"
        )
    with TemporaryDirectory() if cache is None else nullcontext(cache) as folder:
        with places.opened(source, classes, kind, inputs) as place:
            workers = workers or process.usable_processors()
            parts = decoded.decode(place, form, Path(folder), f"reading {source}", workers)
        # What lay in memory, where the source has arrays, is let go before there are others.
        place = place._replace(read=places.closed)
        seen = parts.seen
        unreadable = {
            item.name: at.problem for item, at in zip(place.items, seen, strict=True) if at.problem
        }
        if len(unreadable) > unreadable_share * len(seen):
            whys = few(f"{name} ({why})" for name, why in unreadable.items())
            raise GanvasError(
                f"{source}: {len(unreadable):,} of {len(seen):,} {place.unit} cannot be read, more "
                f"than {unreadable_share:.1%}: {whys}; mend or remove them, or raise "
                "unreadable_share to leave them out"
            )
        drawn = _split(place.items, seen, seed, test_share, validation_share)
        duplicates, kept = _without_duplicates(seen, drawn)
        report = findings.report(source, place, form, seen, unreadable, duplicates, drawn, kept)
        splits = _gathered(parts, kept, ("inputs", "images") if place.pairs else ("images",))
        if place.classes:
            for split, arrays in splits.items():
                of = (i.label for i, at in zip(place.items, kept, strict=True) if at == split)
                arrays["domains" if kind == "domains" else "labels"] = np.fromiter(
                    of, np.int64, len(arrays["images"])
                )
        parts.remove()
        if kind == "domains":
            return Found(splits, (), report, domains=place.classes)
        return Found(splits, place.classes, report)


def _split(
    items: list[Item], seen: list[Seen], seed: int, test_share: float, validation_share: float
) -> list[str | None]:
    """The split of each image, None where it could not be read."""
    given = {item.split for item in items}

    def of(item: Item, at: Seen) -> str | None:
        if at.problem or item.split in ("test", "validation"):
            return None if at.problem else item.split
        if "test" not in given and _chance(seed, "test", at.content) < test_share:
            return "test"
        drawn = "validation" not in given
        if drawn and _chance(seed, "validation", at.content) < validation_share:
            return "validation"
        return "train"

    return [of(item, at) for item, at in zip(items, seen, strict=True)]


def _chance(seed: int, split: str, content: str) -> float:
    """From 0 to 1, evenly, of these alone."""
    digest = hashlib.sha256(f"{seed}/{split}/{content}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _without_duplicates(
    seen: list[Seen], drawn: list[str | None]
) -> tuple[list[list[int]], list[str | None]]:
    """Groups of images with the same pixels, and the splits without those that a later one has."""
    same: dict[str, list[int]] = defaultdict(list)
    for index, at in enumerate(seen):
        if drawn[index]:
            same[at.pixels].append(index)
    groups = [group for group in same.values() if len(group) > 1]
    kept = list(drawn)
    for group in groups:
        latest = max((drawn[index] or "" for index in group), key=SPLITS.index)
        for index in group:
            if drawn[index] != latest:
                kept[index] = None
    return groups, kept


def _gathered(
    parts: Decoded, kept: list[str | None], names: tuple[str, ...]
) -> dict[str, dict[str, np.ndarray]]:
    """The images of each split; where there are two `names`, those of each pair apart."""
    counts, (channels, *sides) = Counter(kept), parts.shape
    shape = channels // len(names), *sides
    arrays = {
        split: {name: np.empty((counts[split], *shape), np.uint8) for name in names}
        for split in SPLITS
    }
    filled, start = dict.fromkeys(SPLITS, 0), 0
    for images in parts.images():
        of = kept[start : start + len(images)]
        for split in SPLITS:
            rows = [row for row, at in enumerate(of) if at == split]
            of_each = np.split(images, len(names), axis=1)
            for name, those in zip(names, of_each, strict=True):
                arrays[split][name][filled[split] : filled[split] + len(rows)] = those[rows]
            filled[split] += len(rows)
        start += len(images)
    return arrays
