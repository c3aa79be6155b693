"""The methods that turn one image into another, against references written from their papers."""

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from ganvas import config, networks
from ganvas.config import Translating
from ganvas.errors import GanvasError
from ganvas.training import run
from ganvas.training.engine import Engine
from ganvas.training.methods.cyclegan import Pool
from ganvas.training.overfitting import Probe

ROOT = Path(__file__).parents[1]
PARAMS = config.load(ROOT / "params.yaml")
CPU = torch.device("cpu")
SIZE = 12
SMALL: dict[str, dict[str, Any]] = {
    "pix2pix": {"generator_widths": [4, 6], "discriminator_widths": [4, 6], "batch_size": 3},
    "cyclegan": {
        **{"generator_widths": [4, 6], "blocks": 1, "discriminator_widths": [4, 6], "pool": 3},
        "batch_size": 2,
    },
    "stargan": {
        **{"generator_widths": [4, 6], "blocks": 1, "discriminator_widths": [4, 6]},
        "batch_size": 3,
    },
}
SMALL["pix2pix_l1"] = SMALL["pix2pix"]


def small(name: str, **changes: Any) -> Translating:
    """A recipe of params.yaml, narrow."""
    return PARAMS.models[name].merged(SMALL[name] | changes, name)


def images(count: int, channels: int, seed: int) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, channels, SIZE, SIZE), dtype=torch.uint8, generator=stream)


PAIRS = {"inputs": images(31, 1, 0), "images": images(31, 3, 1), "labels": torch.arange(31) % 3}
TWO = {"images": images(31, 1, 2), "domains": (torch.arange(31) % 3 == 0).long()}
FOUR = {"images": images(31, 3, 3), "domains": torch.arange(31) % 4}
DATA: dict[str, Mapping[str, Tensor]] = {
    **{"pix2pix": PAIRS, "pix2pix_l1": PAIRS},
    **{"cyclegan": TWO, "stargan": FOUR},
}
NAMES = sorted(DATA)


def begin(name: str, seed: int = 0, device: torch.device = CPU, **changes: Any) -> Engine:
    return Engine(small(name, **changes), DATA[name], seed, device)


def state(engine: Engine) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in engine.state().items()}


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


class Iteration:
    """One iteration of an engine: what it began with, was given, and found."""

    def __init__(self, engine: Engine) -> None:
        self.networks = copy.deepcopy(engine.method.networks)
        self.noise = torch.Generator()
        self.noise.set_state(engine.streams["noise"].get_state())
        self.gradients: dict[str, list[list[Tensor]]] = {"generator": [], "discriminator": []}
        for name, optimizer in engine.optimizers.items():
            optimizer.step = self._recorded(name, optimizer.step)  # type: ignore[method-assign]
        iterate = engine.method.iterate

        def given(engine: Engine, batch: Mapping[str, Tensor]) -> Any:
            self.batch = {name: values.clone() for name, values in batch.items()}
            return iterate(engine, batch)

        engine.method.iterate = given  # type: ignore[method-assign]
        row = engine.advance(1)[0].tolist()
        self.measured = dict(zip(engine.method.measures, row, strict=True))

    def _recorded(self, name: str, step: Callable[..., None]) -> Callable[..., None]:
        def recorded(gradients: Any, *others: Any) -> None:
            self.gradients[name].append([gradient.clone() for gradient in gradients])
            step(gradients, *others)

        return recorded

    def real(self, name: str) -> Tensor:
        return self.batch[name].float() / 127.5 - 1


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> list[Tensor]:
    """Gradients of the loss, followed."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    found = [p.grad.clone() for group in optimizer.param_groups for p in group["params"]]
    optimizer.step()
    return found


def adam(lr: float, *of: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam([p for n in of for p in n.parameters()], lr, betas=(0.5, 0.999))


def agree(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def cross_entropy(logits: Tensor, real: bool) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


@pytest.mark.parametrize("name", ["pix2pix", "pix2pix_l1"])
def test_an_iteration_of_pix2pix_is_the_papers(name: str) -> None:
    found = Iteration(begin(name, dropout=0.0))
    generator, discriminator = (found.networks[n].train() for n in ("generator", "discriminator"))
    x, y = found.real("inputs"), found.real("images")
    fake = generator(x)
    # "We divide the objective by 2 while optimizing D": section 3.3.
    of_real = cross_entropy(discriminator(torch.cat([x, y], 1)), True)
    of_fake = cross_entropy(discriminator(torch.cat([x, fake.detach()], 1)), False)
    d_loss = (of_real + of_fake) / 2
    d_gradients = step(adam(2e-4, discriminator), d_loss)
    g_loss = cross_entropy(discriminator(torch.cat([x, fake], 1)), True)
    l1 = (y - fake).abs().mean()
    adversarial = 0.0 if name == "pix2pix_l1" else 1.0
    g_gradients = step(adam(2e-4, generator), adversarial * g_loss + 100 * l1)
    agree(found.gradients["discriminator"][0], d_gradients)
    agree(found.gradients["generator"][0], g_gradients)
    measured = [found.measured[f"{n}_loss"] for n in ("discriminator", "generator")]
    assert measured == pytest.approx([d_loss.item(), g_loss.item()], abs=1e-5)
    assert found.measured["reconstruction_loss"] == pytest.approx(l1.item(), abs=1e-5)


def test_an_iteration_of_cyclegan_is_the_papers() -> None:
    found = Iteration(begin("cyclegan"))
    (back, there), (judge_back, judge) = (found.networks[n] for n in ("generator", "discriminator"))
    x, y = found.real("inputs"), found.real("images")
    fake_y, fake_x = there(x), back(y)
    # Equation 1 with the least squares of section 4.
    adversarial = (judge(fake_y) - 1).square().mean() + (judge_back(fake_x) - 1).square().mean()
    cycle = (back(fake_y) - x).abs().mean() + (there(fake_x) - y).abs().mean()  # equation 2
    identity = (there(y) - y).abs().mean() + (back(x) - x).abs().mean()  # section 5.2
    g_gradients = step(adam(2e-4, back, there), adversarial + 10 * cycle + 5 * identity)
    d_losses = [
        (d(real) - 1).square().mean() + d(fake.detach()).square().mean()
        for d, real, fake in ((judge, y, fake_y), (judge_back, x, fake_x))
    ]
    # "We divide the objective by 2 while optimizing D": section 7.1.
    d_loss = sum(d_losses, torch.zeros(())) / 2
    d_gradients = step(adam(2e-4, judge_back, judge), d_loss)
    agree(found.gradients["generator"][0], g_gradients)
    agree(found.gradients["discriminator"][0], d_gradients)
    names = ("discriminator", "generator", "reconstruction", "identity")
    expected = [d_loss.item(), adversarial.item() / 2, cycle.item(), identity.item()]
    assert [found.measured[f"{n}_loss"] for n in names] == pytest.approx(expected, abs=1e-5)


def test_an_iteration_of_stargan_is_the_papers() -> None:
    found = Iteration(begin("stargan"))
    generator, discriminator = (found.networks[n] for n in ("generator", "discriminator"))
    critic, size = adam(1e-4, discriminator), 3
    for number in range(5):  # critic steps: section 4.2
        of_step = slice(number * size, (number + 1) * size)
        x, c = found.real("images")[of_step], found.batch["domains"][of_step]
        target = c[torch.rand(size, generator=found.noise).argsort()]
        fake = generator(x, target)
        alpha = torch.rand(size, 1, 1, 1, generator=found.noise)
        between = (alpha * x + (1 - alpha) * fake.detach()).requires_grad_()
        (real, named), (false, _) = discriminator(x), discriminator(fake.detach())
        outputs = discriminator(between)[0]
        (slope,) = torch.autograd.grad(
            outputs, between, torch.ones_like(outputs), create_graph=True
        )
        penalty = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()  # equation 8
        d_loss = false.mean() - real.mean()
        naming = functional.cross_entropy(named, c)  # equation 2
        d_gradients = step(critic, d_loss + naming + penalty)  # equation 5
        agree(found.gradients["discriminator"][number], d_gradients)
    false, named = discriminator(fake)
    naming_fake = functional.cross_entropy(named, target)  # equation 3
    reconstruction = (generator(fake, c) - x).abs().mean()  # equation 4
    g_loss = -false.mean() + naming_fake + 10 * reconstruction  # equation 6
    agree(found.gradients["generator"][0], step(adam(1e-4, generator), g_loss))
    expected = {
        **{"discriminator_loss": d_loss, "generator_loss": -false.mean(), "penalty": penalty},
        **{"real_domain_loss": naming, "fake_domain_loss": naming_fake},
        **{"reconstruction_loss": reconstruction},
    }
    values = {name: value.item() for name, value in expected.items()}
    assert {n: found.measured[n] for n in values} == pytest.approx(values, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes_whatever_ran_between(name: str) -> None:
    first = begin(name, seed=1)
    measured = first.advance(4)
    torch.manual_seed(123)
    second = begin(name, seed=1)
    probe = Probe(second, DATA[name], DATA[name])
    assert torch.equal(second.advance(2), measured[:2])
    drawn, outputs = second.method.draw(second, second.first(3)), probe.measure()
    assert torch.equal(second.method.draw(second, second.first(3)), drawn)
    assert probe.measure() == outputs
    assert torch.equal(second.advance(2), measured[2:])
    assert same(state(first), state(second))
    assert not same(state(first), state(begin(name, seed=2)))


def test_the_noise_of_layers_is_the_same_in_every_picture() -> None:
    """Dropout that draws: there, and for each call its own outside of a picture."""
    engine = begin("pix2pix")
    generator, real = engine.method.networks["generator"], engine.first(4)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(20)  # until it shows in 8 bits
        inputs = networks.from_uint8(real["inputs"])
        assert not torch.equal(generator(inputs), generator(inputs))
    first = engine.method.draw(engine, real)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(engine.method.draw(engine, real), first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_state_restored_goes_on_to_the_byte(name: str) -> None:
    changes = {"horizontal_flips": True, "lr_decay_from": 0.1, "epochs": 2, "ema_decay": 0.9}
    whole = begin(name, **changes)
    whole.advance(3)
    kept = load(save({k: v.contiguous() for k, v in whole.state().items()}))
    rest = whole.advance(6)
    other = begin(name, seed=0, **changes)
    other.advance(1)
    other.restore(kept)
    assert torch.equal(other.advance(6), rest)
    assert same(state(whole), state(other))


@pytest.mark.parametrize("name", NAMES)
def test_all_of_a_methods_weights_learn(name: str) -> None:
    engine = begin(name)
    before = state(engine)
    engine.advance(1)
    after = state(engine)
    learnt = [
        f"{name}.{key}"
        for name, network in engine.method.networks.items()
        for key, _ in network.named_parameters()
    ]
    assert learnt and not [name for name in learnt if torch.equal(before[name], after[name])]


class TestRates:
    def test_fall_in_a_straight_line_to_nothing(self) -> None:
        engine = begin("cyclegan", epochs=4, lr_decay_from=0.5)  # 10 iterations an epoch
        assert engine.iterations_per_epoch == 10
        shares = []
        for _ in range(40):
            shares.append(float(engine._share_of_rate()))  # type: ignore[arg-type]
            engine.advance(1)
        engine.advance(5)  # past the end, as a notebook may ask
        assert float(engine._share_of_rate()) == 0  # type: ignore[arg-type]
        assert shares[:21] == [1.0] * 21
        assert shares[20:] == pytest.approx([1 - i / 20 for i in range(20)], abs=1e-6)

    @pytest.mark.parametrize("optimizer", ["adam", "sgd"])
    def test_move_the_weights_less_by_their_share(self, optimizer: str) -> None:
        """Of a first step, as long as the rate: in the last iteration of 20, a twentieth."""
        moved = []
        for begun in (0, 39):
            engine = begin(
                "cyclegan", epochs=4, lr_decay_from=0.5, optimizer=optimizer, momentum=0.0
            )
            engine.iteration = begun
            before = state(engine)
            engine.advance(1)
            key = next(k for k in before if k.startswith("generator.") and before[k].dim() == 4)
            moved.append((engine.state()[key] - before[key]).abs().max().item())
        if optimizer == "adam":
            assert moved[1] == pytest.approx(moved[0] / 20, rel=1e-3)
        else:
            assert 0 < moved[1] < moved[0]

    def test_stay_where_nothing_is_said(self) -> None:
        assert begin("pix2pix")._share_of_rate() is None


class TestPool:
    def shown(self, count: int, size: int = 5) -> tuple[list[float], Pool]:
        pool, stream = Pool(size, (1, 2, 2)), torch.Generator().manual_seed(0)
        shown: list[float] = []
        for number in range(0, count, 2):
            fakes = torch.stack([torch.full((1, 2, 2), float(n)) for n in (number, number + 1)])
            given = pool.exchanged(fakes, stream)
            assert torch.equal(given, given[:, :, :1, :1].expand_as(given))
            shown += given[:, 0, 0, 0].tolist()
        return shown, pool

    def test_gives_back_what_it_keeps_until_it_is_full(self) -> None:
        shown, pool = self.shown(4)
        assert shown == [0.0, 1.0, 2.0, 3.0] and int(pool.filled) == 4
        assert pool.images[:, 0, 0, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 0.0]

    def test_then_shows_half_of_the_time_an_earlier_one(self) -> None:
        shown, pool = self.shown(2000)
        earlier = [n for n, of in enumerate(shown) if of != n]
        assert len(earlier) / 2000 == pytest.approx(0.5, abs=0.05)
        assert all(shown[n] < n for n in earlier)
        # What was shown and what is kept is what came: nothing twice but the first five.
        kept = pool.images[:, 0, 0, 0].tolist()
        assert sorted([*shown, *kept]) == sorted([*map(float, range(2000)), *shown[:5]])

    def test_of_no_size_passes_them_on(self) -> None:
        fakes = torch.rand(2, 1, 2, 2)
        assert torch.equal(Pool(0, (1, 2, 2)).exchanged(fakes, torch.Generator()), fakes)


class TestExamples:
    def test_of_unequal_domains_are_all_shown(self) -> None:
        method = begin("cyclegan").method
        found = method.examples(TWO)
        assert len(found["inputs"]) == len(found["images"]) == 20
        for domain, name in enumerate(("inputs", "images")):
            own = TWO["images"][TWO["domains"] == domain]
            assert {each.numpy().tobytes() for each in found[name]} == {
                each.numpy().tobytes() for each in own
            }

    def test_are_mirrored_together(self) -> None:
        """Both sides of a pair, or neither."""
        recipe = small("pix2pix", horizontal_flips=True, batch_size=30)
        inputs = images(30, 1, 7)
        engine = Engine(recipe, {"inputs": inputs, "images": 255 - inputs}, 0, CPU)
        batch = Iteration(engine).batch
        assert torch.equal(batch["images"], 255 - batch["inputs"])
        rows = {row.numpy().tobytes() for row in inputs}
        as_they_are = sum(row.numpy().tobytes() in rows for row in batch["inputs"])
        assert 5 < as_they_are < 25


@pytest.mark.parametrize(("weight", "warned"), [(1.0, True), (0.0, False)])
def test_nobody_is_warned_of_a_discriminator_that_nothing_listens_to(
    tmp_path: Path, weight: float, warned: bool
) -> None:
    engine = begin("pix2pix", adversarial_weight=weight)
    current = run.Run(tmp_path, engine, run.Plan(100, 100, [], 100, 60.0))
    current.measured = torch.zeros(run.WON_ITERATIONS, len(engine.method.measures))
    assert bool(current.warnings()) == warned


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_in_a_row_has_as_many_names(name: str) -> None:
    engine = begin(name)
    drawn = engine.method.draw(engine, engine.first(2))
    names = {"pix2pix": [], "cyclegan": ["a", "b"], "stargan": ["a", "b", "c", "d"]}
    of = engine.method.columns(names[name.removesuffix("_l1")])
    assert len(of) == len(set(of)) == drawn.shape[1]


class TestPictures:
    @pytest.mark.parametrize(
        ("name", "columns", "channels"),
        [("pix2pix", 3, 3), ("cyclegan", 6, 1), ("stargan", 5, 3)],
    )
    def test_rows_are_what_was_given_made_and_true(
        self, name: str, columns: int, channels: int
    ) -> None:
        engine = begin(name)
        drawn = engine.method.draw(engine, engine.first(8))
        assert drawn.shape == (8, columns, channels, SIZE, SIZE) and drawn.dtype == torch.uint8
        given = engine.first(8)
        first = given["inputs" if "inputs" in given else "images"]
        assert torch.equal(drawn[:, 0], first.expand(-1, channels, -1, -1))
        if name == "pix2pix":
            assert torch.equal(drawn[:, 2], given["images"])
        if name == "cyclegan":
            assert torch.equal(drawn[:, 3], given["images"])
            way = networks.from_uint8(given["images"])
            with engine.drawing("generator") as generator:
                made = networks.to_uint8(generator(way, torch.zeros(8, dtype=torch.int64)))
            assert torch.equal(drawn[:, 4], made)
        if name == "stargan":
            with engine.drawing("generator") as generator:
                told = torch.full((8,), 2)
                made = networks.to_uint8(generator(networks.from_uint8(first), told))
            assert torch.equal(drawn[:, 3], made)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("pix2pix", FOUR, "pix2pix needs pairs"),
        ("cyclegan", FOUR, "two domains, and here are 4"),
        ("cyclegan", PAIRS, "two domains, and here are 0"),
        ("stargan", PAIRS, "two domains or more"),
    ],
)
def test_data_that_a_method_cannot_follow_get_one_line(
    name: str, data: Mapping[str, Tensor], words: str
) -> None:
    with pytest.raises(GanvasError, match=words):
        Engine(small(name), data, 0, CPU)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("pix2pix", {"objective": "relativistic"}, "objective: relativistic pairs real images"),
        ("cyclegan", {"objective": "relativistic"}, "which cyclegan does not; take another"),
        ("stargan", {"objective": "relativistic"}, "which stargan does not; take another"),
        ("pix2pix", {"discriminator_steps": 2}, "discriminator_steps: 2, which pix2pix does not"),
        ("pix2pix", {"pool": 5}, "pool: 5, which pix2pix does not follow: 0"),
        ("cyclegan", {"penalties": {"r1": 1.0}}, "penalties: .* which cyclegan does not follow"),
        ("cyclegan", {"domain_weight": 1.0}, "domain_weight: 1.0, which cyclegan does not"),
        ("stargan", {"penalty_every": 8}, "penalty_every: 8, which stargan does not follow: 1"),
        ("stargan", {"identity_weight": 1.0}, "identity_weight: 1.0, which stargan does not"),
        ("stargan", {"batch_size": 1}, "batch_size: 1, but stargan translates to the domains of"),
    ],
)
def test_what_a_method_does_not_follow_gets_one_line(
    name: str, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(GanvasError, match=words):
        begin(name, **changes)


def test_held_out_images_of_one_domain_alone_get_one_line() -> None:
    alone = {name: values[TWO["domains"] == 0] for name, values in TWO.items()}
    with pytest.raises(GanvasError, match="two domains, and here are 1"):
        Probe(begin("cyclegan"), TWO, alone)


@pytest.fixture
def cuda() -> Iterator[torch.device]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU on this machine")
    yield torch.device("cuda")


@pytest.mark.parametrize("name", NAMES)
def test_replayed_from_a_graph_it_is_the_same_to_the_bit(name: str, cuda: torch.device) -> None:
    changes = {"lr_decay_from": 0.1, "epochs": 2}
    eager = Engine(small(name, **changes), DATA[name], 0, cuda, capture=False)
    captured = begin(name, device=cuda, **changes)
    assert torch.equal(eager.advance(5), captured.advance(5))
    assert captured.captured and same(state(eager), state(captured))
