"""Fixtures that several test files share."""

import os
from pathlib import Path
from typing import Any

import pytest
from repositories import commit, edit, make, run
from ruamel.yaml import YAML

from ganvas import download

ROOT = Path(__file__).parents[1]
MIRROR = os.environ.get(download.MIRROR)  # as pytest was started: a test may unset it


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


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny digits pipeline in its own git repository, made and committed."""
    folder = tmp_path_factory.mktemp("repository")
    tiny = {"epochs": 2, "checkpoint_every": 1}
    make(
        folder,
        matrix__datasets=["digits"],
        datasets__digits__models={"gan": dict(tiny), "dcgan": dict(tiny)},
        datasets__digits__classifier={"epochs": 2},
        train__log_every=5,
        train__pictures=[10, 20],
        select__images=100,
        evaluate__images=200,
        tracking__tensorboard=True,
    )
    run(folder, "dvc", "repro", MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="0.5")
    # MLflow takes seconds to import in each process: the first repro has shown that it works, and
    # no stage reruns because tracking is switched off.
    edit(folder, tracking={"enabled": False, "tensorboard": False})
    commit(folder, "made")
    return folder


@pytest.fixture
def made(repository: Path) -> Path:
    """The repository as it was committed, with everything made."""
    run(repository, "git", "checkout", "-q", "params.yaml")
    run(repository, "dvc", "repro", "-q")
    return repository
