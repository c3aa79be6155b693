"""Fetch published files: from the mirror if there is one, else from their public hosts."""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pooch

from ganvas.errors import GanvasError

MIRROR = "GANVAS_MIRROR"


def fetch(dataset: str, file: str, sha256: str, hosts: Iterable[str], folder: Path) -> Path:
    """Return `folder/file`, fetched if it is not there yet.

    The mirror, a folder or a URL in the environment variable GANVAS_MIRROR that holds
    `<dataset>/<file>`, is tried first, then each host (the file's name is appended to it).
    A file whose sha256 differs is never kept. Raises `GanvasError` when no place has the file.
    """
    target = folder / file
    if target.is_file() and pooch.file_hash(target) == sha256:
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
    except OSError as error:
        raise GanvasError(f"{folder}: {error.strerror}; make the folder writable") from None
    failures = []
    for place in _places(dataset, hosts):
        try:
            if "://" in place:
                _from_host(place, file, sha256, folder)
            else:
                _from_folder(Path(place) / file, sha256, target)
            return target
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            target.unlink(missing_ok=True)
            failures.append(f"{place}: {_reason(error)}")
    raise GanvasError(
        f"{dataset}/{file}: could not be fetched ({'; '.join(failures)}). Check the network, or "
        f"set {MIRROR} to a folder or URL that holds {dataset}/{file}"
    )


def _places(dataset: str, hosts: Iterable[str]) -> list[str]:
    mirror = os.environ.get(MIRROR)
    return ([f"{mirror.rstrip('/')}/{dataset}/"] if mirror else []) + list(hosts)


def _from_host(host: str, file: str, sha256: str, folder: Path) -> None:
    # pooch's own log would repeat, for every retry, what the final message says once.
    pooch.get_logger().setLevel(logging.CRITICAL)
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
    store = pooch.create(folder, host, registry={file: f"sha256:{sha256}"}, retry_if_failed=2)
    Path(store.fetch(file, downloader=downloader)).chmod(0o644)  # its temporary file's are stricter


def _from_folder(source: Path, sha256: str, target: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as copy:
        temporary = Path(copy.name)
    try:
        shutil.copyfile(source, temporary)
        if pooch.file_hash(temporary) != sha256:
            raise ValueError("hash does not match")
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if "hash" in str(error):
        return "the file there is damaged or another one (its sha256 differs)"
    return type(error).__name__
