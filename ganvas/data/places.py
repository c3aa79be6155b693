"""Where a person's images lie: in a folder, a .zip, a .npz or .npy, IDX files.

Each image has a name, the split that its place says, and a class if there are any. The rules:

- What all images lie in is passed by: `pictures/flowers/train/…` is read as `train/…`.
- Folders `train` and `test`, `validation` or `val` are splits, where there is a `train`.
- The first folder below that is the class; whatever lies deeper belongs to it.
- Hidden files and folders, and macOS's `__MACOSX`, are passed by.

Of domains the folders are domains instead of classes; of pairs, the two in which they lie, if they
do not lie side by side (pairing.py). There the split may stand elsewhere: `trainA/…`, as CycleGAN's
data sets were published (Zhu et al. 2017, arXiv:1703.10593), and `A/train/…`, as pix2pix's authors
lay down what they combine, are read as `train/A/…`.
"""

import hashlib
import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganvas.data import arrays, decoding, pairing
from ganvas.data.arrays import Images
from ganvas.data.form import Kind
from ganvas.data.naming import SPLITS, few
from ganvas.data.pairing import Lying, Pairs
from ganvas.errors import GanvasError

LARGEST = 1 << 30  # bytes of one image file: more is a mistake, or meant to fill the memory
READABLE = "a folder, a .zip, a .npz or .npy, or IDX files"
SPLIT_AND_DOMAIN = re.compile(rf"((?i:{'|'.join(SPLITS)}))[ _-]?([AB])")  # trainA, testB


class Item(NamedTuple):
    """An image, or a pair by the name of its input, and `partner` its answer's, if it has its own.

    `split` is None where its place says none, `label` where there are no classes or domains.
    """

    name: str
    split: str | None
    label: int | None
    partner: str | None = None


class Place(NamedTuple):
    """What lies in a place, in an order that depends on nothing but the names.

    `read(name)` gives what identifies an item (its bytes as they lie there) and its image, and
    raises almost any exception. `state` changes when an item is added, removed or edited. `others`
    counts the endings of files that are no images, `outside` the images that lie beside the folders
    of the splits; neither are among the items. `classes` are domains where `kind` says so; `pairs`
    says where the two of a pair lie.
    """

    items: list[Item]
    classes: tuple[str, ...]
    others: Counter[str]
    outside: int
    state: str
    read: Callable[[str], tuple[bytes, Image.Image]]
    kind: Kind = "images"
    pairs: Pairs | None = None

    @property
    def unit(self) -> str:
        """What its items are."""
        return "pairs" if self.pairs else "images"

    @property
    def files(self) -> bool:
        """Whether its images are files, which other processes may `read`, and not in memory."""
        return isinstance(self.read, _Files)


class _Listing(NamedTuple):
    """Files by their path in the place, each with what changes when it does; how to read one."""

    files: dict[str, str]
    content: "_Content"


@dataclass(frozen=True)
class _Files:
    """How image files are read, in any process: all that it holds is where they lie."""

    content: "_Content"

    def __call__(self, name: str) -> tuple[bytes, Image.Image]:
        content = self.content(name)
        if not content:
            raise ValueError("an empty file")
        return content, decoding.opened(content)


@dataclass(frozen=True)
class _InFolder:
    path: Path

    def __call__(self, name: str) -> bytes:
        file = self.path / name
        if file.stat().st_size > LARGEST:
            raise ValueError(f"more than {LARGEST >> 30} GiB")
        return file.read_bytes()


@dataclass(frozen=True)
class _InArchive:
    path: Path
    state: tuple[int, int]  # of the file: another one is opened anew

    def __call__(self, name: str) -> bytes:
        archive, entries = _opened_archive(self.path, self.state)
        if entries[name].file_size > LARGEST:
            raise ValueError(f"more than {LARGEST >> 30} GiB")
        return archive.read(entries[name])  # as long as the entry says, and no longer


_Content = _InFolder | _InArchive


@contextmanager
def opened(
    path: Path, classes: bool = True, kind: Kind = "images", inputs: str | None = None
) -> Iterator[Place]:
    """What lies at `path`. `classes=False` leaves folders and labels of images without a meaning.

    `inputs` says where those of pairs lie (`folder.read`). A .zip is read where it lies; nothing of
    it is ever written. Raises `GanvasError` where there is no image, a name in a .zip leads out of
    it, or what are classes, domains or pairs cannot be told.
    """
    path = path.expanduser()
    if not path.exists():
        raise GanvasError(f"{path}: no such file or folder; give {READABLE}")
    if path.is_dir():
        listing = _Listing(folder(path), _InFolder(path))
        yield _listed(path, listing, classes, kind, inputs)
    elif path.suffix.lower() in arrays.ENDINGS:
        beside: dict[Kind, arrays.Beside | None] = {
            "images": "labels" if classes else None,
            "pairs": "inputs",
            "domains": "domains",
        }
        yield _of_arrays(path, arrays.load(path, beside[kind]), kind, inputs)
    elif arrays.IDX.search(path.name):
        yield _of_idx(path, {path.name: path.read_bytes}, classes, kind)
    elif path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        try:
            yield _listed(path, _archive(path), classes, kind, inputs)
        finally:
            _opened_archive.cache_clear()
    else:
        raise GanvasError(f"{path}: not a place of images; give {READABLE}")


def closed(name: str) -> tuple[bytes, Image.Image]:
    """`read` of a place that nothing is read from any more."""
    raise ValueError("closed")


def folder(path: Path) -> dict[str, str]:
    """The files in a folder and below, sorted, without hidden ones: relative path -> its state.

    Links are followed, and no folder is listed twice. Raises `GanvasError` where one cannot be.
    """
    found: dict[str, str] = {}
    seen = {os.path.realpath(path)}

    def refuse(error: OSError) -> None:
        raise GanvasError(
            f"{error.filename}: cannot be listed ({error.strerror}); make the folder readable"
        )

    for above, folders, names in os.walk(path, onerror=refuse, followlinks=True):
        below = sorted(filter(_shown, folders))
        folders.clear()
        for name in below:
            real = os.path.realpath(Path(above, name))
            if real not in seen:
                seen.add(real)
                folders.append(name)
        for name in filter(_shown, names):
            file = Path(above, name)
            try:
                known = file.stat()
            except OSError:
                state = ""  # reading it will say why
            else:
                if not stat.S_ISREG(known.st_mode):  # a pipe would be waited for
                    continue
                state = f"{known.st_size} {known.st_mtime_ns} {known.st_ctime_ns}"
            found[file.relative_to(path).as_posix()] = state
    return {name: found[name] for name in sorted(found)}


def is_image(name: str) -> bool:
    """Whether a file is one of images, by its ending."""
    return name.lower().endswith(decoding.ENDINGS)


def _shown(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


@lru_cache(maxsize=1)
def _opened_archive(
    path: Path, state: tuple[int, int]
) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """An archive, open in this process, and its visible files by their paths."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise GanvasError(f"{path}: no .zip can be read ({error}); give it whole") from None
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = PureWindowsPath(entry.filename)  # which takes / as well as \
        if name.root or ".." in name.parts:
            raise GanvasError(
                f"{path}: {entry.filename!r} in it leads out of it; make the .zip anew"
            )
        if not entry.is_dir() and all(map(_shown, name.parts)):
            entries[name.as_posix()] = entry
    return archive, entries


def _archive(path: Path) -> _Listing:
    known = path.stat()
    content = _InArchive(path, (known.st_size, known.st_mtime_ns))
    _, entries = _opened_archive(path, content.state)
    states = {name: f"{e.file_size} {e.CRC}" for name, e in sorted(entries.items())}
    return _Listing(states, content)


def _listed(path: Path, listing: _Listing, classes: bool, kind: Kind, inputs: str | None) -> Place:
    """Image files, or else IDX files."""
    names = [name for name in listing.files if is_image(name)]
    others = Counter(
        PurePosixPath(name).suffix.lower() or "no ending"
        for name in listing.files
        if not is_image(name)
    )
    if not names:
        idx = {
            name: partial(listing.content, name)
            for name in listing.files
            if arrays.IDX.search(name)
        }
        if idx:
            return _of_idx(path, idx, classes, kind)
        there = ", ".join(f"{count:,} {ending}" for ending, count in others.most_common(3))
        raise GanvasError(
            f"{path}: no image in it{f' ({there})' if there else ''}; give "
            f"{', '.join(decoding.ENDINGS)} or IDX files"
        )
    places = [tuple(name.split("/")) for name in names]
    skipped = _common(places)
    places = [place[skipped:] for place in places]
    if kind != "images":
        places = _splits_first(places)
    splits = {place[0].lower() for place in places if len(place) > 1} & SPLITS.keys()
    train = [name for name in splits if SPLITS[name] == "train"]
    if splits and not train:
        raise GanvasError(
            f"{path}: a folder {min(splits)!r}, and none 'train' beside it; rename one of them"
        )
    found: list[Lying] = []
    for name, below in zip(names, places, strict=True):
        split = SPLITS.get(below[0].lower()) if splits and len(below) > 1 else None
        if splits and not split:
            continue
        below = below[1:] if split else below
        inside = below[0] if len(below) > 1 else None
        stem = "/".join(below if inside is None else below[1:]).rpartition(".")[0]
        found.append(Lying(name, split, inside, stem))
    pairs = pairing.told(path, found, inputs) if kind == "pairs" else None
    if pairs and not pairs.halved:
        called: tuple[str, ...] = ()
        items = [
            Item(name, split, None, partner)
            for name, split, partner in pairing.matched(path, found, pairs)
        ]
    else:
        called = () if pairs or not (classes or kind == "domains") else _classes(path, found, kind)
        numbers = {name: number for number, name in enumerate(called)}
        items = [
            Item(name, split, numbers[of] if called and of is not None else None)
            for name, split, of, _ in found
        ]
    state = _digest(f"{name}\0{listing.files[name]}" for name in names)
    outside, read = len(names) - len(found), _Files(listing.content)
    return Place(items, called, others, outside, state, read, kind, pairs)


def _common(places: list[tuple[str, ...]]) -> int:
    """How many folders all of the paths lie in, down to those of the splits."""
    depth = 0
    while all(len(place) > depth + 1 for place in places):
        names = {place[depth] for place in places}
        if len(names) > 1 or names.pop().lower() in SPLITS:
            break
        depth += 1
    return depth


def _splits_first(places: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """`trainA/…` as `train/A/…`; `A/train/…`, too, where each folder has a `train`."""
    folders = {place[0] for place in places if len(place) > 1}
    train = {p[0] for p in places if len(p) > 2 and SPLITS.get(p[1].lower()) == "train"}
    turned = folders == train and not {name.lower() for name in folders} & SPLITS.keys()

    def of(place: tuple[str, ...]) -> tuple[str, ...]:
        if len(place) > 1 and (both := SPLIT_AND_DOMAIN.fullmatch(place[0])):
            return (*both.groups(), *place[1:])
        if turned and len(place) > 2:
            return (place[1], place[0], *place[2:])
        return place

    return [of(place) for place in places]


def _classes(path: Path, found: list[Lying], kind: Kind) -> tuple[str, ...]:
    """Names of the classes, sorted; none where all images lie in one folder, or in no folder.

    Or those of the domains, at least two.
    """
    inside = sorted({of.folder for of in found if of.folder is not None})
    beside = [of.name for of in found if of.folder is None]
    if inside and beside:
        folders, otherwise = (
            ("domains' folders", "")
            if kind == "domains"
            else ("class folders", ", or read it without classes")
        )
        raise GanvasError(
            f"{path}: {len(beside):,} images lie beside the {folders} ({few(beside)}), "
            f"which are {few(inside)}; move them into these{otherwise}"
        )
    if len(inside) > 1:
        return tuple(inside)
    if kind == "domains":
        raise GanvasError(
            f"{path}: all images lie in one folder, and domains are two or more; give a folder of "
            "each, as horse and zebra, or trainA, trainB, testA and testB"
        )
    return ()


def _of_idx(
    path: Path, files: Mapping[str, Callable[[], bytes]], classes: bool, kind: Kind
) -> Place:
    if kind != "images":
        raise GanvasError(
            f"{path}: IDX files hold images and classes, no {kind}; give image files, or a .npz "
            f"with images and {'inputs' if kind == 'pairs' else kind}"
        )
    return _of_arrays(path, arrays.read_idx(path, files, classes), kind, None)


def _of_arrays(path: Path, found: list[Images], kind: Kind, inputs: str | None) -> Place:
    numbers = sorted(
        {int(n) for of in found if of.labels is not None for n in np.unique(of.labels)}
    )
    classes = tuple(map(str, numbers)) if len(numbers) > 1 else ()
    if kind == "domains" and not classes:
        raise GanvasError(
            f"{path}: {len(numbers)} domains, where there must be two or more; give an array "
            "domains, the number of each image's"
        )
    pairs = _pairs_of_arrays(path, found, inputs) if kind == "pairs" else None
    places = {number: place for place, number in enumerate(numbers)}
    items: list[Item] = []
    for of in found:
        first, second = (of.inputs, of) if of.inputs else (of, None)
        if second and pairs and pairs.inputs == "images":
            first, second = second, first
        items += (
            Item(
                f"{first.name}[{index}]",
                of.split,
                places[int(of.labels[index])] if classes and of.labels is not None else None,
                f"{second.name}[{index}]" if second else None,
            )
            for index in range(len(of.pixels))
        )
    every = [one for of in found for one in ((of.inputs, of) if of.inputs else (of,))]
    pixels = {f"{of.name}[{at}]": image for of in every for at, image in enumerate(of.pixels)}

    def read(name: str) -> tuple[bytes, Image.Image]:
        image = np.ascontiguousarray(pixels[name])
        return image.tobytes(), Image.fromarray(image)

    state = _digest(part for of in every for part in (of.name, of.pixels))
    return Place(items, classes, Counter(), 0, state, read, kind, pairs)


def _pairs_of_arrays(path: Path, found: list[Images], inputs: str | None) -> Pairs:
    if not any(of.inputs for of in found):
        return pairing.told(path, [], inputs)
    if inputs not in (None, "inputs", "images"):
        raise GanvasError(
            f"{path}: inputs: {inputs}: here are arrays of inputs and of images; leave it out, or "
            "give images to turn them round"
        )
    turned = inputs == "images"
    return Pairs(*(("images", "inputs") if turned else ("inputs", "images")), halved=False)


def _digest(parts: Iterable[str | np.ndarray]) -> str:
    """Of names, which may hold bytes that are no text, and arrays."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode(errors="surrogateescape") + b"\0")
        else:
            digest.update(repr(part.shape).encode())
            for image in part:  # a copy of one, where it is not contiguous
                digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
