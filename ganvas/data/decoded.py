"""Every image of a place, decoded once, on disk until all are: a killed reading goes on there."""

import hashlib
import io
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from PIL import Image

from ganvas import files
from ganvas.data import decoding, pairing
from ganvas.data.form import Form
from ganvas.data.pairing import Pairs
from ganvas.data.places import Item, Place
from ganvas.errors import GanvasError
from ganvas.process import end_with
from ganvas.progress import Progress

PART = 4 << 20  # bytes of pixels that are finished, and written, at a time
TOGETHER = 32  # images that a process takes at a time
WORTH = 250  # images for which another process is worth its start


class Seen(NamedTuple):
    """What is remembered of each image: digests of its file and of its pixels, how it was.

    Of a pair: the file of its input, the pixels of both, and the size of the smaller.
    """

    content: str
    pixels: str
    width: int
    height: int
    mode: str
    format: str
    problem: str  # why it could not be read; then the others say nothing


Read = Callable[[str], tuple[bytes, Image.Image]]
_Done = list[tuple[np.ndarray | None, Seen]]


class Decoded:
    """The images in their order, in parts of some megabytes on disk; in memory what is small.

    A pair is as one image, the channels of its answer after those of its input.
    """

    def __init__(self, count: int, channels: int, side: int, folder: Path) -> None:
        self.count, self.folder = count, folder
        self.shape = channels, side, side
        self.size = max(TOGETHER, PART // int(np.prod(self.shape)))
        self.seen: list[Seen] = []
        for other in folder.parent.glob("*"):  # of images or a form that were changed since
            if re.fullmatch("[0-9a-f]{16}", other.name) and other != folder:
                shutil.rmtree(other, ignore_errors=True)
        while len(self.seen) < count and (part := self._load(len(self.seen))):
            self.seen += part[1]

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:09}.npz"

    def _load(self, start: int) -> tuple[np.ndarray, list[Seen]] | None:
        try:
            with np.load(self._path(start), allow_pickle=False) as part:
                return part["images"], [Seen(*at) for at in json.loads(part["seen"].tobytes())]
        except Exception:  # not there, or damaged: it will be made
            return None

    def blank(self) -> np.ndarray:
        """Of the next part's shape, all 0."""
        return np.zeros((min(self.size, self.count - len(self.seen)), *self.shape), np.uint8)

    def add(self, images: np.ndarray, seen: list[Seen]) -> None:
        """The next part: uint8 (n, channels, side, side); rows without image are 0."""
        buffer = io.BytesIO()
        np.savez(buffer, images=images, seen=np.frombuffer(json.dumps(seen).encode(), np.uint8))
        files.write_bytes(self._path(len(self.seen)), buffer.getvalue())
        self.seen += seen

    def images(self) -> Iterator[np.ndarray]:
        """Each part in turn."""
        for start in range(0, self.count, self.size):
            part = self._load(start)
            if not part:
                raise GanvasError(f"{self._path(start)}: was changed meanwhile; begin again")
            yield part[0]

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def decode(place: Place, form: Form, folder: Path, what: str, workers: int) -> Decoded:
    """All images of `place` as `form` says, files by as many processes as `workers`.

    What a killed call left in `folder` is taken over, unless images, form or this code are others
    by now; then it is removed. `what` is said beside the progress.

    Processes, because of a small image Python's part takes longest, which threads do by turns: on 2
    processors 28 x 28 drawings came 1.5 times as fast as by one thread, and by two threads half as
    fast. Arrays lie in this one's memory, and have little to decode.
    """
    channels = form.channels * (2 if place.pairs else 1)
    parts = Decoded(len(place.items), channels, form.image_size, folder / _key(place, form))
    total, begun = len(place.items), len(parts.seen)
    workers = min(workers, -(-(total - begun) // WORTH)) if place.files else 1
    jobs = (
        place.items[first : min(first + TOGETHER, begin + parts.size)]
        for begin in range(begun, total, parts.size)
        for first in range(begin, min(begin + parts.size, total), TOGETHER)
    )
    with Progress(what, total, done=begun, unit=place.unit) as bar:
        images, seen = parts.blank(), list[Seen]()
        for done in _in_order(partial(_some, place.read, form, place.pairs), jobs, workers):
            for pixels, at in done:
                if pixels is not None:
                    images[len(seen)] = pixels
                seen.append(at)
            bar.at(len(parts.seen) + len(seen))
            if len(seen) == len(images):
                parts.add(images, seen)
                images, seen = parts.blank(), []
    return parts


def _in_order(
    function: Callable[[list[Item]], _Done], jobs: Iterable[list[Item]], workers: int
) -> Iterator[_Done]:
    """As `map`, by that many processes."""
    if workers < 2:
        yield from map(function, jobs)
        return
    # joblib's processes do not import what called them, which may be a script or a notebook.
    how = {"backend": "loky", "return_as": "generator", "batch_size": 1}
    elsewhere = partial(_for, os.getpid(), function)
    try:
        yield from Parallel(workers, **how)(delayed(elsewhere)(job) for job in jobs)
    except TerminatedWorkerError:
        raise GanvasError(
            "a process that read images was killed, perhaps for want of memory; run it again: it "
            "goes on where it stopped"
        ) from None
    finally:
        get_reusable_executor().shutdown(kill_workers=True)  # they would wait for more


def _for(process: int, function: Callable[[list[Item]], _Done], items: list[Item]) -> _Done:
    if os.getpid() != process:  # where there can be no others, joblib works in this one
        end_with(process)
    return function(items)


def _some(read: Read, form: Form, pairs: Pairs | None, items: list[Item]) -> _Done:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of large images and odd metadata
        return [_one(read, form, pairs, item) for item in items]


def _one(read: Read, form: Form, pairs: Pairs | None, item: Item) -> tuple[np.ndarray | None, Seen]:
    of = ""  # whose fault it is, where it is not that of the item's name
    try:
        if pairs and not pairs.halved and item.partner is None:
            raise ValueError("no image of its name in the other folder")
        content, image = read(item.name)
        formats, images = [image.format or "array"], [image]
        if pairs and pairs.halved:
            images = [*pairing.halves(image, pairs)]
        planes = [decoding.fitted(image, form) for image in images]
        if item.partner is not None:
            of = f"{item.partner}: "
            _, other = read(item.partner)
            pairing.check(image, other)
            planes.append(decoding.fitted(other, form))
            formats.append(other.format or "array")
            images.append(other)
    except Exception as error:  # Pillow answers a damaged file with almost any exception
        return None, Seen("", "", 0, 0, "", "", of + decoding.reason(error))
    pixels = np.concatenate(planes) if len(planes) > 1 else planes[0]
    width, height = min(image.size for image in images)
    mode, format_ = (
        " and ".join(dict.fromkeys(of_each))
        for of_each in ([image.mode for image in images], formats)
    )
    return pixels, Seen(_digest(content), _digest(pixels), width, height, mode, format_, "")


def _digest(content: bytes | np.ndarray) -> str:
    data = content if isinstance(content, bytes) else content.data
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _key(place: Place, form: Form) -> str:
    """Changes with the images, with what is made of them, and with what makes it."""
    code = b"".join(Path(of).read_bytes() for of in (decoding.__file__, pairing.__file__))
    digest = hashlib.sha256(code).hexdigest()
    parts = (place.state, form, place.pairs, PIL.__version__, digest, PART)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
