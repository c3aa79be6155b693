"""A file is whole or not there, and the same values give the same bytes."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ganvas import files
from ganvas.data import normalize
from ganvas.errors import GanvasError

WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: files.write_bytes(path, b"\0\1"),
    "text": lambda path: files.write_text(path, "new × 1\n"),
    "json": lambda path: files.write_json(path, {"b": 1.5, "a": [1, None, "×"]}),
    "csv": lambda path: files.write_csv(path, ["a", "b"], [[1, 1 / 3]]),
    "array": lambda path: files.write_array(path, np.arange(6, dtype=np.uint8).reshape(2, 3)),
    "data set": lambda path: normalize.write(
        path, {"images": np.zeros((3, 1, 4, 4), np.uint8), "labels": np.arange(3)}
    ),
    "tensors": lambda path: files.write_tensors(
        path, {"weight": torch.arange(4.0), "bias": torch.zeros(2)}, {"facts": "1 2"}
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def refusal(write: Callable[[Path], None], path: Path) -> str:
    with pytest.raises(GanvasError) as caught:
        write(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: cannot be written (") and "\n" not in line
    assert "run the command again" in line or "move the project" in line
    return line


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
class TestEveryWriter:
    def test_makes_the_folders_it_needs_and_nothing_else(
        self, tmp_path: Path, write: Callable[[Path], None]
    ) -> None:
        write(tmp_path / "a" / "b" / "file")
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / "a" / "b" / "file"]

    def test_replaces_an_older_file(self, path: Path, write: Callable[[Path], None]) -> None:
        path.write_bytes(b"old and longer than anything that is written here" * 100)
        write(path)
        again = path.with_name("again")
        write(again)
        assert path.read_bytes() == again.read_bytes()

    def test_leaves_another_name_of_the_older_file_alone(
        self, path: Path, write: Callable[[Path], None]
    ) -> None:
        """Such as the one in DVC's cache: the new file takes the name, not the old one's place."""
        path.write_bytes(b"old")
        cached = path.with_name("cached")
        cached.hardlink_to(path)
        write(path)
        assert cached.read_bytes() == b"old" != path.read_bytes()

    def test_is_readable_by_others(self, path: Path, write: Callable[[Path], None]) -> None:
        before = os.umask(0o022)
        try:
            write(path)
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o644

    def test_that_fails_leaves_the_old_file_and_no_other(
        self, path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path.write_bytes(b"old")

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        assert "free some space" in refusal(write, path)
        assert [p.read_bytes() for p in path.parent.iterdir()] == [b"old"]

    def test_that_is_interrupted_leaves_the_old_file_and_no_other(
        self, path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path.write_bytes(b"old")

        def interrupted(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(path)
        assert [p.read_bytes() for p in path.parent.iterdir()] == [b"old"]

    def test_below_a_regular_file_gives_one_line(
        self, path: Path, write: Callable[[Path], None]
    ) -> None:
        """What even the superuser may not write."""
        path.write_bytes(b"old")
        refusal(write, path / "below")
        refusal(write, path / "far" / "below")
        assert [p.read_bytes() for p in path.parent.iterdir()] == [b"old"]

    def test_where_a_folder_is_gives_one_line(
        self, path: Path, write: Callable[[Path], None]
    ) -> None:
        (path / "within").mkdir(parents=True)
        refusal(write, path)
        assert list(path.parent.rglob("*")) == [path, path / "within"]


def test_disk_that_is_full_leaves_the_old_file_whole(path: Path, root: Path) -> None:
    """A real one, as far as the process can tell: files may not grow beyond a limit."""
    path.write_bytes(b"old")
    program = """
import resource, signal, sys
from pathlib import Path
from ganvas import errors, files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write_bytes(Path(sys.argv[1]), b"new" * 1000)
except errors.GanvasError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, path], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{path}: cannot be written (File too large); ")
    assert [p.read_bytes() for p in path.parent.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EACCES, "make the folder writable"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EIO, "mend that"),
    ],
)
def test_message_says_what_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", failing)
    line = refusal(WRITERS["text"], path)
    assert f"({os.strerror(number)}); {advice}" in line


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Rights of somebody: the superuser may write anywhere."""
    superuser = os.geteuid() == 0
    if superuser:
        os.seteuid(65534)
    yield
    if superuser:
        os.seteuid(0)


def test_read_only_folder_gives_one_line(path: Path, request: pytest.FixtureRequest) -> None:
    path.write_bytes(b"old")
    path.parent.chmod(0o555)
    request.getfixturevalue("ordinary_user")
    assert "(Permission denied); make the folder writable" in refusal(WRITERS["text"], path)


class TestBytes:
    """Exactly what is written: dvc.lock holds hashes of it."""

    def written(self, path: Path, name: str) -> bytes:
        WRITERS[name](path)
        return path.read_bytes()

    def test_of_text_are_utf_8_with_its_own_line_ends(self, path: Path) -> None:
        assert self.written(path, "text") == "new × 1\n".encode()

    def test_of_json_are_in_the_order_given(self, path: Path) -> None:
        content = self.written(path, "json")
        expected = b'{\n  "b": 1.5,\n  "a": [\n    1,\n    null,\n    "\\u00d7"\n  ]\n}\n'
        assert content == expected
        assert json.loads(content) == {"b": 1.5, "a": [1, None, "×"]}

    def test_of_json_keep_every_digit_of_a_number(self, path: Path) -> None:
        number = 0.1 + 0.2
        files.write_json(path, number)
        assert json.loads(path.read_text()) == number

    def test_of_csv_have_six_digits(self, path: Path) -> None:
        rows = [[1, 1 / 3, "x"], [1_000_000, 1234567.8, ""], [0, np.float64(1e-9), "y"]]
        files.write_csv(path, ["iteration", "loss", "note"], rows)
        assert path.read_bytes() == (
            b"iteration,loss,note\n1,0.333333,x\n1000000,1.23457e+06,\n0,1e-09,y\n"
        )

    def test_of_csv_without_rows_are_the_header(self, path: Path) -> None:
        files.write_csv(path, ["a", "b"], [])
        assert path.read_bytes() == b"a,b\n"

    def test_of_an_array_are_numpys(self, path: Path) -> None:
        content = self.written(path, "array")
        buffer = io.BytesIO()
        np.save(buffer, np.arange(6, dtype=np.uint8).reshape(2, 3))
        assert content == buffer.getvalue()

    def test_of_an_array_hold_no_pickle(self, path: Path) -> None:
        with pytest.raises(ValueError, match="Object arrays"):
            files.write_array(path, np.array([object()]))
        assert not path.exists()

    def test_of_tensors_do_not_depend_on_the_order_given(self, path: Path) -> None:
        content = self.written(path, "tensors")
        tensors = {"bias": torch.zeros(2), "weight": torch.arange(4.0)}
        files.write_tensors(path, tensors, {"facts": "1 2"})
        assert path.read_bytes() == content

    def test_of_tensors_do_not_depend_on_the_layout_in_memory(self, path: Path) -> None:
        kernel = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
        files.write_tensors(path, {"kernel": kernel})
        content = path.read_bytes()
        files.write_tensors(path, {"kernel": kernel.to(memory_format=torch.channels_last)})
        assert path.read_bytes() == content
        assert torch.equal(load_file(path)["kernel"], kernel)

    def test_are_the_same_in_another_process(self, path: Path) -> None:
        """Whatever the seed of Python's hashes."""
        program = """
import pathlib, sys, test_files
for name, write in test_files.WRITERS.items():
    write(pathlib.Path(sys.argv[1], name))
"""
        environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
        folder = path.with_name("other")
        subprocess.run([sys.executable, "-c", program, folder], env=environment, check=True)
        for name in WRITERS:
            assert (folder / name).read_bytes() == self.written(path, name)
