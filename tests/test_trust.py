"""A classifier that does not know its data set is warned of wherever scores come from it."""

import json
from pathlib import Path

import mlflow
import pytest
from repositories import edit, ran, run

from ganvas.evaluation import trust
from ganvas.workflow import instances, paths
from stages import evaluate, report

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.usefixtures("one_thread")


def warned(stage: str, stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith(f"warning: {stage}: ")]


def write(path: Path, test_accuracy: float) -> None:
    path.write_text(
        json.dumps({"test_accuracy": test_accuracy, "test_images": 500, "train_images": 1097})
    )


def tag(folder: Path) -> str | None:
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("digits")
    (found,) = client.search_runs([experiment.experiment_id], "attributes.run_name = 'digits-gan'")
    return found.data.tags.get("warning.scores")


@pytest.mark.parametrize(
    ("accuracy", "said"), [(0.0, "0.00 %"), (0.1, "10.00 %"), (0.7999, "79.99 %")]
)
def test_below_four_fifths_it_is_named(accuracy: float, said: str) -> None:
    (warning,) = trust.warnings({"test_accuracy": accuracy})
    assert f"reads {said} of the test images right, less than 80 %" in warning


def test_the_committed_ones_are_trusted() -> None:
    known = [json.loads(path.read_text()) for path in ROOT.glob("results/*/classifier.json")]
    assert len(known) >= 3
    assert [trust.warnings(each) for each in known] == [[]] * len(known)
    assert trust.warnings({"test_accuracy": 0.8}) == []


def test_one_with_a_single_feature_is_warned_of_by_its_stage(repository: Path) -> None:
    edit(repository, classifier__features=1)
    done = run(repository, "python", "-m", "stages.classifier", "--dataset", "digits")
    accuracy = json.loads((repository / "results/digits/classifier.json").read_text())
    assert accuracy["test_accuracy"] < 0.5
    assert warned("digits", done.stderr)
    run(repository, "git", "checkout", "-q", ".")
    run(repository, "dvc", "checkout", "-q", "--force")


def test_its_scores_carry_the_warning_until_it_is_better(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(repository)
    monkeypatch.setattr(paths, "ROOT", repository)
    edit(repository, tracking__enabled=True)
    gan = instances.instance("digits", "gan")

    write(gan.data.results / "classifier.json", test_accuracy=0.1)
    # It has changed, and it alone, so that this is what the stage must depend on.
    done = run(repository, "dvc", "repro", "--single-item", "evaluate@digits-gan")
    assert ran(done) == {"evaluate@digits-gan"}
    metrics = json.loads((gan.results / "metrics.json").read_text())
    (warning,) = metrics.pop("warnings")
    assert warning.startswith("the classifier reads 10.00 % of the test images right")
    assert warned("digits-gan", done.stderr) == [f"warning: digits-gan: {warning}"]
    assert tag(repository) == warning
    report.main(gan.data)
    assert warning in gan.data.page.read_text()
    assert f"Warning: {warning}." in (gan.report / "card.md").read_text()

    write(gan.data.results / "classifier.json", test_accuracy=0.998)
    evaluate.main(gan)
    assert json.loads((gan.results / "metrics.json").read_text()) == metrics
    assert not warned("digits-gan", capsys.readouterr().err)
    assert tag(repository) is None
