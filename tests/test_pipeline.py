"""The real `dvc repro` in an empty git repository, on a tiny configuration of digits."""

import json
import re
import resource
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from repositories import edit, ran, run

MODEL_STAGES = ("train", "select", "sample", "evaluate")


def of_model(model: str) -> set[str]:
    return {f"{stage}@digits-{model}" for stage in MODEL_STAGES}


def test_a_second_repro_does_nothing_in_under_two_seconds(made: Path) -> None:
    run(made, "dvc", "repro")  # the state database is warm from here on
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run(made, "dvc", "repro")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time, and once in five times is enough: what else the machine does meanwhile
        # is not the pipeline's doing.
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert ran(done) == set()
        assert "up to date" in done.stdout
        if seconds < 2:
            break
    assert seconds < 2


def test_everything_is_there_and_readable(made: Path) -> None:
    for model in ("gan", "dcgan"):
        scores = json.loads((made / "results/digits" / model / "metrics.json").read_text())
        assert scores["images"] == 200
        assert scores["classifier"]["fid"] > 0
        assert 1 <= scores["classifier"]["inception_score"] <= 10
        pictures = sorted((made / "models/digits" / model / "progress").glob("*.png"))
        assert [path.stem for path in pictures] == [f"iteration-{i:07}" for i in (10, 20, 34)]
    page = (made / "reports/digits/index.html").read_text()
    assert "dcgan" in page and "https://" not in re.sub(r"xmlns=\S+", "", page)


def test_a_dcgan_parameter_reruns_only_dcgan(made: Path) -> None:
    edit(made, models__dcgan__lr_generator=1e-4)
    done = run(made, "dvc", "repro")
    assert ran(done) == {"params", "report@digits"} | of_model("dcgan")
    # Every stage's older result is in DVC's run cache; links are made, not kept.
    run(made, "git", "checkout", "-q", "params.yaml")
    assert ran(run(made, "dvc", "repro")) == {"params"}


def test_an_override_for_one_model_reruns_only_that_model(made: Path) -> None:
    edit(made, datasets__digits__models__gan__batch_size=32)
    assert ran(run(made, "dvc", "repro")) == {"params", "report@digits"} | of_model("gan")


def test_the_number_of_evaluation_images_retrains_nothing(made: Path) -> None:
    edit(made, evaluate__images=210)
    stages = {"sample@digits-gan", "sample@digits-dcgan"}
    stages |= {"evaluate@digits-gan", "evaluate@digits-dcgan"}
    stages |= {"params", "reference@digits", "report@digits"}
    assert ran(run(made, "dvc", "repro")) == stages


def state_of(folder: Path) -> Path:
    """Where dcgan's training has left its state."""
    config = json.loads((folder / "models/digits/dcgan/config.json").read_text())
    return folder / ".ganvas/runs/digits-dcgan" / config["run"] / "state.safetensors"


def test_forced_training_trains_and_writes_the_same_bytes(made: Path) -> None:
    before = (made / "dvc.lock").read_text()
    state = state_of(made)
    ended = state.read_bytes()
    state.with_name("left").touch()
    done = run(made, "dvc", "repro", "--force", "--single-item", "train@digits-dcgan")
    assert "digits-dcgan: this training had ended; it is trained anew" in done.stderr
    assert not state.with_name("left").exists()
    assert (made / "dvc.lock").read_text() == before
    assert state.read_bytes() == ended


def test_a_training_that_ended_before_dvc_knew_writes_its_files_without_training(
    made: Path,
) -> None:
    """Killed between its last iteration and dvc.lock."""
    before = (made / "dvc.lock").read_text()
    state = state_of(made)
    state.with_name("left").touch()
    (made / "dvc.lock").unlink()
    done = run(made, "dvc", "repro", "--force", "--single-item", "train@digits-dcgan")
    assert "digits-dcgan: this training had ended; it writes its files" in done.stderr
    assert state.with_name("left").exists()
    (made / "dvc.lock").write_text(before)
    assert "up to date" in run(made, "dvc", "status", "train@digits-dcgan").stdout


@contextmanager
def trouble(kind: str, store: Path) -> Iterator[dict[str, str]]:
    """A tracker that cannot be written to: the variables that lead to it."""
    with socket.create_server(("127.0.0.1", 0)) as silent, sqlite3.connect(store) as other:
        port = {"nobody listens": 9, "silent server": silent.getsockname()[1]}.get(kind)
        if port is None:
            other.execute("BEGIN EXCLUSIVE")
        server = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
        yield server | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "2"} if port else {}


@pytest.mark.parametrize("kind", ["nobody listens", "silent server", "locked database"])
def test_a_tracker_in_trouble_costs_one_line_and_no_byte(made: Path, kind: str) -> None:
    before = (made / "dvc.lock").read_text()
    shutil.rmtree(made / ".ganvas/runs")
    edit(made, tracking__enabled=True)
    with trouble(kind, made / "mlflow.db") as variables:
        command = ["dvc", "repro", "--force", "--single-item", "train@digits-gan"]
        done = run(made, *command, **variables)
    assert (made / "dvc.lock").read_text() == before
    said = [line for line in done.stderr.splitlines() if line and "min left" not in line]
    assert len(said) == 1 and "digits-gan is not tracked from here on" in said[0], done.stderr


def test_metrics_params_and_plots_answer(made: Path) -> None:
    edit(made, models__dcgan__lr_generator=1e-4)
    run(made, "dvc", "repro", "-q")
    shown = run(made, "dvc", "metrics", "show").stdout
    assert "classifier.fid" in shown and "test_accuracy" in shown
    assert "models.dcgan.lr_generator" in run(made, "dvc", "params", "diff").stdout
    run(made, "dvc", "plots", "show")
    page = (made / "dvc_plots/index.html").read_text()
    assert "generator_loss" in page and "fid" in page
    run(made, "git", "check-ignore", "dvc_plots")  # `make publish` refuses a tree with news in it


def test_an_experiment_changes_a_parameter_and_compares(made: Path) -> None:
    done = run(made, "dvc", "exp", "run", "-S", "models.dcgan.lr_generator=1e-4")
    assert "train@digits-gan' didn't change" in done.stdout + done.stderr
    assert "classifier.fid" in run(made, "dvc", "metrics", "diff").stdout


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sede": 1}, "did you mean 'seed'?"),
        ({"models__dcgan__lr_generatr": 0.1}, "did you mean 'lr_generator'?"),
        ({"models__gan__epochs": 0}, "models.gan.epochs: 0"),
        ({"models__gan__lr_generator": -0.1}, "models.gan.lr_generator: -0.1"),
        ({"matrix__datasets": ["mnits"]}, "did you mean 'mnist'?"),
        ({"models__gan__batch_size": 5000}, "batch_size: 5000"),
    ],
)
def test_bad_input_stops_before_anything_is_touched(
    repository: Path, values: dict[str, object], said: str
) -> None:
    run(repository, "git", "checkout", "-q", "params.yaml")
    edit(repository, **values)
    models = repository / "models"
    before = {path: path.stat().st_mtime_ns for path in models.rglob("*")}
    assert before
    done = run(repository, "dvc", "repro", check=False)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and said in lines[0], done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in models.rglob("*")} == before


def test_one_run_per_model_holds_parameters_losses_and_scores(made: Path) -> None:
    with sqlite3.connect(made / "mlflow.db") as store:
        names = [row[0] for row in store.execute("select name from runs")]
        run_id = store.execute(
            "select run_uuid from runs where name = 'digits-dcgan' order by start_time limit 1"
        ).fetchone()[0]
        keys = store.execute(f"select key from metrics where run_uuid = '{run_id}'").fetchall()
        params = dict(
            store.execute(f"select key, value from params where run_uuid = '{run_id}'").fetchall()
        )
        tags = dict(
            store.execute(f"select key, value from tags where run_uuid = '{run_id}'").fetchall()
        )
    assert {"digits-gan", "digits-dcgan"} <= set(names)
    measured = {key for (key,) in keys}
    assert {"discriminator_loss", "generator_loss", "checkpoint_fid", "classifier.fid"} <= measured
    assert params["lr_generator"] == "0.0002" and params["epochs"] == "2"
    assert re.fullmatch("[0-9a-f]{40}", tags["mlflow.source.git.commit"])
    assert "data/normalized/digits/train.safetensors" in tags["dvc.train.deps"]
