"""Published files arrive whole, from the first place that has them, or not at all.

Every request stays on this machine: the hosts are servers on loopback, or a port where none is.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganvas.data import download, normalize
from ganvas.data import published as data_sets
from ganvas.data.sources import SOURCES
from ganvas.errors import GanvasError

FILE = "images.gz"
CONTENT = bytes(range(256)) * 500
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers on loopback; `requests` are the paths asked for."""

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Logged(BaseHTTPRequestHandler):
    server: Server

    def log_request(self, *_: object) -> None:
        self.server.requests.append(self.path)

    def log_error(self, *_: object) -> None:
        pass


class Folder(Logged, SimpleHTTPRequestHandler):
    """Has the files of a folder."""


class Truncated(Logged):
    """Promises the whole file and hangs up half-way."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2])


class Page(Logged):
    """Answers everything with a page, as a hotel's network does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Please log in</html>")


class Flaky(Logged):
    """Fails once, then has the file."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(503 if type(self).asked == 1 else 200)
        self.end_headers()
        self.wfile.write(CONTENT if type(self).asked > 1 else b"")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, no proxy, and no waiting between two tries."""
    monkeypatch.delenv(download.MIRROR, raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder of files by data set, as a mirror has it."""
    folder = tmp_path / "published"
    (folder / "mnist").mkdir(parents=True)
    (folder / "mnist" / FILE).write_bytes(CONTENT)
    return folder


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """Started by `serve`; all stopped at the end."""
    running: list[Server] = []
    yield running
    for server in running:
        server.shutdown()
        server.server_close()


def serve(servers: list[Server], what: Path | type[Logged]) -> Server:
    server = Server(partial(Folder, directory=str(what)) if isinstance(what, Path) else what)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    servers.append(server)
    return server


@pytest.fixture
def nobody() -> str:
    """The address of a port where no server is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where files go; made by the download."""
    return tmp_path / "data" / "raw" / "mnist"


def fetch(folder: Path, *hosts: str, sha256: str = SHA256) -> Path:
    return download.fetch("mnist", FILE, sha256, hosts, folder)


def holds_only_the_file(folder: Path) -> bool:
    return {path.name: path.read_bytes() for path in folder.iterdir()} == {FILE: CONTENT}


class TestComesFrom:
    def test_a_mirror_folder(
        self, folder: Path, published: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(download.MIRROR, str(published))
        assert fetch(folder, nobody) == folder / FILE
        assert holds_only_the_file(folder)

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_a_mirror_url(
        self,
        folder: Path,
        published: Path,
        servers: list[Server],
        monkeypatch: pytest.MonkeyPatch,
        slash: str,
    ) -> None:
        mirror = serve(servers, published)
        monkeypatch.setenv(download.MIRROR, mirror.url.rstrip("/") + slash)
        assert fetch(folder) == folder / FILE
        assert holds_only_the_file(folder)
        assert mirror.requests == [f"/mnist/{FILE}"]

    def test_a_host(self, folder: Path, published: Path, servers: list[Server]) -> None:
        host = serve(servers, published)
        fetch(folder, f"{host.url}mnist/")
        assert holds_only_the_file(folder)

    def test_the_mirror_before_any_host(
        self,
        folder: Path,
        published: Path,
        servers: list[Server],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        host = serve(servers, published)
        monkeypatch.setenv(download.MIRROR, str(published))
        fetch(folder, f"{host.url}mnist/")
        assert host.requests == []

    def test_the_first_host_that_has_it(
        self, folder: Path, published: Path, servers: list[Server]
    ) -> None:
        first, second = serve(servers, published), serve(servers, published)
        fetch(folder, f"{first.url}mnist/", f"{second.url}mnist/")
        assert (len(first.requests), len(second.requests)) == (1, 0)

    def test_a_host_that_fails_at_first(self, folder: Path, servers: list[Server]) -> None:
        host = serve(servers, Flaky)
        fetch(folder, host.url)
        assert len(host.requests) == 2
        assert holds_only_the_file(folder)

    def test_nowhere_when_it_is_there_already(self, folder: Path, nobody: str) -> None:
        folder.mkdir(parents=True)
        (folder / FILE).write_bytes(CONTENT)
        before = (folder / FILE).stat()
        assert fetch(folder, nobody) == folder / FILE
        assert (folder / FILE).stat().st_mtime_ns == before.st_mtime_ns
        assert (folder / FILE).stat().st_ino == before.st_ino

    def test_anew_when_another_file_is_there(
        self, folder: Path, published: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.mkdir(parents=True)
        (folder / FILE).write_bytes(CONTENT[:-1])
        monkeypatch.setenv(download.MIRROR, str(published))
        fetch(folder)
        assert holds_only_the_file(folder)


class TestGoesOnToTheNextPlace:
    @pytest.fixture
    def good(self, servers: list[Server], published: Path) -> str:
        return f"{serve(servers, published).url}mnist/"

    def test_when_nobody_answers(self, folder: Path, good: str, nobody: str) -> None:
        fetch(folder, nobody, good)
        assert holds_only_the_file(folder)

    def test_when_the_first_has_no_such_file(
        self, folder: Path, good: str, servers: list[Server], tmp_path: Path
    ) -> None:
        empty = serve(servers, tmp_path / "empty")
        fetch(folder, empty.url, good)
        assert empty.requests, "was asked first"
        assert holds_only_the_file(folder)

    def test_when_the_first_has_another_file(
        self, folder: Path, good: str, servers: list[Server]
    ) -> None:
        fetch(folder, serve(servers, Page).url, good)
        assert holds_only_the_file(folder)

    @pytest.mark.parametrize("damaged", [CONTENT[:-1], b"", CONTENT[:-1] + b"x", None])
    def test_when_the_mirrors_file_is_damaged_or_missing(
        self,
        folder: Path,
        good: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        damaged: bytes | None,
    ) -> None:
        mirror = tmp_path / "mirror"
        (mirror / "mnist").mkdir(parents=True)
        if damaged is not None:
            (mirror / "mnist" / FILE).write_bytes(damaged)
        monkeypatch.setenv(download.MIRROR, str(mirror))
        fetch(folder, good)
        assert holds_only_the_file(folder)


class TestIsRefusedAndNotKept:
    def refusal(self, folder: Path, *hosts: str) -> str:
        with pytest.raises(GanvasError) as caught:
            fetch(folder, *hosts)
        assert list(folder.iterdir()) == []
        assert "\n" not in str(caught.value)
        return str(caught.value)

    @pytest.mark.parametrize("damaged", [CONTENT[:-1], b"", CONTENT[:-1] + b"x", b"<html></html>"])
    @pytest.mark.parametrize("kind", ["folder", "url"])
    def test_damaged_truncated_or_wrong_file(
        self,
        folder: Path,
        published: Path,
        servers: list[Server],
        monkeypatch: pytest.MonkeyPatch,
        damaged: bytes,
        kind: str,
    ) -> None:
        (published / "mnist" / FILE).write_bytes(damaged)
        place = str(published) if kind == "folder" else serve(servers, published).url
        monkeypatch.setenv(download.MIRROR, place)
        message = self.refusal(folder)
        assert f"{place.rstrip('/')}/mnist/: the file there is damaged or another one" in message

    def test_file_whose_end_never_came(self, folder: Path, servers: list[Server]) -> None:
        host = serve(servers, Truncated)
        assert host.url in self.refusal(folder, host.url)
        assert len(host.requests) == 3, "tried again, twice"

    def test_older_file_that_is_wrong(self, folder: Path, nobody: str) -> None:
        folder.mkdir(parents=True)
        (folder / FILE).write_bytes(CONTENT[:-1])
        self.refusal(folder, nobody)

    def test_older_file_that_is_wrong_where_there_is_no_place_to_ask(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / FILE).write_bytes(CONTENT[:-1])
        self.refusal(folder)

    def test_copy_that_is_interrupted(
        self, folder: Path, published: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(source: Path, target: Path) -> None:
            target.write_bytes(CONTENT[:10])
            raise KeyboardInterrupt

        monkeypatch.setenv(download.MIRROR, str(published))
        monkeypatch.setattr("shutil.copyfile", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(folder)
        assert list(folder.iterdir()) == []

    def test_without_network_and_mirror_the_message_says_what_to_do(
        self, folder: Path, nobody: str
    ) -> None:
        message = self.refusal(folder, nobody, nobody)
        assert message.startswith(f"mnist/{FILE}: could not be fetched ({nobody}: ")
        assert message.count(nobody) == 2, "names every place"
        assert message.endswith(f"set {download.MIRROR} to a folder or URL that holds mnist/{FILE}")

    def test_mirror_that_is_not_there_is_named(
        self, folder: Path, tmp_path: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(download.MIRROR, str(tmp_path / "nowhere"))
        assert f"{tmp_path}/nowhere/mnist/: no such file; {nobody}" in self.refusal(folder, nobody)


def test_folder_that_cannot_be_made_gives_one_line(tmp_path: Path, nobody: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GanvasError) as caught:
        fetch(tmp_path / "file" / "raw", nobody)
    assert str(tmp_path / "file") in str(caught.value)


def test_file_is_readable_by_others_wherever_it_came_from(
    tmp_path: Path, published: Path, servers: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(download.MIRROR, str(published))
    from_folder = fetch(tmp_path / "a")
    monkeypatch.delenv(download.MIRROR)
    from_host = fetch(tmp_path / "b", f"{serve(servers, published).url}mnist/")
    assert {oct(path.stat().st_mode & 0o777) for path in (from_folder, from_host)} == {"0o644"}


class TestSources:
    def test_every_file_has_a_sha256_and_every_data_set_to_download_has_hosts(self) -> None:
        for name, source in SOURCES.items():
            assert source.files
            assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in source.files.values())
            assert name == "digits" or len(source.hosts) >= 2
            assert all(host.startswith("http") and host.endswith("/") for host in source.hosts)

    def test_digits_need_no_host(self) -> None:
        assert SOURCES["digits"].hosts == ()

    @pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
    def test_the_published_files_are_the_catalogues(
        self, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
    ) -> None:
        if not (mirror / dataset).is_dir():
            pytest.skip(f"NOT TESTED: {mirror} has no {dataset}")
        monkeypatch.setenv(download.MIRROR, str(mirror))
        for file, sha256 in SOURCES[dataset].files.items():
            download.fetch(dataset, file, sha256, (), tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == set(SOURCES[dataset].files)


class TestDataSet:
    def test_digits_that_are_others_than_the_published_ones_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data_sets.fetch("digits", tmp_path)
        assert (tmp_path / normalize.DIGITS).exists()
        monkeypatch.setattr(normalize, "export_digits", lambda path: path.write_bytes(b"others"))
        with pytest.raises(GanvasError, match="scikit-learn holds other images"):
            data_sets.fetch("digits", tmp_path)
