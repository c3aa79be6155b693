"""The mirror in MLflow, against real stores: it never stops, slows or changes a training."""

import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import mlflow
import numpy as np
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.tracking import runs
from ganvas.tracking.events import Events
from ganvas.tracking.runs import Tracker
from ganvas.workflow import mirror, provenance
from ganvas.workflow.instances import Instance

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def no_other_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def client(root: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def test_a_run_holds_parameters_curves_pictures_and_tags(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    Image.new("L", (4, 4)).save(picture)
    with Tracker(tmp_path, "digits", "digits-gan", tags={"a": "b"}) as tracker:
        tracker.keep_run_id(tmp_path / "run_id")
        tracker.params({"lr": 0.1, "betas": [0.5, 0.9]})
        tracker.curves((step, {"loss": step / 7}) for step in range(2500))
        tracker.picture("progress", picture, step=100)
        tracker.file(picture)
        tracker.tags({"warning": "none"})
    run_id = (tmp_path / "run_id").read_text()
    run = client(tmp_path).get_run(run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "digits-gan"
    assert run.data.params == {"lr": "0.1", "betas": "[0.5, 0.9]"}
    assert run.data.tags["a"] == "b" and run.data.tags["warning"] == "none"
    history = client(tmp_path).get_metric_history(run_id, "loss")
    assert len(history) == 2500 and history[-1].step == 2499
    # Beside the store, whatever the working directory.
    files = {file.path for file in client(tmp_path).list_artifacts(run_id)}
    assert files == {"images", "picture.png"}
    assert (tmp_path / "mlruns" / run_id / "artifacts" / "picture.png").exists()


def places_in(root: Path) -> list[str]:
    """Where the experiments, runs and models of a store say that their artifacts are."""
    store = client(root)
    known = store.search_experiments(order_by=["experiment_id ASC"])
    found = [str(each.artifact_location) for each in known]
    ids = [each.experiment_id for each in known]
    of_runs = store.search_runs(ids, order_by=["attributes.start_time ASC"])
    found += [str(each.info.artifact_uri) for each in of_runs]
    for version in store.search_model_versions():
        found.append(str(version.source))
        found.append(store.get_model_version_download_uri(version.name, version.version))
    return found


def test_a_store_of_an_earlier_version_is_mended_after_a_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "cũ 100%", tmp_path / "mới"
    old.mkdir()
    monkeypatch.chdir(old)  # where a store is made, MLflow's own experiment 0 has its place
    store = client(old)
    elsewhere = [(tmp_path / "mlruns2").as_uri(), f"{tmp_path}/other/mlruns/7", "s3://b/mlruns"]
    for number, place in enumerate([(old / "mlruns").as_uri(), None, *elsewhere]):
        experiment = store.create_experiment(f"experiment {number}", place)
        if number < 2:
            run_id = store.create_run(experiment).info.run_id
            store.log_text(run_id, "text", "model/file")
            store.create_registered_model(f"model {number}")
            source = f"{store.get_run(run_id).info.artifact_uri}/model"
            store.create_model_version(f"model {number}", source, run_id)
    before = places_in(old)
    assert all(place.startswith(("file:///", "/", "s3://")) for place in before)
    old.rename(new)
    runs.store(new)
    after = places_in(new)
    own = [re.sub(r"^.*/cũ 100%/|^file://.*/c%C5%A9%20100%25/", "", place) for place in before]
    assert after == own and set(elsewhere) <= set(after)
    assert [place for place in after if place not in elsewhere and place[:7] != "mlruns/"] == [
        "mlruns"
    ]
    monkeypatch.chdir(tmp_path)
    for version in client(new).search_model_versions():
        found = mlflow.artifacts.download_artifacts(
            artifact_uri=f"{version.source}/file", tracking_uri=client(new).tracking_uri
        )
        assert Path(found).read_text() == "text"


def test_a_store_that_was_named_keeps_its_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.connect(tmp_path, "digits")
    place = (tmp_path / "mlruns").as_uri()
    client(tmp_path).create_experiment("of a team", place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with Tracker(tmp_path, "digits", "a"):
        pass
    assert place in places_in(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    runs.store(tmp_path)
    assert place not in places_in(tmp_path)


def test_experiments_and_runs_are_described_until_a_person_does(tmp_path: Path) -> None:
    def described(*texts: str) -> tuple[str, str]:
        for text in texts:
            with Tracker(tmp_path, "digits", "a", about=f"data {text}", generator="g") as tracker:
                tracker.describe(f"run {text}")
        known = client(tmp_path).get_experiment_by_name("digits")
        [run] = runs.search(tmp_path, "digits")
        assert known.tags[runs.KIND_TAG] == "custom_model_development"
        return known.tags["mlflow.note.content"], run.data.tags["mlflow.note.content"]

    assert described("1", "2") == ("data 2", "run 2")
    [run] = runs.search(tmp_path, "digits")
    client(tmp_path).set_experiment_tag(run.info.experiment_id, "mlflow.note.content", "mine")
    client(tmp_path).set_tag(run.info.run_id, "mlflow.note.content", "run 2, a good one")
    assert described("3") == ("mine", "run 2, a good one")
    client(tmp_path).set_experiment_tag(run.info.experiment_id, "mlflow.note.content", "")
    assert described("4") == ("data 4", "run 2, a good one")


def test_the_next_stage_finds_the_run_by_the_generator(tmp_path: Path) -> None:
    with Tracker(tmp_path, "digits", "a") as tracker:
        tracker.keep_run_id(tmp_path / "trained")
        tracker.tags({runs.GENERATOR_TAG: "abc.dir"})
    [trained] = runs.search(tmp_path, "digits")
    with Tracker(tmp_path, "digits", "a", generator="abc.dir") as tracker:
        tracker.keep_run_id(tmp_path / "evaluated")
        tracker.metrics({"fid": 1.0})
    [evaluated] = runs.search(tmp_path, "digits")
    assert evaluated.data.metrics == {"fid": 1.0}
    # What mlflow ui calls its duration is the training's.
    assert evaluated.info.end_time == trained.info.end_time
    assert evaluated.info.status == "FINISHED"
    with Tracker(tmp_path, "digits", "a", generator="other.dir") as tracker:
        tracker.keep_run_id(tmp_path / "other")
    ids = {name: (tmp_path / name).read_text() for name in ("trained", "evaluated", "other")}
    assert ids["trained"] == ids["evaluated"] != ids["other"]


def test_a_killed_training_goes_on_in_its_run(tmp_path: Path) -> None:
    for _ in range(2):
        kept = tmp_path / "run_id"
        run_id = kept.read_text() if kept.exists() else None
        with Tracker(tmp_path, "digits", "a", run_id=run_id) as tracker:
            tracker.keep_run_id(kept)
            tracker.params({"lr": 0.1})
    assert len(client(tmp_path).search_runs(["1"])) == 1


def test_the_newest_runs_differ_in_colour(tmp_path: Path) -> None:
    for _ in range(len(runs.COLOURS) + 1):
        with Tracker(tmp_path, "digits", "a"):
            pass
    newest_first = [run.data.tags[runs.COLOUR_TAG] for run in runs.search(tmp_path, "digits")]
    assert len(set(newest_first)) == len(runs.COLOURS)
    assert len(set(newest_first[:-1])) == len(runs.COLOURS)


def test_a_stage_that_fails_marks_its_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), Tracker(tmp_path, "digits", "a"):
        raise ValueError("no")
    assert client(tmp_path).search_runs(["1"])[0].info.status == "FAILED"


def test_switched_off_it_writes_nothing(tmp_path: Path) -> None:
    with Tracker(tmp_path, "digits", "a", enabled=False) as tracker:
        tracker.params({"lr": 0.1})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes what it is sent and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("trouble", ["ConnectionRefusedError", "TimeoutError"])
def test_a_server_that_does_not_answer_costs_one_line_and_little_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    silent: str,
    trouble: str,
) -> None:
    address = silent if trouble == "TimeoutError" else "http://127.0.0.1:9"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    began = time.monotonic()
    with caplog.at_level(logging.WARNING), Tracker(tmp_path, "digits", "digits-gan") as tracker:
        for step in range(100):
            tracker.metrics({"loss": 1.0}, step)
    assert time.monotonic() - began < runs.PATIENCE / 2
    [said] = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert said.startswith(f"MLflow: {address}: {trouble}: ") and len(said) < 160
    assert said.endswith("; digits-gan is not tracked from here on") and "\n" not in said


def test_a_locked_database_does_not_hold_the_training_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlite3

    runs.connect(tmp_path, "digits")
    monkeypatch.setattr(runs, "PATIENCE", 2)
    with sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with caplog.at_level(logging.WARNING), Tracker(tmp_path, "digits", "digits-gan") as tracker:
            tracker.metrics({"loss": 1.0})
            assert time.monotonic() - began < 1  # logging does not wait
        assert time.monotonic() - began < 10
        other.execute("ROLLBACK")
    assert "digits-gan is not tracked" in caplog.text


def test_processes_that_start_on_a_fresh_database_at_once_all_get_their_run(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path; from ganvas.tracking.runs import Tracker\n"
        "with Tracker(Path(sys.argv[1]), 'digits', 'run') as tracker: tracker.metrics({'a': 1})"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    said = [process.communicate()[1] for process in processes]
    assert not any("not tracked" in text for text in said), said
    runs = client(tmp_path).search_runs(["1"])
    assert len(runs) == 8 and all(run.data.metrics == {"a": 1.0} for run in runs)


def test_points_wait_for_others_and_are_all_there_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    log_batch = mlflow.MlflowClient.log_batch
    monkeypatch.setattr(
        mlflow.MlflowClient,
        "log_batch",
        lambda self, run, metrics=(), **rest: (
            calls.append(len(metrics)),
            log_batch(self, run, metrics=metrics, **rest),
        ),
    )
    with Tracker(tmp_path, "digits", "a") as tracker:
        for step in range(100):
            tracker.metrics({"loss": step / 3}, step)
            time.sleep(0.005)  # so that the thread could take them one by one
        run_id = tracker.ask(lambda client, run: run)
        assert run_id and len(client(tmp_path).get_metric_history(run_id, "loss")) == 100
    assert len([points for points in calls if points]) < 5


def test_a_curve_shows_while_the_training_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "GATHERED", 0.2)
    with Tracker(tmp_path, "digits", "a") as tracker:
        run_id = tracker.ask(lambda client, run: run)
        assert run_id
        tracker.metrics({"loss": 1.0})
        until = time.monotonic() + 20
        while not client(tmp_path).get_run(run_id).data.metrics and time.monotonic() < until:
            time.sleep(0.1)
        assert client(tmp_path).get_run(run_id).data.metrics == {"loss": 1.0}


def test_no_answer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # a minute of waiting
    with Tracker(tmp_path, "digits", "a") as tracker:
        assert tracker.origin() is None
    with Tracker(tmp_path, "digits", "a", enabled=False) as tracker:
        assert tracker.origin() is None
    with pytest.raises(GanvasError, match="MLFLOW_TRACKING_URI"):
        runs.search(tmp_path, "digits")


def test_the_origin_of_what_dvc_restored_is_the_run_that_made_it(tmp_path: Path) -> None:
    for generator in ("a", "b"):
        commit = {"mlflow.source.git.commit": f"commit of {generator}"}
        with Tracker(tmp_path, "digits", "digits-gan", tags=commit) as tracker:
            tracker.tags({runs.GENERATOR_TAG: generator, "dvc.train": "key"})
    origins = {}
    for generator in ("a", "b", "c"):
        with Tracker(tmp_path, "digits", "digits-gan", generator=generator) as tracker:
            origins[generator] = tracker.origin()
    assert origins["a"] and origins["b"] and origins["a"].run != origins["b"].run
    assert (origins["a"].commit, origins["a"].newest) == ("commit of a", False)
    assert (origins["b"].commit, origins["b"].newest) == ("commit of b", True)
    assert origins["c"] is None  # its training was not tracked


def test_an_experiment_that_another_machine_makes_first_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    get = mlflow.MlflowClient.get_experiment_by_name
    there = runs.connect(tmp_path, "digits")[1]

    def not_yet(self: mlflow.MlflowClient, name: str) -> object:
        asked.append(name)
        return get(self, name) if len(asked) > 1 else None

    monkeypatch.setattr(mlflow.MlflowClient, "get_experiment_by_name", not_yet)
    assert runs.connect(tmp_path, "digits")[1] == there


def test_an_empty_address_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    found, experiment = runs.connect(tmp_path, "digits")
    where = found.get_experiment(experiment).artifact_location
    assert where.endswith(f"{tmp_path.name}/mlruns/{experiment}") or where.endswith("mlruns")
    assert (tmp_path / "mlflow.db").exists()


def test_looking_at_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    assert runs.search(tmp_path, "digits") == []
    assert list(tmp_path.iterdir()) == []


def test_without_tensorboard_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level(logging.WARNING), Events(tmp_path / "runs") as events:
        events.curves([(1, {"loss": 1.0})])
        events.picture("progress", tmp_path / "absent.png", 1)
    [said] = [record.getMessage() for record in caplog.records]
    assert "pip install tensorboard" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("channels", [(), (3,)])
def test_event_files_show_a_picture_as_it_is(tmp_path: Path, channels: tuple[int, ...]) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, *channels), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    with Events(tmp_path / "runs") as events:
        events.picture("progress", tmp_path / "picture.png", 7)
    (image,) = accumulator.EventAccumulator(str(tmp_path / "runs")).Reload().Images("progress")
    with Image.open(io.BytesIO(image.encoded_image_string)) as found:
        shown = np.asarray(found.convert("RGB" if channels else "L"))
    assert image.step == 7 and np.array_equal(shown, pixels)


def test_all_warnings_of_a_training_are_shown_with_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "dvc_hash", lambda path: "hash")
    monkeypatch.setattr(provenance, "hardware", lambda device: f"an abacus ({device})")
    config = tmp_path / "config.json"
    params = SimpleNamespace(device="cpu")
    instance = cast(Instance, SimpleNamespace(config=config, generators=tmp_path, params=params))
    for warnings, expected in ((["one", "another"], {"warning": "one; another"}), ([], {})):
        config.write_text(json.dumps({"warnings": warnings}))
        tags: dict[str, str] = {}
        mirror.trained(cast(Tracker, SimpleNamespace(tags=tags.update)), instance)
        made = {runs.GENERATOR_TAG: "hash", mirror.HARDWARE_TAG: "an abacus (cpu)"}
        assert tags == made | expected
