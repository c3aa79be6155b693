"""Files of images, laid down where tests want them."""

import zipfile
from collections.abc import Callable
from pathlib import Path

Lay = Callable[[dict[str, bytes]], Path]  # what the fixture `place` is


def write(path: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def archive(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return path
