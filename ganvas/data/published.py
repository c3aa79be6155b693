"""A data set as it is published, every file checked, and brought to splits."""

from pathlib import Path

import pooch

from ganvas.data import download, normalize
from ganvas.data.sources import SOURCES
from ganvas.errors import GanvasError


def fetch(name: str, folder: Path) -> None:
    """Bring its files into `folder`; those that are there already are not fetched again.

    Digits come out of scikit-learn. Raises `GanvasError` where there is no way to a file, or it is
    another one than was published.
    """
    source = SOURCES[name]
    if name == "digits":
        normalize.export_digits(folder / normalize.DIGITS)
        if pooch.file_hash(folder / normalize.DIGITS) != source.files[normalize.DIGITS]:
            raise GanvasError("digits: scikit-learn holds other images than the published ones")
        return
    for file, sha256 in source.files.items():
        download.fetch(name, file, sha256, source.hosts, folder)
