"""Files that are either whole or not there."""

import errno
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ganvas.errors import GanvasError

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file that becomes `path` at the end: a temporary one beside it, fsync, rename.

    Raises `GanvasError` when the disk is full or the folder cannot be written; an older file of
    that name then stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        advice = {
            errno.ENOSPC: "free some space and run the command again",
            errno.EACCES: "make the folder writable and run the command again",
            errno.EROFS: "the file system is read-only; move the project or remount it",
        }.get(error.errno or 0, "mend that and run the command again")
        raise GanvasError(f"{path}: cannot be written ({error.strerror}); {advice}") from None
    finally:
        with suppress(OSError):  # where the folder is out of reach, the message above says so
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    with writing(path) as file:
        file.write(content)


def link(path: Path, target: Path) -> None:
    """Make `path` a link to `target`; relative where that is, so that it survives a move of both.

    Raises `GanvasError` where links cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target if target.is_absolute() else os.path.relpath(target, path.parent))
    except OSError as error:
        raise GanvasError(
            f"{path}: no link can be made ({error.strerror}); use a file system that has links (on "
            "Windows: switch developer mode on)"
        ) from None


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_array(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(
    path: Path, header: Iterable[str], rows: Iterable[Iterable[float | int | str]]
) -> None:
    """Numbers are written with six significant digits."""
    lines = [",".join(header)]
    for row in rows:
        lines.append(",".join(f"{x:.6g}" if isinstance(x, float) else str(x) for x in row))
    write_text(path, "\n".join(lines) + "\n")


def write_tensors(
    path: Path, tensors: dict[str, "Tensor"], metadata: dict[str, str] | None = None
) -> None:
    """A safetensors file; `metadata` goes into its header."""
    # Brings torch in: seconds that most stages' files do not need.
    from safetensors.torch import save

    write_bytes(path, save({k: v.contiguous().cpu() for k, v in tensors.items()}, metadata))
