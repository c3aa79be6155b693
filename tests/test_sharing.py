"""One training by two processes: what one has with the whole batch, exact, and ended together.

Rank 0 is here, rank 1 a process beside it; they talk by gloo.
"""

import copy
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
from repositories import ROOT
from safetensors.torch import load, save
from torch import Tensor
from torch.distributed import (
    TCPStore,  # type: ignore[attr-defined]
    distributed_c10d,
)
from torch.nn.functional import binary_cross_entropy_with_logits

from ganvas import config, devices, seeds
from ganvas.errors import GanvasError
from ganvas.training import launching
from ganvas.training.engine import Engine
from ganvas.training.sharing import Sharing

CPU = torch.device("cpu")
PATIENCE = timedelta(seconds=60)  # of a process that waits for another, for good where that errs
PARAMS = config.load(ROOT / "params.yaml")
STREAM = torch.Generator().manual_seed(0)
PIXELS = torch.randint(256, (2, 50, 1, 16, 16), generator=STREAM, dtype=torch.uint8)
DATA = {
    "images": PIXELS[0],
    "inputs": PIXELS[1],
    "labels": torch.arange(50) * 7 % 10,
    "domains": torch.arange(50) % 3,
}
TWO_DOMAINS = DATA | {"domains": (torch.arange(50) % 3 == 0).long()}
# Plain descent moves by the gradient's size, which Adam divides by itself.
DESCENT = {"optimizer": "sgd", "lr_generator": 0.05, "lr_discriminator": 0.05, "momentum": 0.5}
SLOWER = DESCENT | {"lr_generator": 0.002, "lr_discriminator": 0.002}
PLAIN = {"generator_norm": "none", "discriminator_norm": "none", "discriminator_dropout": 0.0}
CHANGED = {"augment": ["translation", "cutout"], "instance_noise": 0.1, "horizontal_flips": True}
FLAT = {"generator_widths": [32, 64], "discriminator_widths": [32]}
# Of few weights none has a gradient so small that it is rounding, which Adam would step by.
FEW = {"generator_widths": [8, 8], "discriminator_widths": [8], "latent_dim": 8}
PLANES = {"generator_widths": [16, 8], "discriminator_widths": [8, 16]}
TRANSLATED = {"generator_widths": [8, 8], "discriminator_widths": [8, 8]} | SLOWER
# Of each, the recipe's name and what is changed in it. No layer of these looks across the batch.
WHOLE: dict[str, tuple[str, dict[str, Any]]] = {
    "gan": ("gan", FLAT | PLAIN | DESCENT),
    "with adam and an average": ("gan", FEW | PLAIN | {"ema_decay": 0.9}),
    "all that changes images": ("gan_sigmoid", FLAT | PLAIN | DESCENT | CHANGED),
    "three updates of the discriminator": ("gan_k3", FLAT | PLAIN | DESCENT),
    "classes": ("acgan", PLANES | PLAIN | DESCENT),
    "a gradient penalty": ("wgan_gp", PLANES | PLAIN | DESCENT | {"discriminator_steps": 2}),
    "spectral norm": ("hinge_sn", PLANES | PLAIN | DESCENT | {"discriminator_norm": "spectral"}),
    "pairs of logits and r1": ("r3gan", PLANES | PLAIN | DESCENT),
    "pix2pix": (
        "pix2pix",
        TRANSLATED
        | {"generator_norm": "instance", "discriminator_norm": "instance", "dropout": 0.0},
    ),
    "cyclegan, with a pool": ("cyclegan", TRANSLATED | {"pool": 6, "blocks": 1}),
    "stargan": ("stargan", TRANSLATED | {"blocks": 1, "discriminator_steps": 2}),
}
# These do, but for synchronised BatchNorm.
NORMALISED: dict[str, tuple[str, dict[str, Any]]] = {
    "gan": ("gan", FLAT | DESCENT),
    "dcgan, with an average": ("dcgan", PLANES | DESCENT | {"ema_decay": 0.9}),
    "a gradient penalty": (
        "wgan_gp",
        PLANES | SLOWER | {"discriminator_steps": 1, "discriminator_norm": "batch"},
    ),
}
DROPPING = ("gan_sigmoid", FLAT | {"discriminator_dropout": 0.5})


def engine(
    sharing: Sharing, model: str, changes: Mapping[str, Any], on_host: bool | None = None
) -> Engine:
    """On batches of 8."""
    recipe = PARAMS.models[model].merged({"batch_size": 8} | dict(changes), model)
    data = TWO_DOMAINS if model == "cyclegan" else DATA
    return Engine(recipe, data, 3, CPU, longest=10, on_host=on_host, sharing=sharing)


def alone(model: str, changes: Mapping[str, Any]) -> Engine:
    return engine(Sharing(), model, changes)


def follow(port: int, asked: Connection) -> None:
    """What rank 1 does: it follows in one training after the other."""
    torch.set_num_threads(1)
    devices.choose("cpu")
    distributed_c10d.default_pg_timeout = PATIENCE
    store = TCPStore(launching.HOST, port, is_master=False)
    sharing = Sharing(2, 1)
    sharing.start = lambda: store
    while True:
        training = asked.recv()
        sharing.sync_batch_norm, model, changes = training
        followed = engine(sharing, model, changes)
        followed.follow()
        asked.send({name: value.numpy() for name, value in followed.state().items()})


Begin = Callable[..., Engine]


class Pair:
    """Rank 0 of two processes, and a way to ask rank 1 to begin what it begins."""

    def __init__(self, sharing: Sharing, other: Connection) -> None:
        self.sharing, self.other, self.begun = sharing, other, False

    def begin(
        self,
        model: str,
        changes: Mapping[str, Any],
        sync: bool = False,
        on_host: bool | None = None,
    ) -> Engine:
        if self.begun:  # and left there, maybe by a test that failed
            self.end()
        self.begun = True
        self.other.send((sync, model, changes))
        self.sharing.sync_batch_norm = sync
        return engine(self.sharing, model, changes, on_host)

    def end(self) -> dict[str, Tensor]:
        """Of the training that was begun last; gives the state of rank 1."""
        self.begun = False
        self.sharing.tell(0, 0)
        return {name: torch.from_numpy(value) for name, value in self.other.recv().items()}


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    devices.choose("cpu")
    usual, distributed_c10d.default_pg_timeout = distributed_c10d.default_pg_timeout, PATIENCE
    os.environ.setdefault("GLOO_SOCKET_IFNAME", launching._loopback())
    store = TCPStore(launching.HOST, 0, is_master=True, wait_for_workers=False)
    sharing = Sharing(2, 0)
    sharing.start = lambda: store
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=follow, args=(store.port, there))
    process.start()
    yield Pair(sharing, here)
    process.kill()
    process.join()
    sharing.leave()
    distributed_c10d.default_pg_timeout = usual


def near(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], before: Mapping[str, Tensor]
) -> None:
    """Off by rounding, beside how far the network's weights, or its moments, have moved.

    Not beside each tensor's own: a bias before a normalisation has no gradient but rounding.
    """
    assert found.keys() - {"processes"} == expected.keys()
    for name, value in expected.items():
        if value.is_floating_point():
            off = 1e-3 * moved(before, expected, name.rpartition(".")[0].partition(".")[0])
            size = float(value.abs().max())
            torch.testing.assert_close(found[name], value, rtol=0, atol=off + 1e-6 * size, msg=name)


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor], part: str) -> float:
    """By how much what lies below a name has been changed at most."""
    of = [n for n in before if n.startswith(f"{part}.") and before[n].is_floating_point()]
    return max(float((after[name] - before[name]).abs().max()) for name in of)


def snapshot(of: Engine) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in of.state().items()}


@pytest.mark.parametrize("case", WHOLE)
def test_two_processes_train_as_one_does_with_the_whole_batch(case: str, pair: Pair) -> None:
    whole, shared = alone(*WHOLE[case]), pair.begin(*WHOLE[case])
    before = snapshot(whole)
    measured = [whole.advance(3), whole.advance(4)]  # across an epoch's end
    found = [shared.advance(3), shared.advance(4)]
    assert min(moved(before, whole.state(), part) for part in whole.method.networks) > 1e-5
    for rows, expected in zip(found, measured, strict=True):
        torch.testing.assert_close(rows, expected, rtol=1e-3, atol=1e-4)
    near(shared.state(), whole.state(), before)
    for name, value in pair.end().items():  # the other process, to the byte
        assert torch.equal(value, shared.state()[name]), name


def test_data_on_the_host_are_shared_alike(pair: Pair) -> None:
    case = WHOLE["three updates of the discriminator"]
    found = []
    for on_host in (False, True):
        shared = pair.begin(*case, on_host=on_host)
        found.append((shared.advance(3), snapshot(shared)))
    (expected, state), (rows, of_host) = found
    assert torch.equal(rows, expected)
    assert all(torch.equal(value, of_host[name]) for name, value in state.items())


@pytest.mark.parametrize("case", NORMALISED)
def test_synchronised_batch_norm_sees_the_whole_batch(case: str, pair: Pair) -> None:
    whole, shared = alone(*NORMALISED[case]), pair.begin(*NORMALISED[case], sync=True)
    before = snapshot(whole)
    expected, found = whole.advance(3), shared.advance(3)
    assert min(moved(before, whole.state(), part) for part in whole.method.networks) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    near(shared.state(), whole.state(), before)


def test_batch_norm_is_of_each_share_and_its_statistics_are_those_of_rank_0(pair: Pair) -> None:
    """One discriminator's update, written out: each half with its own statistics, then the mean."""
    settings = PLANES | DESCENT | {"momentum": 0.0}
    reference, shared = alone("dcgan", settings), pair.begin("dcgan", settings)
    generator, discriminator = map(copy.deepcopy, reference.method.networks.values())
    order = torch.randperm(50, generator=seeds.generator(3, "order", 0))[:8]
    real = DATA["images"][order] / 127.5 - 1
    z = torch.randn(8, 100, generator=seeds.generator(3, "noise"))
    losses = []
    for half in (slice(0, 4), slice(4, 8)):
        of_it = copy.deepcopy(discriminator)
        with torch.no_grad():
            fake = copy.deepcopy(generator)(z[half])
        logits = of_it(real[half])[:, 0], of_it(fake)[:, 0]
        bce = binary_cross_entropy_with_logits
        loss = (bce(logits[0], torch.ones(4)) + bce(logits[1], torch.zeros(4))) / 2
        losses.append((loss, torch.autograd.grad(loss, [*of_it.parameters()])))
    measured = shared.advance(1)[0]
    assert float(measured[0]) == pytest.approx(sum(loss.item() for loss, _ in losses) / 2)
    trained = shared.method.networks["discriminator"]
    gradients = zip(*(gradients for _, gradients in losses), strict=True)
    for parameter, was, (a, b) in zip(
        trained.parameters(), discriminator.parameters(), gradients, strict=True
    ):
        torch.testing.assert_close(parameter, was - 0.05 * (a + b) / 2, rtol=0, atol=1e-6)
    other = pair.end()
    state = shared.state()
    differing = [name for name in other if not torch.equal(other[name], state[name])]
    statistics = [name for name in other if "running_" in name]
    assert differing == statistics and len(statistics) > 4


def test_each_process_drops_out_by_itself_and_all_goes_on_to_the_byte(pair: Pair) -> None:
    whole = pair.begin(*DROPPING)
    expected, end = whole.advance(7), snapshot(whole)
    pair.end()
    first = pair.begin(*DROPPING)
    assert torch.equal(first.advance(2), expected[:2])
    stored = load(save({name: value.contiguous() for name, value in first.state().items()}))
    pair.end()
    second = pair.begin(*DROPPING)
    second.advance(1)
    second.restore(stored)
    assert torch.equal(second.advance(5), expected[2:])
    assert all(torch.equal(value, second.state()[name]) for name, value in end.items())
    streams = end["layers"].chunk(2)
    assert not torch.equal(*streams)
    for rank, stream in enumerate(streams):  # each has drawn from its own
        began = seeds.generator(3, "layers", *[rank] * (rank > 0)).get_state()
        assert not torch.equal(stream, began)


def test_a_state_of_another_number_of_processes_is_refused_and_changes_nothing(
    pair: Pair,
) -> None:
    shared, one = pair.begin(*WHOLE["gan"]), alone(*WHOLE["gan"])
    shared.advance(1)
    one.advance(2)
    before = snapshot(one)
    with pytest.raises(RuntimeError, match="a state of processes: 2, not 1"):
        one.restore(snapshot(shared))
    assert all(torch.equal(value, one.state()[name]) for name, value in before.items())
    with pytest.raises(RuntimeError, match="a state of processes: 1, not 2"):
        shared.restore(before)


def test_one_process_judges_and_draws_without_the_others(pair: Pair) -> None:
    """With synchronised BatchNorm, too: rank 1 knows nothing of it."""
    whole, shared = (
        alone(*NORMALISED["dcgan, with an average"]),
        pair.begin(*NORMALISED["dcgan, with an average"], sync=True),
    )
    found = []
    for each in (whole, shared):
        each.advance(1)
        real = [{"images": DATA["images"][:20], "labels": DATA["labels"][:20]}]
        with each.judging():
            found.append(each.method.judge(each, real, torch.Generator().manual_seed(1)))
        found[-1] += [each.method.draw(each, each.first(1)).float() / 255]
        each.advance(1)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-2)


def test_the_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    for threads, processes in ((8, 1), (8, 2), (8, 3), (1, 2)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        launching.settle(Sharing(processes), CPU)
    assert given == [4, 2, 1]


class TestWhatCannotBeIsOneLine:
    def test_a_batch_without_equal_shares(self) -> None:
        message = (
            r"^batch_size: 8 cannot be shared by 3 processes; set a multiple of train\.processes$"
        )
        with pytest.raises(GanvasError, match=message):
            engine(Sharing(3), "gan", {})

    def test_one_example_for_each_where_batch_norm_needs_two(self) -> None:
        changes = FLAT | {"batch_size": 2}
        with pytest.raises(GanvasError, match=r"^batch_size: one example for each process"):
            engine(Sharing(2), "gan", changes)
        engine(Sharing(2, sync_batch_norm=True), "gan", changes)
        engine(Sharing(2), "gan", changes | PLAIN)

    def test_a_method_that_does_not_say_that_it_takes_its_share(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ganvas.training.methods import adversarial

        monkeypatch.delattr(adversarial.Method, "shareable")
        alone("gan", {})
        with pytest.raises(GanvasError, match=r"^method: adversarial cannot be shared .*: 1$"):
            engine(Sharing(2), "gan", {})

    def test_another_number_than_torchrun_has_started(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "4")
        with pytest.raises(GanvasError, match=r"^train.processes: 1, but 4 were started; set it"):
            launching.place(1)
        there = launching.place(4, sync_batch_norm=True)
        assert (there.processes, there.rank, there.sync_batch_norm) == (4, 1, True)

    @pytest.mark.parametrize("device", ["mps", "cuda"])
    def test_a_device_that_cannot(self, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(GanvasError, match=r"^train.processes: 2 "):
            launching.settle(Sharing(2), torch.device(device))
        launching.settle(Sharing(1), torch.device(device))
