"""Fixtures that several test files share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from laying import Lay, archive, write
from repositories import Files, commit, copy, edit, files, make, run
from ruamel.yaml import YAML
from threadpoolctl import threadpool_limits

# Workers with all threads each would slow each other down. Inherited by what tests start; before
# ganvas is imported, which sets as many as there are processors.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from ganvas import process
from ganvas.data import download, findings

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
MIRROR = os.environ.get(download.MIRROR)  # as pytest was started: a test may unset it
# A worker is given whole files, in this order: the longest first, so that no worker is left alone
# with one at the end, and what needs `original` not all at once.
LONGEST = (
    "test_pipeline",
    "test_own_images",
    "test_translation_pipeline",
    "test_inception_pipeline",
    "test_run",
    "test_lineage",
    "test_results",
    "test_servers",
    "test_cluster",
    "test_moved",
    "test_draw",
    "test_parts",
    "test_readme",
    "test_serving",
    "test_trust",
    "test_score",
    "test_notebook",
    "test_cli",
    "test_tracking",
)


def pytest_xdist_auto_num_workers() -> int:
    """One more than processors: much of the time a worker waits for a lock or a server."""
    return process.usable_processors() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture
def params() -> dict[str, Any]:
    """The committed params.yaml, a fresh copy that a test may change."""
    values: dict[str, Any] = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    return values


@pytest.fixture
def mirror() -> Path:
    """The folder GANVAS_MIRROR with the published MNIST and Fashion-MNIST."""
    if not MIRROR:
        pytest.skip(f"NOT TESTED: {download.MIRROR} is not set, so there are no published files")
    if "://" in MIRROR:
        pytest.skip(f"NOT TESTED: {download.MIRROR} is a URL; this test reads a folder")
    return Path(MIRROR)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As what repositories.py starts has: with another number sums are rounded otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):  # NumPy's and SciPy's too
        yield
    torch.set_num_threads(before)


@pytest.fixture(params=["folder", "zip"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Lay:
    """Lays files down, in a folder or in a .zip."""

    def lay(contents: dict[str, bytes]) -> Path:
        if request.param == "zip":
            return archive(tmp_path / "given.zip", contents)
        return write(tmp_path / "given", contents)

    return lay


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of images is enough."""
    monkeypatch.setattr(findings, "FEWEST", {})


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny digits pipeline in its own git repository, made and committed. Work in copies of it.

    Made once, by the worker that needs it first; the others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, ready = shared / "original", shared / "original.ready"
    with FileLock(shared / "original.lock"):
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a failure left
            folder.mkdir()
            _make_original(folder)
            ready.touch()
    return folder


def _make_original(folder: Path) -> None:
    tiny = {"epochs": 2, "checkpoint_every": 1}
    make(
        folder,
        matrix__datasets=["digits"],
        datasets__digits__models={"gan": dict(tiny), "dcgan": dict(tiny)},
        datasets__digits__classifier={"epochs": 2},
        datasets__digits__seed_deviation=0.0,
        train__log_every=5,
        train__pictures=[10, 20],
        select__images=100,
        evaluate__images=200,
        tracking__tensorboard=True,
    )
    run(folder, "dvc", "repro", MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="0.5")
    # MLflow takes seconds to import in each process: the first repro has shown that it works, and
    # no stage but params reruns because tracking is switched off.
    edit(folder, tracking={"enabled": False, "tensorboard": False})
    run(folder, "dvc", "repro", "-q")
    commit(folder, "made")


@pytest.fixture(scope="module")
def repository(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny digits pipeline in its own git repository, made and committed."""
    return copy(original, tmp_path_factory.mktemp("copy") / "repository")


@pytest.fixture(scope="module")
def _left(repository: Path) -> list[Files]:
    """The repository's files as `made` last gave them out."""
    return [files(repository)]


@pytest.fixture
def made(repository: Path, _left: list[Files]) -> Path:
    """The repository as it was committed, with everything made."""
    if files(repository) != _left[0]:
        run(repository, "git", "checkout", "-q", "params.yaml")
        run(repository, "dvc", "repro", "-q")
        _left[0] = files(repository)
    return repository


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not CHROMIUM or not CHROMEDRIVER:
        pytest.skip("chromium and chromedriver are not installed: the page is not looked at")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"):
        options.add_argument(f"--{flag}")
    for flag in ("background-networking", "component-update", "sync", "dev-shm-usage"):
        options.add_argument(f"--disable-{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=CHROMEDRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()
