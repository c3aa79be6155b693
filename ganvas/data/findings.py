"""What was found among a person's images, before anything else is done with them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ganvas.data.decoded import Seen
from ganvas.data.form import Form
from ganvas.data.naming import few
from ganvas.data.places import Place
from ganvas.errors import GanvasError

SPLITS = ("train", "validation", "test")
FEWEST = {
    "train": (100, "to train on"),
    "validation": (20, "to choose a checkpoint with"),
    "test": (50, "to measure against"),
}
OF_A_DOMAIN = 20  # to choose with, and to measure against: fewer have no FID without end
FEW = {
    "train": (2000, "a discriminator may learn so few by heart"),
    "validation": (200, "so few hardly tell good checkpoints apart"),
    "test": (1000, "scores against so few are uncertain"),
}
FEW_OF_A_CLASS = 10  # images of it to train on


@dataclass(frozen=True)
class Report:
    """What lay there, before anything else is done with it; `dataclasses.asdict` is JSON."""

    UNIT: ClassVar = "images"
    GROUPS: ClassVar = "classes"
    source: str
    files: int  # images, by their endings
    unreadable: dict[str, str]  # name -> why; left out
    others: dict[str, int]  # ending -> files that are no images; passed by
    outside: int  # images beside the folders of the splits; passed by
    formats: dict[str, int]
    modes: dict[str, int]  # Pillow's: RGB, L, P, CMYK …
    sizes: int  # how many different ones
    smallest: tuple[int, int]  # width and height of the image with the shortest side
    largest: tuple[int, int]  # and of the one with the longest
    enlarged: int  # images smaller than what was asked for
    duplicates: tuple[tuple[str, ...], ...]  # names of images whose pixels are the same
    removed: tuple[str, ...]  # duplicates left out because a later split has them
    splits: dict[str, int]
    classes: dict[str, dict[str, int]]  # name -> split -> images
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """For a person: what was read, then a line for each warning."""
        read = self.files - len(self.unreadable)
        kinds = "; ".join(
            ", ".join(f"{kind} {count:,}" for kind, count in counts.items())
            for counts in (self.formats, self.modes)
        )
        (w, h), (width, height) = self.smallest, self.largest
        several = f"{w}×{h} to {width}×{height} pixels, {self.sizes:,} sizes"
        size = several if self.sizes > 1 else f"{w}×{h} pixels"
        said = [
            f"{self.source}: {read:,} of {self.files:,} {self.UNIT} read: {kinds}; {size}",
            "splits: " + ", ".join(f"{split} {count:,}" for split, count in self.splits.items()),
        ]
        if self.groups():
            totals = [f"{name} {sum(of.values()):,}" for name, of in self.groups().items()]
            said.append(f"{len(totals):,} {self.GROUPS}: {few(totals, 20)}")
        said += self.more()
        said += [f"warning: {warning}" for warning in self.warnings]
        # A name may hold bytes that are no text.
        return [line.encode(errors="backslashreplace").decode() for line in said]

    def groups(self) -> Mapping[str, Mapping[str, int]]:
        """What the images are sorted into: name -> split -> images."""
        return self.classes

    def more(self) -> list[str]:
        """Other lines."""
        return []


@dataclass(frozen=True)
class OfDomains(Report):
    """Of images in domains: they have no classes."""

    GROUPS: ClassVar = "domains"
    domains: dict[str, dict[str, int]]  # name -> split -> images

    def groups(self) -> Mapping[str, Mapping[str, int]]:
        return self.domains


@dataclass(frozen=True)
class OfPairs(Report):
    """Of pairs, each counted once, by the name of its input; `sizes` are of the smaller image."""

    UNIT: ClassVar = "pairs"
    inputs: str  # a folder, an array, or the side of a picture
    answers: str
    alone: tuple[str, ...]  # images without partner; among the unreadable

    def more(self) -> list[str]:
        return [
            f"inputs: {self.inputs}; answers: {self.answers}; "
            f"{len(self.alone):,} images without partner"
        ]


def report(
    source: Path,
    place: Place,
    form: Form,
    seen: list[Seen],
    unreadable: dict[str, str],
    duplicates: list[list[int]],
    drawn: list[str | None],
    kept: list[str | None],
) -> Report:
    """What to say of `seen`, image by image: the splits as they were drawn, and as they are kept.

    Raises `GanvasError` where there are too few images.
    """
    names = [item.name for item in place.items]
    whole = [at for at in seen if not at.problem]
    sizes = Counter((at.width, at.height) for at in whole)
    side = form.image_size
    short = max if form.fit == "pad" else min  # the side that is scaled
    counts = Counter(kept)
    groups = {name: dict.fromkeys(SPLITS, 0) for name in place.classes}
    for item, split in zip(place.items, kept, strict=True):
        if split and item.label is not None:
            groups[place.classes[item.label]][split] += 1
    removed = [i for i, split in enumerate(drawn) if split != kept[i]]
    found = Report(
        source=str(source),
        files=len(seen),
        unreadable=unreadable,
        others=dict(place.others),
        outside=place.outside,
        formats=dict(Counter(at.format for at in whole).most_common()),
        modes=dict(Counter(at.mode for at in whole).most_common()),
        sizes=len(sizes),
        smallest=min(sizes, key=lambda size: (min(size), size), default=(0, 0)),
        largest=max(sizes, key=lambda size: (max(size), size), default=(0, 0)),
        enlarged=sum(count for size, count in sizes.items() if short(size) < side),
        duplicates=tuple(tuple(names[i] for i in group) for group in duplicates),
        removed=tuple(names[i] for i in removed),
        splits={split: counts[split] for split in SPLITS},
        classes={} if place.kind == "domains" else groups,
        warnings=(),
    )
    if place.kind == "domains":
        found = OfDomains(**vars(found), domains=groups)
    if place.pairs:
        halved = place.pairs.halved
        alone = [] if halved else [item.name for item in place.items if item.partner is None]
        inputs, answers = place.pairs.inputs, place.pairs.answers
        found = OfPairs(**vars(found), inputs=inputs, answers=answers, alone=tuple(alone))
    given = {item.split for item in place.items}
    for split, (fewest, what_for) in FEWEST.items():
        if counts[split] < fewest:
            drawn_by_share = split != "train" and split not in given
            more = f", or a larger {split}_share" if drawn_by_share else ""
            raise GanvasError(
                f"{source}: {counts[split]:,} {found.UNIT} {what_for}, of {len(whole):,} that can "
                f"be read; {fewest} are the least: give more{more}"
            )
        if place.kind == "domains" and split != "train":
            poorest = min(groups, key=lambda name: groups[name][split])
            if groups[poorest][split] < OF_A_DOMAIN:
                raise GanvasError(
                    f"{source}: {groups[poorest][split]} {found.UNIT} of {poorest} {what_for}; "
                    f"{OF_A_DOMAIN} of each domain are the least: give more of it"
                )
    if place.kind == "domains" and (empty := [n for n, of in groups.items() if not of["train"]]):
        raise GanvasError(
            f"{source}: no image to train on in {few(empty)}; give more of this domain"
        )
    labels = [{place.items[i].label for i in group} for group in duplicates]
    return replace(found, warnings=tuple(_warnings(found, side, labels)))


def _warnings(report: Report, side: int, labels: list[set[int | None]]) -> Iterator[str]:
    """`labels` are those of each group of duplicates."""
    unit, groups = report.UNIT, report.GROUPS
    if report.unreadable:
        whys = few(f"{name} ({why})" for name, why in report.unreadable.items())
        yield f"{len(report.unreadable):,} {unit} cannot be read and are left out: {whys}"
    if report.outside:
        yield f"{report.outside:,} images beside the folders of the splits are left out"
    if report.duplicates:
        copies = sum(len(group) - 1 for group in report.duplicates)
        first, second, *_ = report.duplicates[0]
        yield f"{copies:,} {unit} are copies of others, pixel by pixel, as {second} of {first}"
    if report.removed:
        yield (
            f"{len(report.removed):,} {unit} are left out, as their copies are in a split that is "
            f"measured against: {few(report.removed)}"
        )
    if several := sum(len(group) > 1 for group in labels):
        yield f"{several:,} images are in several {groups} at once"
    if report.enlarged:
        yield f"{report.enlarged:,} {unit} are smaller than {side}×{side} and were enlarged"
    for split, (scarcely, why) in FEW.items():
        if report.splits[split] < scarcely:
            yield f"{split}: {report.splits[split]:,} {unit}; {why}"
    scarce = [name for name, of in report.groups().items() if of["train"] < FEW_OF_A_CLASS]
    if scarce:
        yield f"{groups} with fewer than {FEW_OF_A_CLASS} images to train on: {few(scarce)}"
    if unmeasured := [name for name, of in report.groups().items() if not of["test"]]:
        yield f"{groups} without a test image: {few(unmeasured)}"
