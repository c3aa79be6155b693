"""Where every stage reads and writes, relative to the repository's root."""

import os
from pathlib import Path

# An experiment runs in a copy of the repository; what outlives it belongs to the real one, which
# DVC names in DVC_ROOT.
ROOT = Path(os.environ.get("DVC_ROOT") or ".").resolve()
CACHE = ROOT / ".ganvas"  # states of trainings, downloaded weights: never an output
INCEPTION = CACHE / "inception"

PUBLISHED = Path("docs/results.json")  # what README says of the results beside their scores


def raw(dataset: str) -> Path:
    return Path("data/raw") / dataset


def normalized(dataset: str) -> Path:
    return Path("data/normalized") / dataset


def reference(dataset: str, extractor: str) -> Path:
    return Path("data/reference") / dataset / f"{extractor}.safetensors"


def classifier(dataset: str) -> Path:
    return Path("models") / dataset / "classifier" / "classifier.safetensors"


def model(dataset: str, model: str) -> Path:
    return Path("models") / dataset / model


def samples(dataset: str, model: str) -> Path:
    return Path("samples") / dataset / model


def results(dataset: str, model: str = "") -> Path:
    return Path("results") / dataset / model


def report(dataset: str) -> Path:
    return Path("reports") / dataset / "index.html"
