"""The training step: exact, repeatable, and the same function as the plain one."""

import copy
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load, save
from torch.nn.functional import binary_cross_entropy_with_logits

from ganvas import config, devices, seeds
from ganvas.errors import GanvasError
from ganvas.networks import to_uint8
from ganvas.training.engine import Engine

RECIPES = ("gan", "dcgan")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (50, 1, 28, 28), generator=stream, dtype=torch.uint8)


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    devices.choose("cpu")


def recipe(name: str, **changes: object) -> config.Recipe:
    return config.load().models[name].model_copy(update={"batch_size": 8, **changes})


def begin(
    recipe: config.Recipe,
    images: torch.Tensor,
    seed: int,
    device: torch.device = CPU,
    precision: str = "float32",
) -> Engine:
    return Engine(recipe, {"images": images}, seed, device, precision)


def weights(engine: Engine) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in engine.state().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """However many the tests have."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_same_bytes_whatever_ran_before(name: str, images: torch.Tensor) -> None:
    first = begin(recipe(name), images, seed=1)
    measured = first.advance(9)
    torch.manual_seed(123)
    torch.randn(7)
    second = begin(recipe(name), images, seed=1)
    assert torch.equal(second.advance(4), measured[:4])
    second.method.draw(second)  # a picture on the way changes nothing
    assert torch.equal(second.advance(5), measured[4:])
    assert same(weights(first), weights(second))


def test_another_seed_gives_other_weights(images: torch.Tensor) -> None:
    first, second = (begin(recipe("gan"), images, seed) for seed in (1, 2))
    assert not same(weights(first), weights(second))


@pytest.mark.parametrize("name", RECIPES)
def test_state_restored_goes_on_to_the_byte(name: str, images: torch.Tensor) -> None:
    whole = begin(recipe(name, ema_decay=0.9), images, seed=0)
    whole.advance(4)
    state = load(save({k: v.contiguous() for k, v in whole.state().items()}))  # as in a file
    measured = whole.advance(9)  # across the end of an epoch of 6
    resumed = begin(recipe(name, ema_decay=0.9), images, seed=0)
    resumed.restore(state)
    assert resumed.iteration == 4
    assert torch.equal(resumed.advance(9), measured)
    assert same(weights(whole), weights(resumed))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("steps", [1, 3])
def test_an_iteration_is_the_plain_one(name: str, steps: int, images: torch.Tensor) -> None:
    """The textbook iteration, written out with separate passes and binary cross entropy."""
    settings = recipe(name, discriminator_steps=steps)
    ours = begin(settings, images, seed=3)
    networks = ours.method.networks
    generator, discriminator = copy.deepcopy((networks["generator"], networks["discriminator"]))
    beta1, beta2 = settings.betas
    adam_g = torch.optim.Adam(generator.parameters(), settings.lr_generator, (beta1, beta2))
    adam_d = torch.optim.Adam(discriminator.parameters(), settings.lr_discriminator, (beta1, beta2))
    noise = seeds.generator(3, "noise")
    order = torch.randperm(50, generator=seeds.generator(3, "order", 0))
    bce = binary_cross_entropy_with_logits
    plain = []
    for start in (0, 8):
        real = images[order[start : start + 8]] / 127.5 - 1
        for _ in range(steps):
            fake = generator(torch.randn(8, 100, generator=noise))
            real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
            loss_d = bce(real_logits, torch.ones(8)) + bce(fake_logits, torch.zeros(8))
            loss_d = loss_d / 2
            adam_d.zero_grad()
            loss_d.backward()
            adam_d.step()
        loss_g = bce(discriminator(fake), torch.ones(8))
        adam_g.zero_grad()
        loss_g.backward()
        adam_g.step()
        plain.append([loss_d.item(), loss_g.item()])
    measured = ours.advance(2)
    torch.testing.assert_close(measured[:, :2], torch.tensor(plain), rtol=1e-4, atol=1e-5)
    for mine, theirs in (("generator", generator), ("discriminator", discriminator)):
        for key, value in theirs.state_dict().items():
            # Adam's first steps divide tiny gradients by themselves: bounded by the step length.
            found = networks[mine].state_dict()[key]
            torch.testing.assert_close(found, value, rtol=1e-3, atol=1e-4)


def test_each_discriminator_step_updates_the_discriminator(images: torch.Tensor) -> None:
    engine = begin(recipe("gan", discriminator_steps=3), images, seed=0)
    engine.advance(2)
    steps = {name: int(optimizer.state()["step"]) for name, optimizer in engine.optimizers.items()}
    assert steps == {"discriminator": 6, "generator": 2}


def test_no_gradient_is_computed_for_the_network_that_does_not_learn(
    images: torch.Tensor,
) -> None:
    engine = begin(recipe("dcgan"), images, seed=0)
    engine.advance(1)
    networks = engine.method.networks.values()
    assert len(networks) == 2
    assert all(p.grad is None for network in networks for p in network.parameters())


def test_an_epoch_shows_each_image_at_most_once(images: torch.Tensor) -> None:
    engine = begin(recipe("gan"), images, seed=0)
    assert engine.iterations_per_epoch == 6
    engine.advance(6)
    first = engine._order.clone()
    assert sorted(first.tolist()) == list(range(50))
    engine.advance(1)
    assert not torch.equal(first, engine._order)


def test_the_moving_average_follows_its_equation(images: torch.Tensor) -> None:
    engine = begin(recipe("gan", ema_decay=0.75), images, seed=0)
    generator, average = engine.method.networks["generator"], engine.averages["generator"]
    expected = [p.detach().clone() for p in generator.parameters()]
    for _ in range(3):
        engine.advance(1)
        expected = [
            0.75 * old + 0.25 * new
            for old, new in zip(expected, generator.parameters(), strict=True)
        ]
    torch.testing.assert_close(list(average.parameters()), expected)


def test_bfloat16_trains_and_repeats(images: torch.Tensor) -> None:
    runs = [begin(recipe("dcgan"), images, 0, precision="bfloat16").advance(5) for _ in range(2)]
    assert torch.equal(*runs) and bool(runs[0].isfinite().all())
    exact = begin(recipe("dcgan"), images, 0).advance(5)
    assert not torch.equal(runs[0], exact)
    torch.testing.assert_close(runs[0], exact, rtol=0.1, atol=0.1)


def test_a_batch_larger_than_the_data_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(GanvasError, match="batch_size: 64 is more than the 50 training images"):
        begin(recipe("gan", batch_size=64), images, 0)


def test_a_state_that_lacks_something_changes_nothing(images: torch.Tensor) -> None:
    engine = begin(recipe("gan"), images, seed=0)
    before = weights(engine)
    other = begin(recipe("gan"), images, seed=1).state()
    del other["noise"]
    with pytest.raises(KeyError, match="noise"):
        engine.restore(other)
    assert same(before, weights(engine))


def test_uint8_covers_the_whole_range() -> None:
    levels = torch.arange(256) / 127.5 - 1
    assert torch.equal(to_uint8(levels), torch.arange(256, dtype=torch.uint8))
    assert to_uint8(torch.tensor([-2.0, 2.0])).tolist() == [0, 255]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("steps", [1, 2])
def test_the_cuda_graph_replays_the_eager_iteration(
    name: str, steps: int, images: torch.Tensor
) -> None:
    device = devices.choose("cuda")
    settings = recipe(name, discriminator_steps=steps, ema_decay=0.9)
    graphed = begin(settings, images, 0, device)
    replayed = graphed.advance(13)
    eager = Engine(settings, {"images": images}, 0, device, capture=False)
    assert graphed.captured
    assert torch.equal(replayed, eager.advance(13))
    assert same(weights(graphed), weights(eager))
