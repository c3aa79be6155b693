"""The training step: exact, repeatable, and the same function as the plain one, of every recipe."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    logsigmoid,
    one_hot,
    relu,
)

from ganvas import config, devices, networks, parts, seeds
from ganvas.errors import GanvasError
from ganvas.networks import to_uint8
from ganvas.training.engine import Engine

COMMITTED = config.load(Path(__file__).parents[1] / "params.yaml").generating
RECIPES = tuple(COMMITTED)
CONDITIONAL = [name for name in RECIPES if COMMITTED[name].classes != "none"]
CPU = torch.device("cpu")
# All that may be done to what a discriminator sees, at once.
CHANGED = {
    "horizontal_flips": True,
    "augment": ["translation", "cutout"],
    "instance_noise": 0.1,
}


@pytest.fixture(scope="module")
def data() -> dict[str, Tensor]:
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (50, 1, 28, 28), generator=stream, dtype=torch.uint8)
    return {"images": images, "labels": torch.arange(50) * 7 % 10}


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    devices.choose("cpu")


def recipe(name: str, **changes: object) -> config.Recipe:
    return COMMITTED[name].model_copy(update={"batch_size": 8, **changes})


def small(name: str, **changes: object) -> config.Recipe:
    """The recipe with an eighth of its width, on batches of 4: all of it, in a moment."""
    whole = recipe(name)
    narrow: dict[str, object] = {}
    for side in ("generator", "discriminator"):
        widths = getattr(whole, f"{side}_widths")
        narrow[f"{side}_widths"] = [width // 8 for width in widths]
    return recipe(name, **{"batch_size": 4, **narrow, **changes})


def begin(
    recipe: config.Recipe,
    data: Mapping[str, Tensor],
    seed: int = 0,
    device: torch.device = CPU,
    precision: str = "float32",
) -> Engine:
    return Engine(recipe, data, seed, device, precision)


def weights(engine: Engine) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in engine.state().items()}


def stored(engine: Engine) -> dict[str, Tensor]:
    """The state as it is in a file."""
    return load(save({k: v.contiguous() for k, v in engine.state().items()}))


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """However many the tests have."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "threads"),
    [*((name, 1) for name in RECIPES), ("gan", 2), ("dcgan", 2), ("wgan_gp", 2)],
)
def test_same_seed_same_bytes_whatever_ran_before(
    name: str, threads: int, data: dict[str, Tensor]
) -> None:
    with threads_of(threads):
        first = begin(small(name), data, seed=1)
        measured = first.advance(5)
        torch.manual_seed(123)
        torch.randn(7)
        second = begin(small(name), data, seed=1)
        assert torch.equal(second.advance(2), measured[:2])
        second.method.draw(second, second.first(1))  # a picture on the way changes nothing
        assert torch.equal(second.advance(3), measured[2:])
        assert same(weights(first), weights(second))


def test_another_seed_gives_other_weights(data: dict[str, Tensor]) -> None:
    first, second = (begin(small("gan"), data, seed) for seed in (1, 2))
    assert not same(weights(first), weights(second))


# What no recipe asks for by itself, but anybody's may.
OPTIONS: dict[str, config.Recipe] = {
    **{name: small(name, ema_decay=0.9) for name in RECIPES},
    "all that changes images": small("gan_sigmoid", ema_decay=0.9, **CHANGED),
    "penalties on all that changes images": small(
        "wgan_gp", penalties={"gradient": 10.0, "r1": 0.5, "r2": 2.0}, **CHANGED
    ),
    "penalties now and then": small("wgan_gp", penalty_every=4, **CHANGED),
    "spectral norm in a generator that is averaged": small(
        "dcgan",
        ema_decay=0.9,
        generator_norm="spectral",
    ),
    "momentum": small("gan", optimizer="sgd", momentum=0.9),
    "no momentum": small("gan", optimizer="sgd"),
    "smooth labels": small("lsgan", label_smoothing=0.1),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_state_restored_goes_on_to_the_byte(name: str, data: dict[str, Tensor]) -> None:
    whole = begin(OPTIONS[name], data)
    done = whole.iterations_per_epoch - 1
    whole.advance(done)
    state = stored(whole)
    measured = whole.advance(3)  # across the end of an epoch
    resumed = begin(OPTIONS[name], data)
    resumed.restore(state)
    assert resumed.iteration == done
    assert torch.equal(resumed.advance(3), measured)
    assert same(weights(whole), weights(resumed))


@pytest.mark.parametrize("name", RECIPES)
def test_no_gradient_is_kept_and_every_layer_of_both_networks_learns(
    name: str, data: dict[str, Tensor]
) -> None:
    engine = begin(small(name), data)
    before = weights(engine)
    engine.advance(1)
    found = engine.method.networks
    assert len(found) == 2
    for kind, network in found.items():
        for key, parameter in network.named_parameters():
            assert parameter.grad is None
            if not key.endswith("bias"):  # some of those cancel
                assert not torch.equal(parameter, before[f"{kind}.{key}"]), f"{kind}.{key}"


@pytest.mark.parametrize("name", RECIPES)
def test_measures_are_named_finite_and_in_their_range(name: str, data: dict[str, Tensor]) -> None:
    engine = begin(small(name), data)
    names, rows = engine.method.measures, engine.advance(3)
    assert rows.shape == (3, len(names)) and bool(rows.isfinite().all())
    assert names[:2] == ("discriminator_loss", "generator_loss")
    assert ("penalty" in names) == bool(COMMITTED[name].penalties)
    assert ("class_loss" in names) == (COMMITTED[name].classes == "auxiliary")
    values = dict(zip(names, rows.T, strict=True))
    probability = COMMITTED[name].objective in ("minimax", "non_saturating")
    for of in ("real", "fake"):
        assert (f"{of}_probability" in values) == probability
        assert (f"{of}_logit" in values) == (not probability)
        if probability:
            assert 0 < values[f"{of}_probability"].min() < values[f"{of}_probability"].max() < 1


Parts = dict[str, Tensor]  # of a network's loss, by the names of the measures; it minimises the sum
Judge = Callable[[Tensor], Tensor]  # images to logits (B, 1 + K)


def cross_entropies(judge: Judge, real: Tensor, fake: Tensor, labels: Tensor, _: Any) -> Parts:
    """Goodfellow 2014, algorithm 1; halved, as the mean of two cross entropies."""
    bce = binary_cross_entropy_with_logits
    logits = judge(real)[:, 0], judge(fake)[:, 0]
    loss = bce(logits[0], torch.ones(8)) + bce(logits[1], torch.zeros(8))
    return {"discriminator_loss": loss / 2}


def non_saturating(judge: Judge, fake: Tensor, real: Tensor, labels: Tensor) -> Parts:
    loss = binary_cross_entropy_with_logits(judge(fake)[:, 0], torch.ones(8))
    return {"generator_loss": loss}


def saturating(judge: Judge, fake: Tensor, real: Tensor, labels: Tensor) -> Parts:
    return {"generator_loss": torch.log(1 - torch.sigmoid(judge(fake)[:, 0])).mean()}


def squares(judge: Judge, real: Tensor, fake: Tensor, labels: Tensor, _: Any) -> Parts:
    """Mao 2017, equation 9."""
    on_real, on_fake = (judge(real) - 1).pow(2), judge(fake).pow(2)
    return {"discriminator_loss": 0.5 * on_real.mean() + 0.5 * on_fake.mean()}


def generators_squares(judge: Judge, fake: Tensor, real: Tensor, labels: Tensor) -> Parts:
    return {"generator_loss": 0.5 * (judge(fake) - 1).pow(2).mean()}


def critic(
    judge: Judge, real: Tensor, fake: Tensor, labels: Tensor, noise: torch.Generator
) -> Parts:
    """Gulrajani 2017, algorithm 1, with λ = 10."""
    share = torch.rand(8, 1, 1, 1, generator=noise)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
    norm = slope.pow(2).sum((1, 2, 3)).sqrt()
    return {
        "discriminator_loss": judge(fake).mean() - judge(real).mean(),
        "penalty": 10 * (norm - 1).pow(2).mean(),
    }


def minus_mean(judge: Judge, fake: Tensor, real: Tensor, labels: Tensor) -> Parts:
    return {"generator_loss": -judge(fake).mean()}


def hinges(judge: Judge, real: Tensor, fake: Tensor, labels: Tensor, _: Any) -> Parts:
    """Miyato 2018, equation 16; one power iteration an update, and so one pass."""
    on_real, on_fake = judge(torch.cat([real, fake])).chunk(2)
    return {"discriminator_loss": relu(1 - on_real).mean() + relu(1 + on_fake).mean()}


def relativistic(judge: Judge, real: Tensor, fake: Tensor, labels: Tensor, _: Any) -> Parts:
    """Huang 2024, equation 2, with γ / 2 of R1 and R2 and γ = 1."""
    real, fake = real.requires_grad_(), fake.requires_grad_()
    on_real, on_fake = judge(real), judge(fake)
    r1, r2 = (
        torch.autograd.grad(logits.sum(), images, create_graph=True)[0].pow(2).sum((1, 2, 3)).mean()
        for logits, images in ((on_real, real), (on_fake, fake))
    )
    return {
        "discriminator_loss": -logsigmoid(on_real - on_fake).mean(),
        "penalty": 0.5 * r1 + 0.5 * r2,
    }


def generators_relativistic(judge: Judge, fake: Tensor, real: Tensor, labels: Tensor) -> Parts:
    return {"generator_loss": -logsigmoid(judge(fake) - judge(real)).mean()}


def naming(judge: Judge, real: Tensor, fake: Tensor, labels: Tensor, _: Any) -> Parts:
    """Odena 2017, equations 2 and 3: L_S + L_C, each halved as above."""
    bce = binary_cross_entropy_with_logits
    on_real, on_fake = judge(real), judge(fake)
    source = bce(on_real[:, 0], torch.ones(8)) + bce(on_fake[:, 0], torch.zeros(8))
    classes = cross_entropy(on_real[:, 1:], labels) + cross_entropy(on_fake[:, 1:], labels)
    return {"discriminator_loss": source / 2, "class_loss": classes / 2}


def generators_naming(judge: Judge, fake: Tensor, real: Tensor, labels: Tensor) -> Parts:
    answers = judge(fake)
    source = binary_cross_entropy_with_logits(answers[:, 0], torch.ones(8))
    return {"generator_loss": source, "unmeasured": cross_entropy(answers[:, 1:], labels)}


PAPERS: dict[str, tuple[Callable[..., Parts], Callable[..., Parts]]] = {
    "gan": (cross_entropies, non_saturating),
    "dcgan": (cross_entropies, non_saturating),
    "gan_k3": (cross_entropies, non_saturating),
    "gan_minimax": (cross_entropies, saturating),
    "gan_2014": (cross_entropies, non_saturating),
    "lsgan": (squares, generators_squares),
    "wgan_gp": (critic, minus_mean),
    "hinge_sn": (hinges, minus_mean),
    "r3gan": (relativistic, generators_relativistic),
    "cgan": (cross_entropies, non_saturating),
    "cdcgan": (cross_entropies, non_saturating),
    "acgan": (naming, generators_naming),
    "infogan_lucic": (cross_entropies, non_saturating),
}


def shown(count: int, seed: int) -> Iterator[Tensor]:
    """Which examples each iteration is given, without end."""
    epoch = 0
    while True:
        order = torch.randperm(50, generator=seeds.generator(seed, "order", epoch))
        yield from (order[start : start + count] for start in range(0, 51 - count, count))
        epoch += 1


# Plain descent shows the size of a gradient, which Adam divides by itself.
DESCENT = {"optimizer": "sgd", "lr_generator": 0.1, "lr_discriminator": 0.02, "momentum": 0.5}
PLAIN: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, DESCENT) for name in PAPERS},
    **{f"{name}, as it is": (name, {}) for name in ("gan", "dcgan", "wgan_gp")},
    **{
        f"{name}, two steps": (name, DESCENT | {"discriminator_steps": 2})
        for name in ("dcgan", "r3gan", "acgan")
    },
    **{
        f"{name}, penalties now and then": (name, DESCENT | {"penalty_every": 2})
        for name in ("r3gan", "wgan_gp")
    },
}


@pytest.mark.parametrize("case", PLAIN)
def test_an_iteration_is_the_plain_one(case: str, data: dict[str, Tensor]) -> None:
    """The paper's iteration, written out with separate layers, passes and PyTorch's optimizers."""
    name, changes = PLAIN[case]
    settings = small(name, batch_size=8, **changes)
    steps = settings.discriminator_steps
    ours = begin(settings, data, seed=3)
    if settings.network != "gan":  # weights of 0.02 in so narrow a pair let hardly any signal pass
        with torch.no_grad():
            for network in ours.method.networks.values():
                for parameter in network.parameters():
                    parameter.mul_(5 if parameter.dim() > 1 else 1)
    before = weights(ours)
    # Layers alone: what stands around them, classes and the range of greys, is written out here.
    generator, discriminator = (
        nn.Sequential(*copy.deepcopy(network).children())
        for network in ours.method.networks.values()
    )
    optimizers = []
    for layers, lr in (
        (generator, settings.lr_generator),
        (discriminator, settings.lr_discriminator),
    ):
        parameters, betas = layers.parameters(), (settings.betas[0], settings.betas[1])
        optimizers.append(
            torch.optim.SGD(parameters, lr, settings.momentum)
            if settings.optimizer == "sgd"
            else torch.optim.Adam(parameters, lr, betas)
        )
    losses_of_discriminator, losses_of_generator = PAPERS[name]
    every = settings.penalty_every
    noise, examples = seeds.generator(3, "noise"), shown(8 * steps, seed=3)
    pixels = data["images"] / 255
    if settings.generator_output == "tanh":
        pixels = data["images"] / 127.5 - 1

    def judge(images: Tensor) -> Tensor:
        if settings.classes == "concatenated":
            hot = one_hot(labels.repeat(len(images) // 8), 10).float()
            if settings.network == "gan":
                images = torch.cat([images.flatten(1), hot], 1)
            else:
                planes = hot.view(*hot.shape, 1, 1).repeat(1, 1, 28, 28)
                images = torch.cat([images, planes], 1)
        logits: Tensor = discriminator(images).flatten(1)
        return logits

    plain = []
    for iteration in range(every + 1):
        chosen = next(examples)
        for step in range(steps):
            of_step = chosen[8 * step : 8 * step + 8]
            real, labels = pixels[of_step], data["labels"][of_step]
            if settings.latent == "uniform":
                z = torch.rand(8, settings.latent_dim, generator=noise) * 2 - 1
            else:
                z = torch.randn(8, settings.latent_dim, generator=noise)
            if settings.classes != "none":
                z = torch.cat([z, one_hot(labels, 10)], 1)
            fake = generator(z)
            before_penalty = noise.get_state()
            losses = losses_of_discriminator(judge, real, fake.detach(), labels, noise)
            if every > 1:
                # Karras 2020, appendix B: at iterations 0, k, 2k, … and k times as strong.
                full = iteration % every == 0
                losses["penalty"] = every * losses["penalty"] if full else torch.tensor(0.0)
                if not full:
                    noise.set_state(before_penalty)
            descend(optimizers[1], losses)
        of_generator = losses_of_generator(judge, fake, real, labels)
        descend(optimizers[0], of_generator)
        plain.append(losses | of_generator)
    rows = dict(zip(ours.method.measures, ours.advance(every + 1).T, strict=True))
    for measure in plain[0].keys() - {"unmeasured"}:
        expected = torch.stack([losses[measure].detach() for losses in plain])
        torch.testing.assert_close(rows[measure], expected, rtol=1e-4, atol=1e-5)
    plain_ones = {"generator": generator, "discriminator": discriminator}
    for kind, network in ours.method.networks.items():
        found = network.state_dict()
        for key, value in plain_ones[kind].state_dict().items():
            if changes:
                off, way = found[key] - value, value - before[f"{kind}.{key}"]
                assert off.double().norm() <= 1e-3 * way.double().norm() + 1e-7, f"{kind}.{key}"
            else:
                # Adam's first steps divide tiny gradients by themselves: bounded by their length.
                torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4)


def descend(optimizer: torch.optim.Optimizer, losses: Parts) -> None:
    optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["gan", "hinge_sn"])
def test_the_means_are_of_the_answers_that_the_discriminator_learnt_from(
    name: str, data: dict[str, Tensor]
) -> None:
    engine = begin(small(name), data, seed=3)
    generator, discriminator = copy.deepcopy(list(engine.method.networks.values()))
    real = data["images"][next(shown(4, seed=3))] / 127.5 - 1
    fake = generator(torch.randn(4, 100, generator=seeds.generator(3, "noise")))
    answers = discriminator(torch.cat([real, fake]))
    rows = dict(zip(engine.method.measures, engine.advance(1)[0], strict=True))
    for of, logits in zip(("real", "fake"), answers.chunk(2), strict=True):
        if name == "gan":
            torch.testing.assert_close(rows[f"{of}_probability"], logits.sigmoid().mean())
        else:
            torch.testing.assert_close(rows[f"{of}_logit"], logits.mean())


@pytest.mark.parametrize("steps", [1, 3])
def test_each_discriminator_step_updates_the_discriminator(
    steps: int, data: dict[str, Tensor]
) -> None:
    engine = begin(small("gan", discriminator_steps=steps), data)
    engine.advance(2)
    done = {name: int(optimizer.state()["step"]) for name, optimizer in engine.optimizers.items()}
    assert done == {"discriminator": 2 * steps, "generator": 2}


@pytest.mark.parametrize(("steps", "per_epoch"), [(1, 6), (3, 2), (5, 1)])
def test_an_epoch_shows_each_image_at_most_once_in_a_step_of_its_own(
    steps: int, per_epoch: int, data: dict[str, Tensor]
) -> None:
    numbered = torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1).expand(50, 1, 28, 28)
    engine = begin(small("gan", discriminator_steps=steps, batch_size=8), {"images": numbered})
    assert engine.iterations_per_epoch == per_epoch
    seen: list[list[int]] = []

    def sees(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) == 16:  # real and fake as one batch: the discriminator learns
            levels = (inputs[0][:8, 0, 0, 0] + 1) * 127.5
            seen.append(levels.round().int().tolist())

    engine.method.networks["discriminator"].register_forward_pre_hook(sees)
    engine.advance(2 * per_epoch)
    assert len(seen) == 2 * per_epoch * steps
    first, second = torch.tensor(seen).chunk(2)
    for epoch in (first, second):
        assert len(epoch.unique()) == epoch.numel() == 8 * steps * per_epoch
    assert not torch.equal(first, second)


def test_the_moving_average_follows_its_equation(data: dict[str, Tensor]) -> None:
    engine = begin(small("gan", ema_decay=0.75), data)
    generator, average = engine.method.networks["generator"], engine.averages["generator"]
    expected = [p.detach().clone() for p in generator.parameters()]
    for _ in range(3):
        engine.advance(1)
        expected = [
            0.75 * old + 0.25 * new
            for old, new in zip(expected, generator.parameters(), strict=True)
        ]
    torch.testing.assert_close(list(average.parameters()), expected)
    # BatchNorm's running statistics are averages already.
    ours, theirs = dict(average.named_buffers()), dict(generator.named_buffers())
    assert theirs["1.running_mean"].any() and same(ours, theirs)


BFLOAT16 = {
    **{name: small(name) for name in RECIPES},
    "penalties on all that changes images": small("r3gan", **CHANGED),
    "a gradient penalty on all that changes images": small("wgan_gp", **CHANGED),
    "penalties now and then": small("r3gan", penalty_every=2),
}


@pytest.mark.parametrize("name", BFLOAT16)
def test_bfloat16_trains_and_repeats(name: str, data: dict[str, Tensor]) -> None:
    runs = [begin(BFLOAT16[name], data, precision="bfloat16").advance(3) for _ in range(2)]
    assert torch.equal(*runs) and bool(runs[0].isfinite().all())
    exact = begin(BFLOAT16[name], data).advance(3)
    assert not torch.equal(runs[0], exact)
    torch.testing.assert_close(runs[0], exact, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["gan", "r3gan"])
def test_all_that_the_discriminator_sees_is_changed_and_nothing_else(
    name: str, precision: str, data: dict[str, Tensor]
) -> None:
    """Real and fake images, in the generator's step too, in full precision."""
    seen: dict[str, list[Tensor]] = {}
    for kind, changes in {"plain": {}, "shifted": {"augment": ["translation"]}}.items():
        engine = begin(small(name, **changes), data, precision=precision)
        networks_ = engine.method.networks
        networks_["discriminator"].register_forward_pre_hook(
            lambda _, inputs, kind=kind: seen.setdefault(kind, []).append(inputs[0].detach())
        )
        engine.advance(1)
    assert [len(images) for images in seen["plain"]] == [len(images) for images in seen["shifted"]]
    for plain, shifted in list(zip(*seen.values(), strict=True))[:1]:  # then weights differ
        assert plain.dtype == shifted.dtype == torch.float32
        for before, after in zip(plain[:, 0], shifted[:, 0], strict=True):
            assert any(
                torch.equal(moved(before, down, right), after)
                for down in range(-4, 5)
                for right in range(-4, 5)
            )
        assert not torch.equal(plain[:4], shifted[:4]) and not torch.equal(plain[4:], shifted[4:])
    last = seen["shifted"][-2 if name == "r3gan" else -1]
    assert last.dtype == torch.float32
    assert (last[:, 0, [0, -1]] == 0).all(-1).any()  # a grey row has come in at an edge


@pytest.mark.parametrize("name", ["gan", "r3gan", "cgan", "gan_k3"])
def test_half_of_the_real_images_are_seen_as_in_a_mirror_others_in_each_epoch(
    name: str, data: dict[str, Tensor]
) -> None:
    """Each with its own label, and the generated ones as they are."""
    height, width = torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij")
    number = torch.arange(50).view(50, 1, 1, 1)
    images = (number + 50 * (width > 13) + 100 * (height > 13)).to(torch.uint8)  # four quarters
    engine = begin(small(name, horizontal_flips=True), {**data, "images": images})
    batches: list[Mapping[str, Tensor]] = []
    iterate = engine.method.iterate

    def spied(engine: Engine, batch: Mapping[str, Tensor]) -> Any:
        batches.append(batch)
        return iterate(engine, batch)

    engine.method.iterate = spied  # type: ignore[method-assign]
    seen: list[Tensor] = []
    engine.method.networks["discriminator"].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].detach())
    )
    epochs = []
    for _ in range(8):
        engine.advance(engine.iterations_per_epoch)
        flipped = {}
        for batch in batches:
            for image, label in zip(batch["images"], batch["labels"], strict=True):
                number = int(image.min())
                assert label == data["labels"][number]
                flipped[number] = not torch.equal(image, images[number])
                assert not flipped[number] or torch.equal(image, images[number].flip(-1))
        assert len(flipped) == sum(len(batch["images"]) for batch in batches)
        patterns = {tuple(flipped[int(i.min())] for i in batch["images"]) for batch in batches}
        assert len(patterns) > 1, "each batch has coins of its own"
        epochs.append(flipped)
        batches.clear()
    every = [flip for flipped in epochs for flip in flipped.values()]
    assert 0.4 < sum(every) / len(every) < 0.6
    each = [{flipped[n] for flipped in epochs if n in flipped} for n in range(50)]
    assert each.count({False, True}) > 40
    engine.advance(1)
    size, last = engine.recipe.batch_size, networks.from_uint8(batches[0]["images"])
    assert any(torch.equal(images[:size], last[-size:]) for images in seen[-3:])


def moved(image: Tensor, down: int, right: int) -> Tensor:
    """With grey where nothing comes from."""
    padded = nn.functional.pad(image, (4, 4, 4, 4))
    return padded[4 - down : 32 - down, 4 - right : 32 - right]


def test_instance_noise_is_as_strong_as_the_recipe_says(data: dict[str, Tensor]) -> None:
    grey = {"images": torch.full((50, 1, 28, 28), 128, dtype=torch.uint8)}
    engine = begin(small("gan", instance_noise=0.5), grey)
    seen: list[Tensor] = []
    engine.method.networks["discriminator"].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].detach())
    )
    engine.advance(1)
    noise = seen[0][:4] - (128 / 127.5 - 1)
    assert noise.mean().abs() < 0.03
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)
    generators = begin(small("gan"), grey).method.networks["generator"]
    z = torch.randn(4, 100, generator=seeds.generator(0, "noise"))
    for images in (seen[0][4:], seen[1]):  # of the discriminator's step and of the generator's
        assert (images - generators(z)).std().item() == pytest.approx(0.5, rel=0.05)
    assert not torch.equal(seen[0][4:], seen[1])


@pytest.mark.parametrize(
    "change",
    [
        {"label_smoothing": 0.1},
        {"horizontal_flips": True},
        {"instance_noise": 0.1},
        {"augment": ["translation"]},
        {"augment": ["cutout"]},
        {"penalties": {"r1": 1.0}},
        {"penalties": {"r1": 1.0}, "penalty_every": 2},
        {"latent": "uniform"},
    ],
    ids=str,
)
def test_an_option_changes_the_training_and_moves_no_other_stream(
    change: dict[str, object], data: dict[str, Tensor]
) -> None:
    without, with_it = begin(small("gan"), data), begin(small("gan", **change), data)
    losses = [engine.advance(3)[:, :2] for engine in (without, with_it)]
    assert not torch.equal(*losses)
    for name in ("generator", "discriminator"):
        before, after = (engine.method.networks[name] for engine in (without, with_it))
        assert not same(before.state_dict(), after.state_dict())
    if "latent" not in change:
        assert torch.equal(without.state()["noise"], with_it.state()["noise"])
    changes_images = "augment" in change or "instance_noise" in change
    assert torch.equal(without.state()["augment"], with_it.state()["augment"]) != changes_images


def test_a_longer_training_begins_as_the_shorter_one(data: dict[str, Tensor]) -> None:
    """Nothing depends on how many epochs there are: the state of a shorter one may go on."""
    runs = [begin(small("gan", epochs=epochs, **CHANGED), data).advance(4) for epochs in (1, 100)]
    assert torch.equal(*runs)


@pytest.mark.parametrize("name", ["gan", "infogan_lucic", *CONDITIONAL])
def test_progress_pictures_are_of_the_same_points_all_along(
    name: str, data: dict[str, Tensor]
) -> None:
    labels = data["labels"].where(data["labels"] != 3, 4)
    engine = begin(small(name), {**data, "labels": labels})
    engine.advance(3)
    images = engine.method.draw(engine, engine.first(1))
    rows, columns = (9, 10) if name in CONDITIONAL else (5, 5)
    assert images.shape == (rows, columns, 1, 28, 28) and images.dtype == torch.uint8
    generator = engine.method.networks["generator"].eval()
    assert isinstance(generator, networks.Generator)
    stream = seeds.generator(0, "pictures")
    if name in CONDITIONAL:  # a row a class, of the same points
        z = networks.latent(generator, columns, generator=stream)
        there = [label for label in range(10) if label != 3]
        expected = [generator(z, torch.full((columns,), label)) for label in there]
    else:
        z = networks.latent(generator, rows * columns, generator=stream)
        expected = list(generator(z).unflatten(0, (rows, columns)))
    off = images.int() - to_uint8(torch.stack(expected)).int()
    assert off.abs().max() <= 1  # batches of other sizes round otherwise


class TestWhatCannotBeIsOneLine:
    @pytest.mark.parametrize(
        ("steps", "batch_size", "message"),
        [
            (1, 64, "batch_size: 64 is more than the 50 training images"),
            (5, 16, "batch_size: 5 times 16 is more than the 50 training images"),
        ],
    )
    def test_more_in_an_iteration_than_there_are(
        self, steps: int, batch_size: int, message: str, data: dict[str, Tensor]
    ) -> None:
        with pytest.raises(GanvasError, match=f"^{message}$"):
            begin(small("gan", discriminator_steps=steps, batch_size=batch_size), data)

    @pytest.mark.parametrize("name", CONDITIONAL)
    def test_classes_of_images_without_labels(self, name: str, data: dict[str, Tensor]) -> None:
        message = f"^classes: {COMMITTED[name].classes} needs labels, and these images have none$"
        with pytest.raises(GanvasError, match=message):
            begin(small(name), {"images": data["images"]})

    @pytest.mark.parametrize("objective", ["hinge", "relativistic", "wasserstein"])
    def test_smooth_labels_of_an_objective_without_targets(
        self, objective: str, data: dict[str, Tensor]
    ) -> None:
        with pytest.raises(GanvasError, match=r"^label_smoothing: 0.1.* no target to smooth") as it:
            begin(small("gan", objective=objective, label_smoothing=0.1), data)
        assert objective in str(it.value) and "\n" not in str(it.value)


def test_a_state_that_lacks_something_changes_nothing(data: dict[str, Tensor]) -> None:
    engine = begin(small("gan"), data)
    before = weights(engine)
    other = begin(small("gan"), data, seed=1).state()
    del other["noise"]
    with pytest.raises(KeyError, match="noise"):
        engine.restore(other)
    assert same(before, weights(engine))


def test_uint8_covers_the_whole_range() -> None:
    levels = torch.arange(256) / 127.5 - 1
    assert torch.equal(to_uint8(levels), torch.arange(256, dtype=torch.uint8))
    assert to_uint8(torch.tensor([-2.0, 2.0])).tolist() == [0, 255]


def test_every_objective_penalty_and_augmentation_is_trained_here() -> None:
    used = [*OPTIONS.values(), *BFLOAT16.values()]
    for kind in ("objective", "penalties", "augment", "optimizer"):
        named = {n for each in used for n in parts.named(each.model_dump(), kind)}
        assert named == set(parts.names(kind))


def test_each_kind_of_iteration_has_a_graph_of_its_own(data: dict[str, Tensor]) -> None:
    """What stands for a graph does here what it did when it was recorded, as a graph must."""
    recipe = OPTIONS["penalties now and then"]
    eager, graphed = begin(recipe, data), begin(recipe, data)

    class Recorded:
        def __init__(self) -> None:
            self.full = graphed.full

        def replay(self) -> None:
            graphed.full = self.full
            graphed._iterate()

    graphed._warm_up = lambda: None  # type: ignore[method-assign]
    graphed._record = Recorded  # type: ignore[method-assign, assignment]
    graphed._capturing = True
    for iterations in (3, 7):
        assert torch.equal(graphed.advance(iterations), eager.advance(iterations))
    penalties = eager.advance(8)[:, eager.method.measures.index("penalty")]
    assert penalties.nonzero().flatten().tolist() == [2, 6]  # iterations 12 and 16
    assert graphed.captured


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
@pytest.mark.parametrize("name", OPTIONS)
def test_the_cuda_graph_replays_the_eager_iteration(name: str, data: dict[str, Tensor]) -> None:
    device = devices.choose("cuda")
    graphed = begin(OPTIONS[name], data, 0, device)
    replayed = graphed.advance(13)
    eager = Engine(OPTIONS[name], data, 0, device, capture=False)
    assert graphed.captured
    assert torch.equal(replayed, eager.advance(13))
    assert same(weights(graphed), weights(eager))
