"""Where a person's images lie: in a folder, a .zip, a .npz or .npy, IDX files.

Each image has a name, the split that its place says, and a class if there are any. The rules:

- What all images lie in is passed by: `pictures/flowers/train/…` is read as `train/…`.
- Folders `train` and `test`, `validation` or `val` are splits, where there is a `train`.
- The first folder below that is the class; whatever lies deeper belongs to it.
- Hidden files and folders, and macOS's `__MACOSX`, are passed by.
"""

import hashlib
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganvas.data import arrays, decoding
from ganvas.data.arrays import Images
from ganvas.data.naming import SPLITS, few
from ganvas.errors import GanvasError

LARGEST = 1 << 30  # bytes of one image file: more is a mistake, or meant to fill the memory
READABLE = "a folder, a .zip, a .npz or .npy, or IDX files"


class Item(NamedTuple):
    """An image; `split` is None where its place says none, `label` where there are no classes."""

    name: str
    split: str | None
    label: int | None


class Place(NamedTuple):
    """What lies in a place, in an order that depends on nothing but the names.

    `read(name)` gives what identifies an item (its bytes as they lie there) and its image, and
    raises almost any exception. `state` changes when an item is added, removed or edited. `others`
    counts the endings of files that are no images, `outside` the images that lie beside the folders
    of the splits; neither are among the items.
    """

    items: list[Item]
    classes: tuple[str, ...]
    others: Counter[str]
    outside: int
    state: str
    read: Callable[[str], tuple[bytes, Image.Image]]

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
def opened(path: Path, classes: bool = True) -> Iterator[Place]:
    """What lies at `path`. `classes=False` leaves folders and labels without a meaning.

    A .zip is read where it lies; nothing of it is ever written. Raises `GanvasError` where there
    is no image, a name in a .zip leads out of it, or what are classes cannot be told.
    """
    path = path.expanduser()
    if not path.exists():
        raise GanvasError(f"{path}: no such file or folder; give {READABLE}")
    if path.is_dir():
        yield _listed(path, _Listing(folder(path), _InFolder(path)), classes)
    elif path.suffix.lower() in arrays.ENDINGS:
        yield _of_arrays(arrays.load(path, classes))
    elif arrays.IDX.search(path.name):
        yield _of_arrays(arrays.read_idx(path, {path.name: path.read_bytes}, classes))
    elif path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        try:
            yield _listed(path, _archive(path), classes)
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


def _listed(path: Path, listing: _Listing, classes: bool) -> Place:
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
            return _of_arrays(arrays.read_idx(path, idx, classes))
        there = ", ".join(f"{count:,} {ending}" for ending, count in others.most_common(3))
        raise GanvasError(
            f"{path}: no image in it{f' ({there})' if there else ''}; give "
            f"{', '.join(decoding.ENDINGS)} or IDX files"
        )
    places = [tuple(name.split("/")) for name in names]
    skipped = _common(places)
    splits = {p[skipped].lower() for p in places if len(p) > skipped + 1} & SPLITS.keys()
    train = [name for name in splits if SPLITS[name] == "train"]
    if splits and not train:
        raise GanvasError(
            f"{path}: a folder {min(splits)!r}, and none 'train' beside it; rename one of them"
        )
    found: list[tuple[str, str | None, str | None]] = []
    for name, place in zip(names, places, strict=True):
        below = place[skipped:]
        split = SPLITS.get(below[0].lower()) if splits and len(below) > 1 else None
        if splits and not split:
            continue
        below = below[1:] if split else below
        found.append((name, split, below[0] if len(below) > 1 else None))
    called = _classes(path, found) if classes else ()
    numbers = {name: number for number, name in enumerate(called)}
    items = [
        Item(name, split, numbers[of] if called and of is not None else None)
        for name, split, of in found
    ]

    state = _digest(f"{name}\0{listing.files[name]}" for name in names)
    return Place(items, called, others, len(names) - len(found), state, _Files(listing.content))


def _common(places: list[tuple[str, ...]]) -> int:
    """How many folders all of the paths lie in, down to those of the splits."""
    depth = 0
    while all(len(place) > depth + 1 for place in places):
        names = {place[depth] for place in places}
        if len(names) > 1 or names.pop().lower() in SPLITS:
            break
        depth += 1
    return depth


def _classes(path: Path, found: list[tuple[str, str | None, str | None]]) -> tuple[str, ...]:
    """Names of the classes, sorted; none where all images lie in one folder, or in no folder."""
    inside = sorted({of for _, _, of in found if of is not None})
    beside = [name for name, _, of in found if of is None]
    if inside and beside:
        raise GanvasError(
            f"{path}: {len(beside):,} images lie beside the class folders ({few(beside)}), "
            f"which are {few(inside)}; move them into these, or read it without classes"
        )
    return tuple(inside) if len(inside) > 1 else ()


def _of_arrays(found: list[Images]) -> Place:
    numbers = sorted(
        {int(n) for of in found if of.labels is not None for n in np.unique(of.labels)}
    )
    classes = tuple(map(str, numbers)) if len(numbers) > 1 else ()
    places = {number: place for place, number in enumerate(numbers)}
    items = [
        Item(
            f"{of.name}[{index}]",
            of.split,
            places[int(of.labels[index])] if classes and of.labels is not None else None,
        )
        for of in found
        for index in range(len(of.pixels))
    ]
    pixels = [image for of in found for image in of.pixels]
    places_of = {item.name: index for index, item in enumerate(items)}

    def read(name: str) -> tuple[bytes, Image.Image]:
        image = np.ascontiguousarray(pixels[places_of[name]])
        return image.tobytes(), Image.fromarray(image)

    state = _digest(part for of in found for part in (of.name, of.pixels))
    return Place(items, classes, Counter(), 0, state, read)


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
