"""Progress of long work: a bar when a person watches, a line now and then when nobody does."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 30


class Progress:
    """Counts `unit`s from `done` to `total`, with rate and time left, on standard error."""

    def __init__(self, what: str, total: int, done: int = 0, unit: str = "it") -> None:
        watched = sys.stderr.isatty() or "ipykernel" in sys.modules  # in a terminal or a notebook
        self._what, self._printed, self._lines = what, time.monotonic(), not watched
        self._bar = tqdm(
            total=total, initial=done, desc=what, unit=unit, disable=not watched, mininterval=0.5
        )
        self._total, self._first, self._done, self._unit = total, done, done, unit
        self._began = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def at(self, done: int, **shown: float) -> None:
        """`shown` are figures to print beside the count."""
        self._bar.set_postfix({k: f"{v:.3f}" for k, v in shown.items()}, refresh=False)
        self._bar.update(done - self._done)
        self._done = done
        now = time.monotonic()
        if self._lines and now - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = now
            rate = (done - self._first) / (now - self._began)
            left = (self._total - done) / rate / 60 if rate else float("inf")
            figures = "".join(f", {name} {value:.3f}" for name, value in shown.items())
            print(
                f"{self._what}: {done:,} of {self._total:,} {self._unit}, {rate:.1f}/s, "
                f"{left:.1f} min left{figures}",
                file=sys.stderr,
                flush=True,
            )


def each(items: Iterable[T], what: str, total: int, unit: str) -> Iterator[T]:
    """Pass the items on, counting them."""
    with Progress(what, total, unit=unit) as progress:
        for done, item in enumerate(items, start=1):
            yield item
            progress.at(done)
