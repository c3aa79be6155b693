"""A registered generator is served over HTTP, from any folder, and draws what `sampling` draws."""

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import recipes
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from torch import nn

from ganvas import files, networks
from ganvas.drawing import conditional, sampling
from ganvas.errors import GanvasError
from ganvas.evaluation import classifier, features
from ganvas.networks import Generator
from ganvas.reporting import card
from ganvas.tracking import registry, runs, serving
from ganvas.training import checkpoints
from ganvas.workflow import modules

ROOT = Path(__file__).parents[1]
LATENT, FEATURES, SIZE = 10, 16, 28
ARCHITECTURE = recipes.architecture("gan", latent_dim=LATENT, image_size=SIZE)
TOLD = recipes.architecture("cgan", latent_dim=LATENT, class_counts=[5, 0, 7])
CONFIG = ARCHITECTURE._asdict()
NAME = registry.name_of("digits")
CARD = card.page(
    "digits",
    "gan",
    config=CONFIG | {"warnings": []},
    scores=[],
    selection={
        "extractor": "classifier",
        "rule": "best",
        "epoch": 1,
        "iteration": 2,
        "validation_fid": 3.0,
    },
    classifier={"test_accuracy": 0.5, "test_images": 500, "train_images": 1097},
)

Row = dict[str, Any]


@pytest.fixture(scope="module")
def generator(weights: Path) -> Generator:
    return checkpoints.load(weights / "epoch-0001.safetensors", ARCHITECTURE)


@pytest.fixture(scope="module")
def judge(weights: Path) -> classifier.Classifier:
    network = classifier.load(weights / "classifier.safetensors")
    return network.to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator that uses the whole range of greys, a classifier that sees each class often."""
    folder = tmp_path_factory.mktemp("weights")
    generator, _ = networks.build(ARCHITECTURE, seed=1)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for _ in range(30):
            generator(torch.randn(64, LATENT))
        last = [layer for layer in generator.children() if isinstance(layer, nn.Linear)][-1]
        last.weight *= 1 / generator.eval()(torch.randn(64, LATENT)).std()
        network = classifier.Classifier(1, SIZE, FEATURES, 10).eval()
        images = torch.from_numpy(sampling.images(generator, 1000, seed=9)).unsqueeze(1)
        logits = network(images)[1]
        network.classes[-1].weight /= logits.std(0)[:, None]
        network.classes[-1].bias -= logits.mean(0)
        network.classes[-1].bias /= logits.std(0)
    facts = checkpoints.Facts(1, 2, 0.5)
    checkpoints.save(folder / "epoch-0001.safetensors", generator, None, facts)
    files.write_tensors(folder / "classifier.safetensors", network.state_dict())
    return folder


@pytest.fixture(scope="module")
def saved(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    registry.save(
        folder, weights / "epoch-0001.safetensors", CONFIG, weights / "classifier.safetensors", CARD
    )
    return folder


@pytest.fixture(scope="module")
def model(saved: Path) -> Iterator[mlflow.pyfunc.PyFuncModel]:
    """Loaded in this process, whose `ganvas` is the checkout's."""
    path = list(sys.path)
    yield mlflow.pyfunc.load_model(str(saved))
    sys.path[:] = path


def expected(generator: Generator, judge: classifier.Classifier, rows: list[Row]) -> np.ndarray:
    """The images of each row, from `sampling` alone."""
    found = []
    for row in rows:
        wanted, count = row.get("class"), row["images"]
        drawn = sampling.images(generator, count if wanted is None else 2000, row["seed"])
        if wanted is not None:
            scores = features.extract(judge, drawn, torch.device("cpu")).probabilities
            drawn = drawn[scores.argmax(1).numpy() == wanted][:count]
        assert len(drawn) == count
        found.append(drawn)
    return np.concatenate(found)


# The folder


def test_the_folder_holds_no_pickle_and_no_path_of_this_machine(saved: Path) -> None:
    found = [path for path in saved.rglob("*") if path.is_file()]
    assert not [path for path in found if re.search(r"pickle|pkl|\.pth?$", path.name)]
    assert {path.name for path in (saved / "artifacts").iterdir()} == {
        "generator.safetensors",
        "classifier.safetensors",
        "config.json",
    }
    here = [str(place) for place in (ROOT, saved.parent, Path.home(), tempfile.gettempdir())]
    for path in found:
        if path.suffix != ".py":
            content = path.read_bytes().decode(errors="replace")
            assert not [place for place in here if len(place) > 1 and place in content], path


NAMES = {"PIL": "pillow"}  # of a package that is not called as its module


def test_the_requirements_are_what_the_served_modules_import(saved: Path) -> None:
    # What a notebook uses comes with its first use, and nothing that is served uses it.
    seen = notebook = {"ganvas/notebook/__init__.py"}
    served = ("ganvas/tracking/serving.py", "ganvas/tracking/translating.py")
    todo = {*served, "ganvas/__init__.py"}
    while todo:
        seen = seen | {file := todo.pop()}
        todo |= modules.direct(file) - seen
    seen = seen - notebook
    names = {
        name.split(".")[0]
        for file in seen
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    needed = {NAMES.get(name, name) for name in names - sys.stdlib_module_names - {"ganvas"}}
    assert needed == {name.split(".")[0] for name in registry.REQUIREMENTS}
    listed = (saved / "requirements.txt").read_text().split()
    assert listed == [f"{name}=={version(name).split('+')[0]}" for name in registry.REQUIREMENTS]


# What it draws


@pytest.mark.parametrize(
    "table",
    [
        [{"images": 3, "seed": 5}, {"images": 2, "seed": 6, "class": 3}],
        {"images": [3, 2], "seed": [5, 6], "class": [None, 3]},
        pd.DataFrame({"images": [3, 2], "seed": [5, 6], "class": [np.nan, 3]}),
        pd.DataFrame({"images": [3, 2], "seed": [5, 6], "class": pd.array([None, 3], "Int64")}),
    ],
    ids=["rows", "columns", "NaN", "NA"],
)
def test_a_class_may_be_missing_or_null(
    model: mlflow.pyfunc.PyFuncModel,
    generator: Generator,
    judge: classifier.Classifier,
    table: Any,
) -> None:
    rows: list[Row] = [{"images": 3, "seed": 5}, {"images": 2, "seed": 6, "class": 3}]
    images = model.predict(table)
    np.testing.assert_array_equal(images, expected(generator, judge, rows), strict=True)
    assert images.shape == (5, SIZE, SIZE) and images.dtype == np.uint8


def test_a_row_gives_the_same_images_whatever_else_is_asked_for(
    model: mlflow.pyfunc.PyFuncModel,
) -> None:
    first: Row = {"images": 7, "seed": 1, "class": 4}
    second: Row = {"images": 600, "seed": 1, "class": None}
    together = model.predict([first, second])
    torch.manual_seed(1)
    assert (model.predict([first]) == together[:7]).all()
    assert (model.predict([second]) == together[7:]).all()
    assert (model.predict([second, first]) == np.concatenate([together[7:], together[:7]])).all()


@pytest.mark.parametrize(("channels", "shape"), [(1, (SIZE, SIZE)), (3, (SIZE, SIZE, 3))])
def test_images_have_the_shape_that_the_signature_says(
    weights: Path, channels: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    architecture = ARCHITECTURE._replace(channels=channels)
    generator, _ = networks.build(architecture, seed=1)
    checkpoint = tmp_path / "epoch-0001.safetensors"
    checkpoints.save(checkpoint, generator, None, checkpoints.Facts(1, 2, 0.5))
    registry.save(
        tmp_path / "model",
        checkpoint,
        architecture._asdict(),
        weights / "classifier.safetensors",
        CARD,
    )
    outputs = mlflow.models.Model.load(tmp_path / "model").get_output_schema()
    assert outputs is not None
    (said,) = outputs.inputs
    served = serving.Images()
    served.generator = generator.eval()
    found = served.predict(None, pd.DataFrame([{"images": 2, "seed": 5}]))  # type: ignore[arg-type]
    assert (found.dtype, found.shape[1:]) == (said.type, said.shape[1:]) == (np.uint8, shape)
    assert said.shape[0] == -1
    assert (found == sampling.images(generator, 2, 5)).all()


class TestClasses:
    def test_first_ones_are_the_same_for_any_count(
        self, generator: Generator, judge: classifier.Classifier
    ) -> None:
        """Across the border of a batch, too."""
        many = conditional.images(generator, judge, 3, 120, seed=2)
        assert many.shape == (120, SIZE, SIZE) and many.dtype == np.uint8
        for count in (1, 40, 119):
            few = conditional.images(generator, judge, 3, count, seed=2)
            np.testing.assert_array_equal(few, many[:count], strict=True)

    def test_are_all_different_and_of_that_class(
        self, generator: Generator, judge: classifier.Classifier
    ) -> None:
        images = conditional.images(generator, judge, 7, 150, seed=2)
        assert len(np.unique(images.reshape(150, -1), axis=0)) == 150
        scores = features.extract(judge, images, torch.device("cpu")).probabilities
        assert (scores.argmax(1) == 7).double().mean() > 0.95  # other batches round differently

    @pytest.mark.parametrize(("every", "drawn"), [(0, "10,000"), (150, "30,000")])
    def test_a_class_that_is_hardly_made_is_given_up(self, every: int, drawn: str) -> None:
        """One image in `every` is of class 0: none ever, or too few from 30,000 images on."""
        counted = Counting(every, enough=100)
        with pytest.raises(GanvasError, match=rf"^class 0: \d+ of {drawn} images[^\n]+$"):
            conditional.images(counted, Judge(), 0, 5000, seed=0)  # type: ignore[arg-type]


class Counting(Generator):
    """White images: the first `enough`, then one in `every`; black ones between."""

    def __init__(self, every: int, enough: int) -> None:
        super().__init__(ARCHITECTURE, [])
        self.weight = nn.Parameter(torch.zeros(()))
        self.every, self.enough, self.made = every, enough if every else 0, 0

    def forward(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        numbers = torch.arange(self.made, self.made + len(z))
        self.made += len(z)
        white = numbers < self.enough
        if self.every:
            white |= numbers % self.every == 0
        return white.float().mul(2).sub(1).reshape(-1, 1, 1, 1)


class Judge(nn.Module):
    """White is class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = images.flatten(1).float()
        return flat, torch.cat([flat, 255 - flat], 1)


class TestToldClasses:
    """A generator that is told classes is asked for them: no classifier picks."""

    @pytest.fixture(scope="class")
    def told(self, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("told")
        generator, _ = networks.build(TOLD, seed=1)
        facts = checkpoints.Facts(1, 2, 0.5)
        checkpoints.save(folder / "told.safetensors", generator, None, facts)
        architecture = TOLD._asdict() | {"features": FEATURES}
        judge = weights / "classifier.safetensors"
        registry.save(folder / "model", folder / "told.safetensors", architecture, judge, CARD)
        return folder

    def test_it_draws_the_class_asked_for(self, told: Path) -> None:
        generator = checkpoints.load(told / "told.safetensors", TOLD)
        path = list(sys.path)
        model = mlflow.pyfunc.load_model(str(told / "model"))
        rows: list[Row] = [{"images": 3, "seed": 5, "class": 2}, {"images": 2, "seed": 6}]
        drawn = [sampling.images(generator, 3, 5, torch.full((3,), 2))]
        drawn.append(sampling.images(generator, 2, 6))
        assert (model.predict(rows) == np.concatenate(drawn)).all()
        with pytest.raises(MlflowException, match="class: 3 is not allowed; allowed: 0 to 2, or"):
            model.predict([{"images": 1, "seed": 0, "class": 3}])
        sys.path[:] = path


# The server


@contextmanager
def process(command: list[str], folder: Path, health: str, **more: str) -> Iterator[None]:
    """Run a server as a person does who has no checkout, until it answers, and stop it after."""
    with (folder / "log").open("w") as log:
        # A session of its own, so that its workers end with it.
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=elsewhere(**more),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(health, timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        else:
            pytest.fail((folder / "log").read_text())
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def elsewhere(**more: str) -> dict[str, str]:
    """The environment of a process that does not know the checkout, and may read no pickle."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PYTHON"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"} | more


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store that the pipeline makes in the repository's root."""
    folder = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        runs.connect(folder, "digits")
    return folder


def publish(client: MlflowClient, experiment: str, saved: Path, generator: str) -> str:
    """Register the model as the best of its data set; where its files went."""
    run = client.create_run(experiment).info.run_id
    tags = {"model": "gan", "fid": "3", "scale": "any"}
    number = registry.register(client, run, NAME, saved, generator_hash=generator, tags=tags)
    assert registry.crown(client, NAME) == number
    return str(client.get_model_version(NAME, number).source)


@pytest.fixture(scope="module")
def server(store: Path, saved: Path) -> Iterator[str]:
    """The command of the model card beside the store, on a free port."""
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    publish(client, client.get_experiment_by_name("digits").experiment_id, saved, "here")
    port = str(free_port())
    command = shlex.split(re.findall(r"^mlflow models serve .*", CARD, re.MULTILINE)[0])
    command[command.index("--port") + 1] = port
    url = f"http://127.0.0.1:{port}"
    with process(command, store, f"{url}/ping"):
        yield url


@pytest.fixture(scope="module")
def tracking_server(
    store: Path, saved: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A real `mlflow server` that keeps the artifacts, with the model registered through it."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    shutil.copy(store / "mlflow.db", folder / "mlflow.db")  # its tables take seconds to make
    command = [
        *("mlflow", "server", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./kept"),
    ]
    url = f"http://127.0.0.1:{port}"
    with process(command, folder, f"{url}/health", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"):
        client = MlflowClient(url)
        source = publish(client, client.create_experiment("there"), saved, "there")
        assert source.startswith("mlflow-artifacts:")
        yield url


def post(server: str, body: str) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/invocations", body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize(
    "rows",
    [
        [{"images": 3, "seed": 5}],
        [{"images": 501, "seed": 2**63 - 1}, {"images": 1, "seed": 0}],
        [{"images": 2, "seed": 6, "class": 3}],
        [{"images": 2, "seed": 6, "class": 9}, {"images": 2, "seed": 6}],
        [{"images": 1, "seed": 6, "class": None}, {"images": 2, "seed": 6, "class": 0}],
    ],
    ids=str,
)
def test_the_server_answers_with_the_images_of_sampling(
    server: str, generator: Generator, judge: classifier.Classifier, rows: list[Row]
) -> None:
    status, answer = post(server, json.dumps({"dataframe_records": rows}))
    assert status == 200
    images = np.array(answer["predictions"])
    np.testing.assert_array_equal(images, expected(generator, judge, rows))


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([{"images": 0, "seed": 0}], "row 1: images: 0 is not allowed; 1 at least"),
        (
            [{"images": 5000, "seed": 0}, {"images": 5001, "seed": 0}],
            "10001 images are not allowed; allowed: 10000 in all",
        ),
        ([{"images": 1, "seed": 0}] * 101, "101 rows are not allowed; allowed: 1 to 100"),
        (
            [{"images": 1, "seed": 0}, {"images": 1, "seed": -1}],
            "row 2: seed: -1 is not allowed; 0 at least",
        ),
        *(
            (
                [{"images": 1, "seed": 0, "class": wanted}],
                f"row 1: class: {wanted!r} is not allowed; allowed: 0 to 9, or null for any",
            )
            for wanted in (10, -1, 2.5, "3")
        ),
    ],
)
def test_the_server_answers_what_is_not_allowed_with_one_clear_line(
    server: str, rows: list[Row], line: str
) -> None:
    status, answer = post(server, json.dumps({"dataframe_records": rows}))
    assert status == 400
    assert answer["error_code"] == "INVALID_PARAMETER_VALUE"
    # MLflow repeats the table before.
    assert answer["message"].rpartition("\nError: ")[2] == line
    assert "stack_trace" not in answer


@pytest.mark.parametrize("row", [{"images": 1}, {"seed": 1}, {"images": "many", "seed": 1}])
def test_a_table_that_is_none_is_the_callers_mistake(server: str, row: Row) -> None:
    status, answer = post(server, json.dumps({"dataframe_records": [row]}))
    assert status == 400 and ("images" in answer["message"] or "seed" in answer["message"])


def test_the_example_in_the_model_is_allowed(
    server: str, saved: Path, generator: Generator, judge: classifier.Classifier
) -> None:
    status, answer = post(server, (saved / "serving_input_example.json").read_text())
    assert status == 200
    images = expected(generator, judge, json.loads((saved / "input_example.json").read_text()))
    np.testing.assert_array_equal(np.array(answer["predictions"]), images)


def test_the_request_of_the_card_is_answered(
    server: str, generator: Generator, judge: classifier.Classifier
) -> None:
    command = re.search(r"^curl (?:.*\\\n)*.*$", CARD, re.MULTILINE)
    assert command
    words = shlex.split(command[0])
    body = words[words.index("-d") + 1]
    status, answer = post(server, body)
    assert status == 200
    images = expected(generator, judge, json.loads(body)["dataframe_records"])
    np.testing.assert_array_equal(np.array(answer["predictions"]), images)


def test_the_python_of_the_card_runs_where_there_is_no_checkout(
    tracking_server: str, generator: Generator, judge: classifier.Classifier, tmp_path: Path
) -> None:
    code = re.findall(r"```python\n(.*?)```", CARD, re.DOTALL)[0] + (
        "import hashlib, sys, ganvas\n"
        "print(hashlib.sha256(images.tobytes()).hexdigest(), images.dtype, images.shape)\n"
        "print(ganvas.__file__)\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('dvc', 'stages')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=elsewhere(MLFLOW_TRACKING_URI=tracking_server),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    images, package, foreign = done.stdout.splitlines()
    drawn = expected(generator, judge, [{"images": 16, "seed": 0}])
    assert images == f"{hashlib.sha256(drawn.tobytes()).hexdigest()} uint8 (16, 28, 28)"
    assert "/code/ganvas/" in package and not Path(package).is_relative_to(ROOT)
    assert foreign == "[]"


# The registry


@pytest.fixture
def client(store: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{store / 'mlflow.db'}")


@pytest.fixture
def run(client: MlflowClient, tmp_path: Path) -> str:
    at = (tmp_path / "runs").as_uri()
    return str(client.create_run(client.create_experiment(str(tmp_path), at)).info.run_id)


def register(
    client: MlflowClient,
    run: str,
    name: str,
    model: str,
    fid: float,
    generator: str,
    scale: str = "100 images",
) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "README.md").write_text(f"card of {generator}, FID {fid}")
        tags = {"model": model, "fid": str(fid), "scale": scale}
        return registry.register(
            client, run, name, Path(temporary), generator_hash=generator, tags=tags
        )


def best(client: MlflowClient, name: str) -> str:
    return str(client.get_model_version_by_alias(name, "best").version)


def test_a_generator_is_registered_once_with_its_newest_card_and_scores(
    client: MlflowClient, run: str
) -> None:
    numbers = [register(client, run, "once", "gan", fid, "a") for fid in (3.0, 2.0)]
    assert numbers == ["1", "1"]
    (only,) = client.search_model_versions("name = 'once'")
    assert only.run_id == run and only.status == "READY"
    assert "lowest FID" in client.get_registered_model("once").description
    assert only.description == "card of a, FID 2.0"
    assert only.tags["ganvas.generator"] == "a" and only.tags["fid"] == "2.0"


def test_two_generators_of_one_run_keep_their_own_files(client: MlflowClient, run: str) -> None:
    for number, generator in (("1", "a"), ("2", "b")):
        assert register(client, run, "two", "gan", 3.0, generator) == number
    for number, generator in (("1", "a"), ("2", "b")):
        at = client.get_model_version_download_uri("two", number)
        assert (
            Path(at.removeprefix("file://")) / "README.md"
        ).read_text() == f"card of {generator}, FID 3.0"


def test_best_is_the_lowest_fid_and_moves_when_a_better_one_arrives(
    client: MlflowClient, run: str
) -> None:
    for model, fid, generator, crowned in (
        ("gan", 30.0, "a", "1"),
        ("dcgan", 9.5, "b", "2"),
        ("other", 10.0, "c", "2"),
        ("gan", 9.25, "d", "4"),
    ):
        register(client, run, "best", model, fid, generator)
        assert registry.crown(client, "best") == crowned == best(client, "best")


def test_best_compares_what_was_measured_alike(client: MlflowClient, run: str) -> None:
    register(client, run, "scales", "gan", 3.0, "a")
    register(client, run, "scales", "dcgan", 5.0, "b")
    register(client, run, "scales", "dcgan", 9.0, "c")  # the recipe was changed for the worse
    assert registry.crown(client, "scales") == "1"
    register(client, run, "scales", "dcgan", 4.0, "c", scale="200 images")
    assert registry.crown(client, "scales") == "3"
    register(client, run, "scales", "gan", 2.0, "a", scale="200 images")
    assert registry.crown(client, "scales") == "1"


def test_the_newest_of_two_equal_ones_is_best(client: MlflowClient, run: str) -> None:
    for model in ("gan", "dcgan", "other"):
        register(client, run, "tie", model, 2.0, model)
    assert registry.crown(client, "tie") == "3"


def test_without_a_scored_version_none_is_best(client: MlflowClient, run: str) -> None:
    assert registry.crown(client, "none") is None
    client.create_registered_model("none")
    client.create_model_version("none", "file:///elsewhere")  # by hand
    assert registry.crown(client, "none") is None


def test_all_that_register_at_once_get_their_version(store: Path, run: str) -> None:
    def one(number: int) -> str:
        client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
        return register(client, run, "at once", f"model {number}", 1.0, str(number))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(4))) == ["1", "2", "3", "4"]


def test_another_failure_to_make_the_model_is_not_hidden(client: MlflowClient, run: str) -> None:
    with pytest.raises(MlflowException, match="name"):
        register(client, run, "a/b", "gan", 1.0, "a")
    assert client.list_artifacts(run) == []


def test_a_card_too_long_for_the_database_is_cut_at_a_line(
    client: MlflowClient, run: str, tmp_path: Path
) -> None:
    lines = [f"line {number}" for number in range(1000)]
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").write_text("\n".join(lines))
    registry.register(client, run, "long", folder, generator_hash="a", tags={})
    description = client.get_model_version("long", "1").description
    *kept, _, last = description.strip().split("\n")
    assert 4900 < len(description) <= 5000
    assert kept == lines[: len(kept)] and "README.md" in last


def test_of_images_without_classes_it_draws_and_refuses_a_class(
    weights: Path, generator: Generator, tmp_path: Path
) -> None:
    path = list(sys.path)
    registry.save(tmp_path / "model", weights / "epoch-0001.safetensors", CONFIG, None, CARD)
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    sys.path[:] = path
    drawn = model.predict(pd.DataFrame([{"images": 3, "seed": 5}]))
    assert np.array_equal(drawn, sampling.images(generator, 3, 5))
    with pytest.raises(
        MlflowException, match="row 1: class: 0 is not allowed; these images have no"
    ):
        model.predict(pd.DataFrame([{"images": 3, "seed": 5, "class": 0}]))
