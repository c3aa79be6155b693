"""A repository that was moved or copied has its runs with it, and leaves the others alone."""

import json
import shutil
import sqlite3
import sys
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from background import answers, free_port, serving
from repositories import copy, edit, environment, run


@pytest.fixture(scope="module")
def moved(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that was moved: where it was there is nothing now."""
    folder = tmp_path_factory.mktemp("moved")
    before, after = copy(original, folder / "before"), folder / "thư mục của tôi"
    run(folder, "mv", str(before), str(after))
    edit(after, tracking__enabled=True)
    return after


def artifacts(folder: Path) -> dict[Path, int]:
    """When each file of MLflow's artifacts was written."""
    found = [path for path in (folder / "mlruns").rglob("*") if path.is_file()]
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in found}


def run_id(folder: Path, name: str) -> str:
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        [[found]] = store.execute("select run_uuid from runs where name = ?", [name]).fetchall()
    return str(found)


def test_the_store_names_no_place(original: Path) -> None:
    with closing(sqlite3.connect(original / "mlflow.db")) as store:
        text = "\n".join(store.iterdump())
    assert "mlruns/" in text
    assert str(original) not in text and original.as_uri() not in text


def test_mlflow_ui_shows_what_earlier_runs_made(moved: Path, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "mlflow", "ui", "--port", url.rpartition(":")[2]]
    variables = environment(
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true"
    )
    of_gan = run_id(moved, "digits-gan")

    def get(at: str, **query: str) -> bytes:
        with urllib.request.urlopen(f"{url}/{at}?{urllib.parse.urlencode(query)}") as answer:
            return bytes(answer.read())

    def ready() -> None:
        answers(f"{url}/health")

    with serving(tmp_path / "log", [*command, "--workers", "1"], ready, cwd=moved, env=variables):
        listing = get("ajax-api/2.0/mlflow/artifacts/list", run_id=of_gan, path="images")
        pictures: list[dict[str, Any]] = json.loads(listing)["files"]
        assert len(pictures) == 6  # at three iterations, each with a small one
        for picture in pictures:
            shown = get("get-artifact", run_uuid=of_gan, path=picture["path"])
            kept = moved / "mlruns" / of_gan / "artifacts" / picture["path"]
            assert shown == kept.read_bytes()
        card = get("model-versions/get-artifact", name="ganvas-digits", version="1", path="MLmodel")
        assert b"python_function" in card


def test_the_best_model_is_found(moved: Path, tmp_path: Path) -> None:
    metrics = {
        model: json.loads((moved / f"results/digits/{model}/metrics.json").read_text())
        for model in ("gan", "dcgan")
    }
    best = min(metrics, key=lambda model: float(metrics[model]["classifier"]["fid"]))
    samples = np.load(moved / f"samples/digits/{best}/images.npy")[:5]
    by_ganvas, by_mlflow = tmp_path / "ganvas.npy", tmp_path / "mlflow.npy"
    draw = ("ganvas", "draw", "models:/ganvas-digits@best", "--count", "5", "--seed", "0")
    run(moved, "python", "-m", *draw, "--out", str(by_ganvas))
    program = (
        "import mlflow, numpy, sys; model = mlflow.pyfunc.load_model('models:/ganvas-digits@best');"
        "numpy.save(sys.argv[1], model.predict([{'images': 5, 'seed': 0}]))"
    )
    run(moved, "python", "-c", program, str(by_mlflow))
    for drawn in (by_ganvas, by_mlflow):
        assert np.array_equal(np.load(drawn), samples)


def test_copies_that_are_used_in_turn_write_each_into_its_own(
    original: Path, moved: Path, tmp_path: Path
) -> None:
    run(tmp_path, "cp", "-a", str(moved), "copy")
    folders = {folder: artifacts(folder) for folder in (original, moved, tmp_path / "copy")}
    databases = {folder: (folder / "mlflow.db").read_bytes() for folder in folders}
    for used in (tmp_path / "copy", moved):
        done = run(used, "python", "-m", "stages.sample", "--dataset", "digits", "--model", "gan")
        assert "not tracked" not in done.stderr, done.stderr
        grid = Path("mlruns", run_id(used, "digits-gan"), "artifacts", "grid.png")
        written = artifacts(used)
        assert written.keys() == folders[used].keys() and written[grid] > folders[used][grid]
        assert (used / "mlflow.db").read_bytes() != databases[used]
        folders[used], databases[used] = written, (used / "mlflow.db").read_bytes()
        for folder in folders:
            assert artifacts(folder) == folders[folder]
            assert (folder / "mlflow.db").read_bytes() == databases[folder]
    assert not (moved.parent / "before").exists()
    shutil.rmtree(tmp_path / "copy")
