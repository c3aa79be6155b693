"""Fixtures that several test files share."""

import os
from pathlib import Path
from typing import Any

import pytest
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
