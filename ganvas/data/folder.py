"""A person's own images, brought to arrays of one shape, split, and reported on.

found = folder.read(Path("flowers"), Form(3, 64), seed=0, test_share=0.1, validation_share=0.1)
print(*found.report.lines(), sep="\\n")
found.splits["train"]["images"]  # uint8 (N, 3, 64, 64)
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
from ganvas.data.form import Form
from ganvas.data.naming import few
from ganvas.data.places import Item
from ganvas.errors import GanvasError

UNREADABLE = 0.01  # share of the files that may be left out


class Found(NamedTuple):
    """What was read.

    `splits` has `train`, `validation` and `test`: each `images` uint8 (N, channels, image_size,
    image_size), 0 to 255, and, where there are classes, `labels` int64 (N,): places in `classes`,
    which are names, sorted.
    """

    splits: dict[str, dict[str, np.ndarray]]
    classes: tuple[str, ...]
    report: Report


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
) -> Found:
    """All images at `source` (places.py says where they may lie), each as `form` says.

    Where no folder says what is test or validation, `test_share` of the images, and of the others
    `validation_share`, are drawn by `seed` and the bytes of the file: an image stays in its split
    when others come, go, or are renamed, and copies of a file are in one. `classes=False` reads
    without them. The same images give the same bytes, whatever the number of `workers`
    (processes; as many as there are processors).

    What is read lies in `cache`, a folder of this data set's own, until all is, so that a second
    call goes on where a first was killed; without one, in a temporary folder. In memory there are
    the arrays, about 1 kB for each image, and what the processes are decoding.

    Raises `GanvasError` when more than `unreadable_share` of the images cannot be read, when there
    are too few, and for all that `places.opened` does.
    """
    with TemporaryDirectory() if cache is None else nullcontext(cache) as folder:
        with places.opened(source, classes) as place:
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
                f"{source}: {len(unreadable):,} of {len(seen):,} images cannot be read, more than "
                f"{unreadable_share:.1%}: {whys}; mend or remove them, or raise unreadable_share "
                "to leave them out"
            )
        drawn = _split(place.items, seen, seed, test_share, validation_share)
        duplicates, kept = _without_duplicates(seen, drawn)
        report = findings.report(source, place, form, seen, unreadable, duplicates, drawn, kept)
        splits = _gathered(parts, kept)
        if place.classes:
            for split, arrays in splits.items():
                of = (i.label for i, at in zip(place.items, kept, strict=True) if at == split)
                arrays["labels"] = np.fromiter(of, np.int64, len(arrays["images"]))
        parts.remove()
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


def _gathered(parts: Decoded, kept: list[str | None]) -> dict[str, dict[str, np.ndarray]]:
    """The images of each split."""
    counts = Counter(kept)
    arrays = {split: np.empty((counts[split], *parts.shape), np.uint8) for split in SPLITS}
    filled, start = dict.fromkeys(SPLITS, 0), 0
    for images in parts.images():
        of = kept[start : start + len(images)]
        for split in SPLITS:
            rows = [row for row, at in enumerate(of) if at == split]
            arrays[split][filled[split] : filled[split] + len(rows)] = images[rows]
            filled[split] += len(rows)
        start += len(images)
    return {split: {"images": array} for split, array in arrays.items()}
