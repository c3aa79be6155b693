"""The parts of `python -m benchmarks.gpu`, small and on the processor."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from benchmarks import evaluation, gpu, training
from benchmarks.gpu import Row
from ganvas import config, devices
from ganvas.data.datasets import Split
from ganvas.training.engine import Engine, _Host

CPU = torch.device("cpu")
PARAMS = config.load()
NOWHERE = Path("nowhere")


@pytest.fixture(autouse=True)
def deterministic() -> None:
    devices.choose("cpu")


@pytest.fixture
def data() -> Split:
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (16, 1, 28, 28), generator=stream, dtype=torch.uint8)
    return Split(images, torch.arange(16) % 10)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, data: Split) -> None:
    """In the place of MNIST."""
    monkeypatch.setattr(gpu, "images", lambda *_, **__: (data, "made up"))


def checks(data: Split, name: str = "gan", precision: str = "float32") -> dict[str, Row]:
    steps = PARAMS.generating[name].discriminator_steps  # as many batches are needed at once
    recipe = PARAMS.generating[name].model_copy(update={"batch_size": 8 if steps == 1 else 3})
    rows = gpu.same_training(recipe, data, CPU, precision, iterations=4)
    return {row.what.removeprefix(f"{precision}: "): row for row in rows}


@pytest.mark.parametrize("name", PARAMS.generating)
@pytest.mark.parametrize("precision", gpu.PRECISIONS)
def test_every_recipe_passes_every_check(data: Split, name: str, precision: str) -> None:
    rows = checks(data, name, precision)
    assert len(rows) == 8
    assert {what for what, row in rows.items() if not row.passed} == set()


class TestChecks:
    """Each fails where it should, and says by how much."""

    def failed(self, data: Split) -> set[str]:
        return {what for what, row in checks(data).items() if not row.passed}

    def test_resuming(self, data: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        restore = Engine.restore

        def forgets(self: Engine, tensors: gpu.State) -> None:
            restore(self, tensors | {"noise": self.state()["noise"]})

        monkeypatch.setattr(Engine, "restore", forgets)
        assert self.failed(data) == {"resumed in the middle"}

    def test_eager(self, data: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        made = Engine.__init__

        def other(self: Engine, recipe: config.Recipe, *rest: object) -> None:
            capture, _ = rest[-2:]
            changed = {} if capture else {"lr_generator": 0.01}
            made(self, recipe.model_copy(update=changed), *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(Engine, "__init__", other)
        assert self.failed(data) == {"eager"}

    def test_repeating(self, data: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        stream = torch.Generator()

        def shuffle(self: Engine, epoch: int) -> None:
            torch.randperm(len(self._order), generator=stream, out=self._order)

        monkeypatch.setattr(Engine, "_shuffle", shuffle)
        others = {"eager", "data on the host", "a second time", "resumed in the middle"}
        assert self.failed(data) == others

    def test_data_on_the_host(self, data: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        send = _Host.send
        monkeypatch.setattr(_Host, "send", lambda self, examples: send(self, examples.flip(0)))
        assert self.failed(data) == {"data on the host"}

    def test_the_graph(self, data: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Engine, "captured", True)
        assert self.failed(data) == {"replayed from a CUDA graph"}

    def test_drawing(self, data: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.nn.Module, "eval", lambda self: self)  # BatchNorm goes on
        assert self.failed(data) == {"drawing changes nothing"}

    def test_a_loss_that_is_not_finite(self, data: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        objective = "ganvas.training.objectives.non_saturating.generator_loss"
        monkeypatch.setattr(objective, lambda logits: logits.mean() * torch.inf)
        assert "finite after 4 iterations" in self.failed(data)

    def test_how_far_apart(self) -> None:
        one = {"weights": torch.tensor([1.0, -4.0]), "measured": torch.ones(5, 2)}
        other = {"weights": torch.tensor([1.0, -4.2]), "measured": torch.ones(5, 2)}
        other["measured"][3, 1] += 0.01
        assert gpu.compared("x", one, other) == (
            "x",
            "2 of 2 tensors differ, weights by 5.0e-02; measures from iteration 4 of 5 on",
            False,
        )
        assert gpu.compared("x", one, one) == ("x", "the same to the bit", True)


@pytest.mark.usefixtures("few")
class TestParts:
    def test_of_a_recipe_go_on_where_one_breaks_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def breaks(*_: object) -> Iterator[Row]:
            yield Row("begun", "yes", True)
            raise RuntimeError("no engine\nin many lines")

        @contextmanager
        def plain(*_: object) -> Iterator[Callable[[int], float]]:
            yield lambda count: 60.0 * count

        monkeypatch.setattr(gpu, "same_training", breaks)
        monkeypatch.setattr(training, "plain", plain)
        monkeypatch.setitem(PARAMS.models, "gan", PARAMS.generating["gan"].model_copy(update=SMALL))
        rows = list(gpu.of_recipe(PARAMS, "gan", NOWHERE, CPU, time.monotonic() + 60, 2, rounds=1))
        assert rows[1] == ("float32: checks", "RuntimeError: no engine", False)
        assert rows[3].what == "bfloat16: checks"
        assert [row.what for row in rows[4:]] == ["plain", "float32", "bfloat16"]
        assert all("ms an iteration" in row.result and row.passed is None for row in rows[4:])
        assert rows[4].result == "60000.000 ms an iteration"
        assert "times as fast as plain" in rows[5].result

    def test_of_a_recipe_update_each_discriminator_as_often(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []
        monkeypatch.setattr(gpu, "same_training", lambda *rest: asked.append(rest[-1]) or [])
        for name in ("dcgan", "wgan_gp"):
            list(gpu.of_recipe(PARAMS, name, NOWHERE, CPU, 0.0, 200))
        assert asked == [200, 200, 40, 40]

    def test_a_whole_training(self, monkeypatch: pytest.MonkeyPatch) -> None:
        small = SMALL | {"epochs": 2}
        recipe = PARAMS.generating["gan"].model_copy(update=small)
        monkeypatch.setattr(config.Params, "recipe", lambda *_: recipe)
        (row,) = gpu.whole_training(PARAMS, "gan", NOWHERE, CPU, time.monotonic() + 60)
        assert row.what == "2 epochs of 16 images, made up"
        assert row.result.endswith("it/s") and not row.result.startswith("out of time")
        (row,) = gpu.whole_training(PARAMS, "gan", NOWHERE, CPU, time.monotonic())
        assert row.result.startswith("out of time after ") and "the whole would take" in row.result

    def test_of_the_evaluation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gpu, "of_inception", lambda *_: iter([Row("inception", "seen")]))
        end = time.monotonic() + 60
        rows = list(gpu.of_evaluation(PARAMS, NOWHERE, CPU, end, count=100, trials=1))
        assert [row for row in rows if row.passed is False] == []
        assert sum(row.passed is True for row in rows) == 3
        names = [row.what.partition(" of ")[0] for row in rows if row.passed is None]
        assert names[2:-1] == ["features", *evaluation.measures.MEASURES]
        assert rows[-1].result == "seen"
        late = list(gpu.of_evaluation(PARAMS, NOWHERE, CPU, 0.0, count=100, trials=1))
        assert late[-1].result == "left out: no time left"

    def test_of_inception(self, data: Split) -> None:
        end = time.monotonic() + 60
        (row, *_) = gpu.of_inception(Split(data.images[:2], data.labels[:2]), CPU, 2, end)
        assert row.what == "inception features, batches of 16"
        assert row.result.endswith("images/s")


SMALL = {"batch_size": 8}


def test_images_are_mnists_where_it_is(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mirror)  # nothing is normalized here
    split, what = gpu.images(mirror / "mnist", PARAMS, count=3)
    assert (what, split.labels.tolist(), split.images.shape) == ("MNIST", [5, 0, 4], (3, 1, 28, 28))


def test_images_are_made_up_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    split, what = gpu.images(NOWHERE, PARAMS, made_up=5010)
    assert (what, split.images.shape, split.labels.max()) == ("made up", (10, 1, 28, 28), 9)


class TestProcesses:
    def rows(self, program: str, seconds: float = 20) -> list[Row]:
        return gpu.in_a_process("part", [sys.executable, "-c", program], seconds)

    def test_their_rows_are_kept_when_they_die(self) -> None:
        first = f"print({json.dumps(Row('a check', 'passed', True))!r}, flush=True)"
        kept = Row("part: a check", "passed", True)
        assert self.rows(first) == [kept]
        died = Row("part: the whole", "its process ended with -9", False)
        assert self.rows(f"{first}; import os; os.kill(os.getpid(), 9)") == [kept, died]

    def test_their_rows_are_kept_when_they_hang(self) -> None:
        first = f"print({json.dumps(Row('a check', 'passed', True))!r}, flush=True)"
        rows = self.rows(f"{first}; import time; time.sleep(60)", seconds=1)
        stopped = Row("part: the whole", "stopped: not done after 1 s", False)
        assert rows == [Row("part: a check", "passed", True), stopped]

    def test_get_the_time_that_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])

        def takes_it_all(name: str, command: list[str], seconds: float) -> list[Row]:
            clock[0] += seconds
            return [Row(*command)]

        monkeypatch.setattr(gpu, "in_a_process", takes_it_all)
        most = {"one": 50.0, "two": 100.0, "three": 40.0}
        rows = gpu.in_turns(most, lambda name, left: [name, f"{left:.0f}"], seconds=120)
        assert rows == [("one", "50", None), ("two", "70", None), ("three", NO_TIME, None)]


NO_TIME = "left out: no time left"


class TestCommand:
    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """As on a machine with a GPU; the commands of its processes, one of which fails a check."""
        commands: list[list[str]] = []

        def pretended(name: str, command: list[str], seconds: float) -> list[Row]:
            commands.append(command)
            return [Row(f"{name}: check", "x|y", name != "evaluation")]

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92600)
        monkeypatch.setattr(devices, "choose", lambda _: CPU)
        monkeypatch.setattr(gpu, "in_a_process", pretended)
        return commands

    def run(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
        monkeypatch.setattr(sys, "argv", ["gpu.py", *words])
        with pytest.raises(SystemExit) as ended:
            gpu.main()
        return ended.value.code

    def test_says_so_where_there_is_no_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        code = self.run(monkeypatch)  # Python prints a text, and ends with 1
        assert code == "benchmarks.gpu: PyTorch finds no CUDA GPU on this machine"

    def test_runs_every_part_though_one_fails(
        self,
        started: list[list[str]],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert self.run(monkeypatch) == 1
        parts = [*PARAMS.generating, "evaluation", "dcgan-training", "gan-training"]
        assert [command[3] for command in started] == parts
        head, empty, _, _, *rows = capsys.readouterr().out.splitlines()
        assert f"torch {torch.__version__}" in head and not empty
        failed = "| evaluation: check | x/y | **FAILED** |"
        assert failed in rows
        assert rows[0] == "| gan: check | x/y | ok |"

    def test_runs_the_parts_that_are_named(
        self, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.run(monkeypatch, "dcgan", "--mnist", "here") == 0
        (command,) = started
        assert command[1:7] == ["-m", "benchmarks.gpu", "dcgan", "--rows", "--mnist", "here"]
        assert "unknown part 'gpu'; allowed: gan, dcgan" in str(self.run(monkeypatch, "gpu"))

    def test_its_process_prints_rows(
        self,
        started: list[list[str]],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def breaks(*_: object) -> Iterator[Row]:
            yield Row("a check", "held", True)
            raise ValueError("and then")

        monkeypatch.setattr(gpu, "parts", lambda *_: {"gan": gpu.Part(60, breaks)})
        monkeypatch.setattr(sys, "argv", ["gpu.py", "gan", "--rows"])
        gpu.main()
        rows = [Row(*json.loads(line)) for line in capsys.readouterr().out.splitlines()]
        assert rows == [("a check", "held", True), ("the whole", "ValueError: and then", False)]


def test_needs_neither_mlflow_nor_dvc_and_says_what_it_needs(root: Path) -> None:
    """On a borrowed machine there is PyTorch, and little else."""
    program = """
import sys
absent = ["mlflow", "dvc", "pooch", "pytorch_fid", "jinja2", "sklearn", "typer"]
sys.modules.update(dict.fromkeys(absent))
from benchmarks import gpu
print(*gpu.of_inception(None, None, 0, 0))
for name in [name for name in sys.modules if name.startswith(("ganvas", "benchmarks"))]:
    del sys.modules[name]
sys.modules["pydantic"] = None
from benchmarks import gpu
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert "left out: no package pooch" in done.stdout
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == "benchmarks.gpu: no package pydantic; pip install pydantic ruamel.yaml tqdm"
