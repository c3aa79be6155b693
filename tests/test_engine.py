"""What the engine carries for methods that are not here yet: exact, and resumed to the byte."""

import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor, nn

from ganvas import config, devices, networks, parts
from ganvas.training import engine as engines
from ganvas.training import run
from ganvas.training.engine import Engine
from ganvas.training.optimizers.adam import Adam

CPU = torch.device("cpu")


class Everything:
    """Two generators, labels, pairs, dropout, augmentation, a penalty on a gradient, and memory."""

    measures = ("discriminator_loss", "generator_loss", "penalty", "labels")
    generators = ("there", "back")
    batches, capturable = 1, True
    architectures: Mapping[str, Mapping[str, Any]] = {"there": {"to": 1}, "back": {"to": 0}}

    def __init__(self, recipe: config.Recipe, data: Mapping[str, Tensor], seed: int) -> None:
        pixels = data["images"][0].numel()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.networks: dict[str, nn.Module] = {
                name: nn.Sequential(nn.Linear(pixels, 16), nn.Dropout(), nn.Linear(16, pixels))
                for name in self.generators
            }
            self.networks["judge"] = nn.Sequential(nn.Linear(pixels + 10, 16), nn.Linear(16, 1))
        last = nn.Module()
        last.register_buffer("fake", torch.zeros(pixels))
        self.memories = {"last": last}

    def examples(self, data: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return data

    def optimizers(self) -> dict[str, Adam]:
        both = [p for name in self.generators for p in self.networks[name].parameters()]
        judge = self.networks["judge"].parameters()
        return {"both": Adam(both, 1e-3, (0.5, 0.9)), "judge": Adam(judge, 1e-3, (0.0, 0.9))}

    def iterate(self, engine: Engine, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        there, back, judge = self.networks.values()
        a, b = (networks.from_uint8(batch[name]).flatten(1) for name in ("images", "partners"))
        named = nn.functional.one_hot(batch["labels"], 10).float()
        z = torch.randn(a.shape, generator=engine.streams["noise"], device=a.device)
        fake = there(a + 0.1 * z)
        stream = engine.streams["augment"]
        shown = b * torch.rand(len(b), 1, generator=stream, device=b.device)
        shown = torch.cat([shown, named], 1).requires_grad_()
        real = judge(shown)
        (slope,) = torch.autograd.grad(real.sum(), shown, create_graph=True)
        penalty = slope.square().sum(1).mean()
        judged = judge(torch.cat([fake.detach(), named], 1))
        last = self.memories["last"].get_buffer("fake")
        discriminator_loss = judged.mean() - real.mean() + penalty + last.mean()
        last.copy_(fake[0].detach())
        engine.update("judge", discriminator_loss)
        generator_loss = -judge(torch.cat([fake, named], 1)).mean() + (back(fake) - a).abs().mean()
        engine.update("both", generator_loss)
        return discriminator_loss, generator_loss, penalty, batch["labels"].float().mean()

    def draw(self, engine: Engine, real: Mapping[str, Tensor]) -> Tensor:
        with engine.drawing("back") as network:
            images = network(torch.linspace(-1, 1, 6 * 64).view(6, 64))
        return networks.to_uint8(images).view(2, 3, 1, 8, 8)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    devices.choose("cpu")
    method = SimpleNamespace(Method=Everything)
    monkeypatch.setattr(parts, "load", lambda kind, name: {"method": method}[kind])


@pytest.fixture
def data() -> dict[str, Tensor]:
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 30, 1, 8, 8), generator=stream, dtype=torch.uint8)
    labels = torch.arange(30) % 10
    return {"images": images[0], "partners": images[1], "labels": labels}


def start(data: dict[str, Tensor], on_host: bool | None = None, **recipe: Any) -> Engine:
    settings = config.load().models["gan"].model_copy(update={"batch_size": 8, **recipe})
    return Engine(settings, data, seed=0, device=CPU, on_host=on_host)


def stored(engine: Engine) -> dict[str, Tensor]:
    """The state as it is in a file."""
    return load(save({key: value.contiguous().cpu() for key, value in engine.state().items()}))


@pytest.fixture(params=[0.0, 0.9])
def recipe(request: pytest.FixtureRequest) -> Iterator[dict[str, float]]:
    yield {"ema_decay": request.param}


def test_goes_on_from_any_state_to_the_byte(
    data: dict[str, Tensor], recipe: dict[str, float]
) -> None:
    whole = start(data, **recipe)
    expected = whole.advance(7)
    for done in (1, 3, 5):  # an epoch has three
        begun, resumed = start(data, **recipe), start(data, **recipe)
        begun.advance(done)
        torch.rand(5)  # whatever else draws in this process
        resumed.restore(stored(begun))
        torch.rand(5)
        assert torch.equal(resumed.advance(7 - done), expected[done:])
        assert all(torch.equal(v, resumed.state()[k]) for k, v in whole.state().items())


def test_data_on_the_host_give_the_same_training_and_resume_to_the_byte(
    data: dict[str, Tensor], recipe: dict[str, float]
) -> None:
    whole = start(data, **recipe)
    expected = whole.advance(7)
    begun, resumed = (start(data, on_host=True, **recipe) for _ in range(2))
    assert torch.equal(begun.advance(4), expected[:4])  # an epoch has three
    resumed.restore(stored(begun))
    for engine in (begun, resumed):
        assert torch.equal(engine.advance(3), expected[4:])
        assert all(torch.equal(v, engine.state()[k]) for k, v in whole.state().items())


@pytest.mark.parametrize(("free", "stays"), [(2.1, False), (1.9, True)])
def test_data_that_would_take_more_than_half_of_a_gpu_stay_on_the_host_and_a_line_says_so(
    free: float, stays: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = {"images": torch.empty(1000, 1, 1000, 1000, dtype=torch.uint8)}  # nobody touches it
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * 1e9), int(4e9)))
    assert engines._too_large(data, torch.device("cuda")) is stays
    assert not engines._too_large(data, CPU)
    said = [record.getMessage() for record in caplog.records]
    assert said == stays * [
        "1.0 GB of images stay in the computer's memory, and each batch is sent to the GPU from "
        "pinned memory: 1.9 GB are free on the GPU"
    ]


def test_dropout_and_augmentation_draw_from_the_state_and_leave_the_callers_stream(
    data: dict[str, Tensor],
) -> None:
    torch.manual_seed(5)
    undisturbed = torch.rand(3)
    torch.manual_seed(5)
    engine = start(data)
    first = engine.advance(2)
    assert torch.equal(torch.rand(3), undisturbed)
    again = start(data)
    again._layers = torch.Generator().manual_seed(99).get_state()
    assert not torch.equal(again.advance(2), first)


def test_a_batch_holds_the_same_examples_under_every_name(
    data: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    data["images"] = data["labels"].view(30, 1, 1, 1).expand(30, 1, 8, 8).to(torch.uint8)
    seen: list[bool] = []
    engine = start(data)

    def iterate(_: Engine, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        seen.append(torch.equal(batch["images"][:, 0, 0, 0].long(), batch["labels"]))
        return (torch.zeros(()),) * 4

    monkeypatch.setattr(engine.method, "iterate", iterate)
    engine.advance(6)
    assert seen == [True] * 6


def test_each_generator_has_an_average_a_checkpoint_and_only_the_rest_is_exported_beside(
    data: dict[str, Tensor], tmp_path: Any
) -> None:
    engine = start(data, ema_decay=0.9)
    plan = run.Plan(epochs=2, checkpoint_every=1, pictures=[2], log_every=2, save_seconds=60)
    current = run.Run(tmp_path / "run", engine, plan)
    assert [stop.iteration for stop in current.go_on()] == [2, 3, 4, 6]
    current.export(tmp_path / "made", {})
    made = {p.relative_to(tmp_path / "made").as_posix() for p in (tmp_path / "made").rglob("*.*")}
    assert made == {
        *(f"{name}/epoch-000{epoch}.safetensors" for name in ("there", "back") for epoch in (1, 2)),
        *("there/architecture.json", "back/architecture.json"),
        *("judge.safetensors", "config.json", "history.csv", "progress.gif"),
        *("progress/iteration-0000002.png", "progress/iteration-0000006.png"),
    }
    with Image.open(tmp_path / "made/progress/iteration-0000002.png") as picture:
        width, height = picture.size
    assert width > height  # two rows of three
    header = (tmp_path / "made/history.csv").read_text().partition("\n")[0]
    assert header == "iteration,epoch,discriminator_loss,generator_loss,penalty,labels"
    assert json.loads((tmp_path / "made/back/architecture.json").read_text()) == {"to": 0}
    tensors = load((tmp_path / "made/back/epoch-0002.safetensors").read_bytes())
    averaged = engine.averages["back"].state_dict()
    assert all(torch.equal(tensors[f"ema.{key}"], value) for key, value in averaged.items())


def test_a_penalty_on_a_gradient_reaches_the_weights(
    data: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without double backward the penalty would be a constant, and these weights the same."""
    whole, cut = start(data), start(data)
    whole.advance(1)
    grad = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *a, **b: tuple(g.detach() for g in grad(*a, **b))
    )
    cut.advance(1)
    assert not torch.equal(whole.state()["judge.0.weight"], cut.state()["judge.0.weight"])


def test_where_there_can_be_no_graph_one_warning_and_the_same_training(
    data: dict[str, Tensor], recipe: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    eager, failing = start(data, **recipe), start(data, **recipe)
    expected = [eager.advance(4), eager.advance(3)]

    def iterates() -> None:
        failing._iterate()  # with what CUDA has: the rest is the engine's own
        torch.rand(3)

    def fails() -> None:
        iterates()
        try:
            raise RuntimeError("not permitted\nwhen stream is capturing")
        except RuntimeError:  # as PyTorch's context does when it ends the capture
            raise RuntimeError("capture invalidated") from None

    failing._warm_up = iterates  # type: ignore[method-assign]
    failing._record = fails  # type: ignore[method-assign]
    failing._capturing = True
    assert all(torch.equal(failing.advance(len(rows)), rows) for rows in expected)
    assert all(torch.equal(v, failing.state()[k]) for k, v in eager.state().items())
    assert not failing.captured
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "no CUDA graph on this device (not permitted): training goes on" in caplog.text


class Waiting(Everything):
    """An iteration that waits for the device, as no CUDA graph can."""

    def iterate(self, engine: Engine, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        measured = super().iterate(engine, batch)
        assert float(measured[0]) == float(measured[0])
        return measured


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
def test_a_capture_that_breaks_off_leaves_the_training_as_it_was(
    data: dict[str, Tensor],
    recipe: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    method = SimpleNamespace(Method=Waiting)
    monkeypatch.setattr(parts, "load", lambda kind, name: {"method": method}[kind])
    device = devices.choose("cuda")
    settings = config.load().models["gan"].model_copy(update={"batch_size": 8, **recipe})
    eager = Engine(settings, data, seed=0, device=device, capture=False)
    failing = Engine(settings, data, seed=0, device=device)
    for iterations in (4, 3):
        assert torch.equal(failing.advance(iterations), eager.advance(iterations))
    state = failing.state()
    assert all(torch.equal(value, state[key]) for key, value in eager.state().items())
    assert not failing.captured
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "no CUDA graph on this device (" in caplog.text
    assert "\n" not in caplog.records[0].getMessage()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
@pytest.mark.parametrize("capture", [False, True])
def test_data_on_the_host_give_a_gpu_the_same_training(
    data: dict[str, Tensor], recipe: dict[str, float], capture: bool
) -> None:
    device = devices.choose("cuda")
    settings = config.load().models["gan"].model_copy(update={"batch_size": 8, **recipe})
    there, here, resumed = (
        Engine(settings, data, 0, device, capture=capture, on_host=on_host)
        for on_host in (False, True, True)
    )
    for iterations in (4, 100, 3):  # more than are on their way at once
        expected = there.advance(iterations)
        resumed.restore(stored(here))
        assert torch.equal(here.advance(iterations), expected)
        assert torch.equal(resumed.advance(iterations), expected)
    assert here.captured == capture
    state = here.state()
    assert all(torch.equal(value, state[key]) for key, value in there.state().items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
@pytest.mark.parametrize("capturable", [False, True])
def test_a_method_says_whether_there_can_be_a_graph(
    capturable: bool, data: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Everything, "capturable", capturable)
    settings = config.load().models["gan"].model_copy(update={"batch_size": 8})
    engine = Engine(settings, data, seed=0, device=devices.choose("cuda"))
    engine.advance(1)
    assert engine.captured == capturable
