"""What people call things, and how a list of names is said in one line."""

from collections.abc import Iterable

SPLITS = {  # names of folders, and words in names of files and arrays
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "t10k": "test",  # MNIST's file names
}


def few(names: Iterable[str], most: int = 3) -> str:
    """The first of many names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
