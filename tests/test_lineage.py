"""From any file to its run and back, in a repository that the real pipeline made."""

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run
from repositories import commit, edit, ran, run
from ruamel.yaml import YAML

from ganvas.reporting import scoreboard
from ganvas.workflow import lineage

LINEAGE = ("python", "-m", "ganvas", "lineage")
DESCRIPTION = "mlflow.note.content"


def runs(uri: str) -> dict[str, Run]:
    """The runs of digits by name, the newest of each name."""
    client = mlflow.MlflowClient(uri)
    known = client.get_experiment_by_name("digits")
    found = client.search_runs([known.experiment_id], order_by=["attributes.start_time ASC"])
    return {str(each.info.run_name): each for each in found}


def store(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def said(folder: Path, *arguments: str) -> dict[str, list[str]]:
    """What lineage prints: the words behind each first word."""
    lines: dict[str, list[str]] = {}
    for line in run(folder, *LINEAGE, *arguments).stdout.splitlines():
        lines.setdefault(line[:12].strip(), []).append(line[12:])
    return lines


def locked(folder: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load((folder / "dvc.lock").read_text())["stages"])


def test_a_row_holds_everything_about_a_model(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_dcgan = runs(store(made))["digits-dcgan"]
    tags, entry = of_dcgan.data.tags, locked(made)["train@digits-dcgan"]
    assert tags["dvc.stage"] == "train@digits-dcgan"
    for kind in ("deps", "outs"):
        recorded = {item["path"]: item["md5"] for item in entry[kind]}
        assert json.loads(tags[f"dvc.train.{kind}"]) == recorded
    of_data = {f"datasets.{k}": v for k, v in entry["params"]["data/datasets.json"].items()}
    assert json.loads(tags["dvc.train.params"]) == entry["params"]["params.yaml"] | of_data
    assert tags["mlflow.source.git.dirty"] == "false"
    inputs = {
        (each.dataset.name, each.dataset.digest, each.tags[0].value)
        for each in of_dcgan.inputs.dataset_inputs
    }
    split = entry["deps"][0]
    assert split["path"] == "data/normalized/digits/train.safetensors"
    assert ("digits/train", split["md5"], "training") in inputs and len(inputs) == 2
    assert "system/cpu_utilization_percentage" in of_dcgan.data.metrics
    monkeypatch.chdir(made)
    artifacts = mlflow.MlflowClient(store(made)).list_artifacts(of_dcgan.info.run_id, "report")
    names = {Path(artifact.path).name for artifact in artifacts}
    assert names == {"index.html", "card.md", "losses.png", "checkpoint-fid.png", "classes.png"}


def test_descriptions_say_what_the_data_are_and_how_a_model_did(made: Path) -> None:
    def fid(path: str) -> str:
        found = json.loads((made / "results/digits" / path).read_text())
        return f"**{scoreboard.number(found['classifier']['fid'])}**"

    of_data = mlflow.MlflowClient(store(made)).get_experiment_by_name("digits").tags[DESCRIPTION]
    assert of_data.startswith("The 1,797 handwritten digits inside scikit-learn")
    assert f"against real test images, is {fid('floor.json')}." in of_data
    assert "`reports/digits/index.html`" in of_data
    for name, of_model in runs(store(made)).items():
        model = name.removeprefix("digits-")
        selected = json.loads((made / f"results/digits/{model}/selection.json").read_text())
        of_run = of_model.data.tags[DESCRIPTION]
        assert of_run.startswith(
            f"FID {fid(f'{model}/metrics.json')} (`classifier`), where the floor is "
            f"{fid('floor.json')}, by the generator of epoch {selected['epoch']}."
        )
        assert "Report: `reports/digits/index.html`" in of_run
        assert f"`dvc repro evaluate@{name}`" in of_run


def test_the_best_generator_is_registered_as_such(made: Path) -> None:
    client = mlflow.MlflowClient(store(made))
    best = client.get_model_version_by_alias("ganvas-digits", "best")
    versions = client.search_model_versions("name = 'ganvas-digits'")
    assert {version.tags["model"] for version in versions} == {"gan", "dcgan"}
    fids = {
        model: json.loads((made / f"results/digits/{model}/metrics.json").read_text())
        for model in ("gan", "dcgan")
    }
    lowest = min(fids, key=lambda model: float(fids[model]["classifier"]["fid"]))
    assert best.tags["model"] == lowest
    assert best.tags["scale"].startswith("200 images against 500 test, by classifier ")
    assert best.run_id == runs(store(made))[f"digits-{lowest}"].info.run_id


def test_stage_hashes_are_those_of_dvcs_run_cache(made: Path) -> None:
    for of_model in runs(store(made)).values():
        for stage in ("train", "select", "sample", "evaluate"):
            key = of_model.data.tags[f"dvc.{stage}"]
            assert (made / ".dvc/cache/runs" / key[:2] / key).is_dir(), stage


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("models/digits/gan/generator/epoch-0002.safetensors", "train@digits-gan"),
        ("samples/digits/gan/grid.png", "sample@digits-gan"),
        ("results/digits/gan/metrics.json", "evaluate@digits-gan"),
    ],
)
def test_a_path_leads_to_its_run(made: Path, path: str, stage: str) -> None:
    of_gan = runs(store(made))["digits-gan"]
    lines = said(made, path)
    entry = locked(made)[stage]
    assert lines["stage"] == [f"{stage}: {entry['cmd']}"]
    assert lines["commit"] == [of_gan.data.tags["mlflow.source.git.commit"]]
    assert [line.split()[0] for line in lines["MLflow run"]] == [of_gan.info.run_id]
    hashes = {f"{item['path']}  {item['md5']}" for item in entry["deps"]}
    assert set(lines["data"]) | set(lines["code"]) == hashes
    assert "seed: 0" in lines["parameter"]
    assert lines["output"][0].endswith(", on disk") and "restored" not in lines


def test_a_models_folder_is_one_training(made: Path) -> None:
    lines = said(made, "models/digits/gan")
    assert lines["stage"][0].startswith("train@digits-gan: ")
    assert len(lines["output"]) == len(locked(made)["train@digits-gan"]["outs"])


def test_what_models_share_leads_to_the_runs_that_use_it(made: Path) -> None:
    everyone = {each.info.run_id for each in runs(store(made)).values()}
    assert {
        line.split()[0] for line in said(made, "models/digits/classifier")["used by"]
    } == everyone
    assert {line.split()[0] for line in said(made, "reports/digits")["MLflow run"]} == everyone


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("models/digits", "models/digits/gan/generator"),
        ("ganvas/training/run.py", "no one stage of dvc.lock makes it"),
        ("0123456789abcdef", "neither a path here nor a run's id"),
        ("../elsewhere/file", "outside the repository"),
    ],
)
def test_what_it_cannot_follow_gets_one_line(made: Path, what: str, words: str) -> None:
    done = run(made, *LINEAGE, what, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and words in done.stderr


def test_a_reader_that_stops_reading_is_no_error(made: Path) -> None:
    command = "set -o pipefail; python -m ganvas lineage samples/digits/gan/grid.png | true"
    assert run(made, "bash", "-c", command).stderr == ""


def test_a_run_says_what_it_made(made: Path) -> None:
    of_gan = runs(store(made))["digits-gan"]
    lines = said(made, of_gan.info.run_id)
    assert "lr_generator: 0.0001" in lines["parameter"]
    assert lines["stage"] == [f"{s}@digits-gan" for s in ("train", "select", "sample", "evaluate")]
    assert all(line.endswith(", on disk") for line in lines["output"])
    generator = made / "models/digits/gan/generator/epoch-0002.safetensors"
    weights = generator.read_bytes()
    generator.unlink()
    assert any("another one on disk" in line for line in said(made, of_gan.info.run_id)["output"])
    # Hints follow a command after a hash.
    run(made, *shlex.split(lines["bring back"][0], comments=True), "--force")
    assert generator.read_bytes() == weights


def test_a_result_that_was_replaced_and_restored_is_explained(made: Path) -> None:
    first = runs(store(made))["digits-dcgan"].info.run_id
    edit(made, models__dcgan__lr_generator=3e-4, tracking__enabled=True)
    run(made, "dvc", "repro", "train@digits-dcgan")
    second = runs(store(made))["digits-dcgan"].info.run_id
    assert second != first
    generator = made / "models/digits/dcgan/generator/epoch-0002.safetensors"
    replaced = generator.read_bytes()
    verified = run(made, *LINEAGE, "--verify", check=False)
    rows = {line.split()[0]: line for line in verified.stdout.splitlines()}
    assert verified.returncode == 1
    assert rows[second].endswith(": matches")
    assert "another one now: models/digits/dcgan/" in rows[first]
    # Back to the first recipe: DVC restores, nothing trains, no new run.
    edit(made, models__dcgan__lr_generator=2e-4)
    assert "train@digits-dcgan" not in ran(run(made, "dvc", "repro", "train@digits-dcgan"))
    assert runs(store(made))["digits-dcgan"].info.run_id == second
    lines = said(made, "models/digits/dcgan/generator")
    assert [line.split()[0] for line in lines["MLflow run"]] == [first]
    assert second in lines["restored"][0]
    # And the command that the second run names brings its bytes back, without training.
    run(made, "git", "checkout", "-q", "params.yaml")
    run(made, "dvc", "repro", "-q")
    command = said(made, second)["bring back"][0]
    assert "git checkout" in command and "-S 'models.dcgan.lr_generator=0.0003'" in command
    assert "cached" in run(made, "bash", "-c", command).stdout
    assert generator.read_bytes() == replaced
    run(made, "git", "checkout", "-q", "HEAD", "--", ".")


def test_a_default_that_params_yaml_leaves_out_is_no_change(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    yaml = YAML()
    params = yaml.load(Path("params.yaml"))
    del params["datasets"]["digits"]["extractors"]
    yaml.dump(params, Path("params.yaml"))
    commit(made, "the default")
    own = {"dataset": "digits", "model": "gan"}

    def changes(extractors: list[str] | None) -> list[str]:
        ran_with = {"seed": 0, "datasets.digits.extractors": extractors}
        recorded = {"": "key", ".commit": "", ".deps": "{}", ".params": json.dumps(ran_with)}
        tags = {f"dvc.select{part}": text for part, text in (recorded | {".outs": "{}"}).items()}
        run_of = SimpleNamespace(data=SimpleNamespace(params=own, tags=tags))
        return lineage._differences(run_of, "HEAD")[1]  # type: ignore[arg-type]

    try:
        assert changes(None) == []
        assert changes(["inception"]) == ["+datasets.digits.extractors=['inception']"]
    finally:
        run(made, "git", "reset", "-q", "--hard", "HEAD~1")


def test_verify_finds_a_score_that_was_edited(made: Path) -> None:
    path = made / "results/digits/gan/metrics.json"
    scores = path.read_text()
    try:
        path.write_text(scores.replace('"images": 200', '"images": 201'))
        done = run(made, *LINEAGE, "--verify", check=False)
    finally:
        path.write_text(scores)
    assert done.returncode == 1
    assert "results/digits/gan/metrics.json: not what dvc.lock records" in done.stdout


def test_an_experiments_row_is_compared_with_the_experiment(made: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    run(made, *LINEAGE, "--rebuild", MLFLOW_TRACKING_URI=uri)
    known = set(runs(uri))
    command = ["dvc", "exp", "run", "--temp", "--name", "slower", "evaluate@digits-gan"]
    for change in ("tracking.enabled=true", "models.gan.lr_generator=5e-5"):
        command += ["-S", change]
    run(made, *command, MLFLOW_TRACKING_URI=uri)
    client, of_gan = mlflow.MlflowClient(uri), runs(uri)["digits-gan"]
    assert of_gan.data.tags["dvc.experiment"] == "slower" and known == set(runs(uri))

    def verified() -> tuple[int, str]:
        done = run(made, *LINEAGE, "--verify", check=False, MLFLOW_TRACKING_URI=uri)
        rows = {line.split()[0]: line for line in done.stdout.splitlines()}
        assert len(rows) == 3
        others = [line for row, line in rows.items() if row != of_gan.info.run_id]
        assert all(line.endswith(": matches") for line in others), done.stdout
        return done.returncode, rows[of_gan.info.run_id]

    code, said_of_it = verified()
    assert code == 0 and said_of_it.endswith(": matches its experiment slower")
    shown = run(made, *LINEAGE, of_gan.info.run_id, MLFLOW_TRACKING_URI=uri).stdout
    assert shown.endswith(" dvc exp apply slower\n")

    client.log_metric(of_gan.info.run_id, "classifier.fid", 0.0)
    code, said_of_it = verified()
    assert code == 1 and "slower holds another result now; classifier.fid is 0.0" in said_of_it

    run(made, "dvc", "exp", "remove", "slower")
    code, said_of_it = verified()
    assert code == 1 and "experiment slower is not here: removed" in said_of_it
    # DVC's run cache still has the files, and with them a command that works.
    shown = run(made, *LINEAGE, of_gan.info.run_id, MLFLOW_TRACKING_URI=uri).stdout
    assert "dvc exp apply" not in shown and "-S 'models.gan.lr_generator=5e-05'" in shown


def test_rebuild_fills_an_empty_store_from_the_files(made: Path, tmp_path: Path) -> None:
    empty = f"sqlite:///{tmp_path / 'other.db'}"
    done = run(made, *LINEAGE, "--rebuild", MLFLOW_TRACKING_URI=empty)
    assert done.stdout.splitlines() == ["digits-gan: written", "digits-dcgan: written"]
    here, there = runs(store(made))["digits-gan"], runs(empty)["digits-gan"]
    assert there.info.status == "FINISHED"
    assert there.data.params == here.data.params
    of_the_moment = ("system/", "iterations_per_second")
    measured = {k: v for k, v in here.data.metrics.items() if not k.startswith(of_the_moment)}
    assert there.data.metrics == pytest.approx(measured, rel=1e-5)
    for key, value in here.data.tags.items():
        # Rebuilt from git, the commit is the one that holds the result, not the one it ran at.
        same = ("dvc.", "ganvas.", DESCRIPTION)
        if key.startswith(same) and not key.endswith(".commit"):
            assert there.data.tags[key] == value, key
    head = run(made, "git", "rev-parse", "HEAD").stdout.strip()
    assert there.data.tags["dvc.train.commit"] == head
    client = mlflow.MlflowClient(empty)
    losses = client.get_metric_history(there.info.run_id, "generator_loss")
    assert [point.step for point in losses][:3] == [5, 10, 15]
    assert len(there.inputs.dataset_inputs) == 2
    assert {"images", "report", "grid.png"} <= {
        artifact.path for artifact in client.list_artifacts(there.info.run_id)
    }
    assert client.get_model_version_by_alias("ganvas-digits", "best")
    edit(made, matrix={"datasets": ["digits", "mnist"], "models": ["gan", "dcgan"]})
    again = run(made, *LINEAGE, "--rebuild", MLFLOW_TRACKING_URI=empty)
    assert again.stdout.splitlines() == [
        "digits-gan: the store has its run",
        "digits-dcgan: the store has its run",
        "mnist-gan: not in dvc.lock; `dvc repro` makes it",
        "mnist-dcgan: not in dvc.lock; `dvc repro` makes it",
    ]


def test_what_git_does_not_say_is_unknown(made: Path, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    untrusted = {
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "MLFLOW_TRACKING_URI": other,
    }
    unknown = "unknown: git does not trust this folder"
    edit(made, tracking__enabled=True)
    of_model = ("--dataset", "digits", "--model", "gan")
    done = run(made, "python", "-m", "stages.train", *of_model, **untrusted)
    assert done.stderr.count("--add safe.directory") == 1
    of_gan = runs(other)["digits-gan"]
    for tag in ("dvc.train.commit", "mlflow.source.git.commit"):
        assert of_gan.data.tags[tag] == unknown
    assert of_gan.data.tags["mlflow.source.git.dirty"] == "unknown"

    done = run(made, "python", "-m", "stages.report", "--dataset", "digits", **untrusted)
    assert done.stderr.count("--add safe.directory") == 1
    assert unknown in (made / "reports/digits/index.html").read_text()

    done = run(made, *LINEAGE, "results/digits/floor.json", **untrusted)
    assert "\ncommit      unknown: git" in done.stdout and done.stderr.count("\n") == 1
    # With git mended what was recorded stays unknown, and no command is invented.
    outs = of_gan.data.tags["dvc.train.outs"].replace('.dir"', 'f.dir"')
    mlflow.MlflowClient(other).set_tag(of_gan.info.run_id, "dvc.train.outs", outs)
    for variables in (untrusted, {"MLFLOW_TRACKING_URI": other}):
        shown = run(made, *LINEAGE, of_gan.info.run_id, **variables).stdout
        assert f"\ncommit      {unknown}\n" in shown
        (command,) = re.findall(r"^bring back +(.*)$", shown, re.MULTILINE)
        assert command.startswith("none is certain: ") and command.endswith(unknown)


def test_rebuild_writes_nothing_by_halves(made: Path, tmp_path: Path) -> None:
    empty = f"sqlite:///{tmp_path / 'other.db'}"
    history = made / "models/digits/gan/history.csv"
    content = history.read_bytes()
    history.unlink()
    try:
        done = run(made, *LINEAGE, "--rebuild", MLFLOW_TRACKING_URI=empty, check=False)
    finally:
        history.write_bytes(content)
    assert done.returncode == 1
    assert "digits-gan: needs models/digits/gan/history.csv: `dvc pull`" in done.stdout
    assert set(runs(empty)) == {"digits-dcgan"}


def test_rebuild_opens_no_run_for_what_an_earlier_version_made(made: Path, tmp_path: Path) -> None:
    empty = f"sqlite:///{tmp_path / 'other.db'}"
    lock = made / "dvc.lock"
    content = lock.read_text()
    lock.write_text(re.sub(" *objective: non_saturating\n", "", content))
    try:
        done = run(made, *LINEAGE, "--rebuild", MLFLOW_TRACKING_URI=empty, check=False)
    finally:
        lock.write_text(content)
    assert done.returncode == 1
    assert done.stderr == (
        "error: dvc.lock: train@digits-gan was made by an earlier version, with other keys in its "
        "recipe; `dvc repro` first\n"
    )
    client = mlflow.MlflowClient(empty)
    assert client.search_runs([each.experiment_id for each in client.search_experiments()]) == []


def test_code_that_is_brought_back_is_not_hidden_behind_later_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "git", "init", "-q")
    for name in ("params.yaml", "ganvas/training.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("earlier = 1\n")
    commit(tmp_path, "a module")
    earlier = run(tmp_path, "git", "rev-parse", "HEAD").stdout.strip()
    Path("ganvas/training.py").unlink()
    Path("ganvas/training").mkdir()
    Path("ganvas/training/__init__.py").write_text("later = 1\n")
    commit(tmp_path, "a package")
    run(tmp_path, "bash", "-c", lineage._code_of(earlier))
    assert [path.name for path in Path("ganvas").iterdir()] == ["training.py"]


def test_the_same_curves_and_pictures_are_in_tensorboards_files(made: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    [folder] = (made / "runs/digits-gan").iterdir()
    events = accumulator.EventAccumulator(str(folder)).Reload()
    client = mlflow.MlflowClient(store(made))
    of_gan = runs(store(made))["digits-gan"].info.run_id
    for name in ("generator_loss", "discriminator_loss", "checkpoint_fid"):
        history = {p.step: p.value for p in client.get_metric_history(of_gan, name)}
        assert {e.step: e.value for e in events.Scalars(name)} == pytest.approx(history, rel=1e-5)
    assert [image.step for image in events.Images("progress")] == [10, 20, 34]


def test_a_longer_training_is_a_run_of_its_own_with_all_its_curves(made: Path) -> None:
    before = runs(store(made))["digits-gan"]
    edit(made, datasets__digits__models__gan__epochs=3, tracking__enabled=True)
    assert "goes on from iteration 34" in run(made, "dvc", "repro", "train@digits-gan").stderr
    after = runs(store(made))["digits-gan"]
    assert after.info.run_id != before.info.run_id and after.info.status == "FINISHED"
    assert (before.data.params["epochs"], after.data.params["epochs"]) == ("2", "3")
    client = mlflow.MlflowClient(store(made))
    losses = client.get_metric_history(after.info.run_id, "generator_loss")
    assert [point.step for point in losses] == [*range(5, 51, 5), 51]
    assert client.get_run(before.info.run_id).data.tags == before.data.tags
    run(made, "git", "checkout", "-q", "HEAD", "--", ".")
