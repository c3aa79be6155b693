"""Each objective is its paper's formula, and stays finite where the formula would not."""

import math
from collections.abc import Callable
from statistics import fmean
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ganvas import parts

OBJECTIVES: dict[str, ModuleType] = {
    name: parts.load("objective", name) for name in parts.names("objective")
}
SMOOTHED = ("least_squares", "minimax", "non_saturating")
SCALES = (0.0, 1e-3, 1.0, 10.0)  # of the logits; the formulas as they stand overflow further out


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def log_d(logits: list[float]) -> float:
    """E[log D]."""
    return fmean(math.log(sigmoid(logit)) for logit in logits)


def log_not_d(logits: list[float]) -> float:
    """E[log(1 - D)], where 1 - D(l) = D(-l) keeps the digits of a D near 1."""
    return fmean(math.log(sigmoid(-logit)) for logit in logits)


# Of the discriminator: (real, fake, target of real). The papers' D is the sigmoid in Goodfellow's,
# the logit in all others.
DISCRIMINATORS: dict[str, Callable[[list[float], list[float], float], float]] = {
    "non_saturating": lambda r, f, t: -(t * log_d(r) + (1 - t) * log_not_d(r) + log_not_d(f)) / 2,
    "minimax": lambda r, f, t: -(t * log_d(r) + (1 - t) * log_not_d(r) + log_not_d(f)) / 2,
    "least_squares": lambda r, f, t: (
        fmean((d - t) ** 2 for d in r) / 2 + fmean(d**2 for d in f) / 2
    ),
    "hinge": lambda r, f, _: fmean(max(0, 1 - d) for d in r) + fmean(max(0, 1 + d) for d in f),
    "wasserstein": lambda r, f, _: fmean(f) - fmean(r),
    "relativistic": lambda r, f, _: fmean(
        math.log1p(math.exp(-(d - e))) for d, e in zip(r, f, strict=True)
    ),
}
GENERATORS: dict[str, Callable[[list[float], list[float]], float]] = {
    "non_saturating": lambda _, f: -log_d(f),
    "minimax": lambda _, f: log_not_d(f),
    "least_squares": lambda _, f: fmean((d - 1) ** 2 for d in f) / 2,
    "hinge": lambda _, f: -fmean(f),
    "wasserstein": lambda _, f: -fmean(f),
    "relativistic": lambda r, f: fmean(
        math.log1p(math.exp(-(e - d))) for d, e in zip(r, f, strict=True)
    ),
}


def random_logits(
    seed: int, scale: float, count: int = 64, dtype: torch.dtype = torch.float32
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, generator=generator, dtype=torch.float64).mul(scale).to(dtype)


def generator_loss(objective: ModuleType, real: Tensor, fake: Tensor) -> Tensor:
    loss: Tensor = objective.generator_loss(fake, *([real] if objective.PAIRED else []))
    return loss


def test_each_has_its_formula_here() -> None:
    assert OBJECTIVES.keys() == DISCRIMINATORS.keys() == GENERATORS.keys()


@pytest.mark.parametrize("name", OBJECTIVES)
class TestEach:
    @pytest.mark.parametrize("scale", SCALES)
    def test_is_the_papers_formula(self, name: str, scale: float) -> None:
        real, fake = (random_logits(seed, scale, dtype=torch.float64) for seed in (1, 2))
        numbers = real.tolist(), fake.tolist()
        loss = OBJECTIVES[name].discriminator_loss(real, fake)
        assert loss.item() == pytest.approx(DISCRIMINATORS[name](*numbers, 1), rel=1e-12)
        loss = generator_loss(OBJECTIVES[name], real, fake)
        assert loss.item() == pytest.approx(GENERATORS[name](*numbers), rel=1e-12)

    @pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0])
    def test_gradient_is_that_of_finite_differences(self, name: str, scale: float) -> None:
        objective = OBJECTIVES[name]
        logits = tuple(
            random_logits(seed, scale, 16, torch.float64).requires_grad_() for seed in (3, 4)
        )
        assert torch.autograd.gradcheck(objective.discriminator_loss, logits)
        real, fake = logits
        assert torch.autograd.gradcheck(
            lambda fake: generator_loss(objective, real.detach(), fake), fake
        )

    @pytest.mark.parametrize("logit", [-1000.0, -100.0, 100.0, 1000.0])
    def test_is_finite_at_the_ends_with_its_gradient(self, name: str, logit: float) -> None:
        objective = OBJECTIVES[name]
        real = torch.full((4,), logit, requires_grad=True)
        fake = torch.full((4,), -logit, requires_grad=True)
        losses = objective.discriminator_loss(real, fake), generator_loss(objective, real, fake)
        gradients = torch.autograd.grad(losses[0] + losses[1], (real, fake), allow_unused=True)
        assert all(loss.isfinite() for loss in losses)
        assert all(g is None or g.isfinite().all() for g in gradients)

    def test_lower_is_better(self, name: str) -> None:
        """What each network wants: D to tell the two apart, G that it cannot."""
        objective, apart = OBJECTIVES[name], torch.full((4,), 0.5)
        told, mistaken = (
            objective.discriminator_loss(sign * apart, -sign * apart) for sign in (1, -1)
        )
        assert told < mistaken
        caught, believed = (
            generator_loss(objective, -sign * apart, sign * apart) for sign in (-1, 1)
        )
        assert believed < caught


class TestSmoothing:
    @pytest.mark.parametrize("name", SMOOTHED)
    @pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
    def test_moves_the_target_of_real_images_alone(self, name: str, smoothing: float) -> None:
        real, fake = (random_logits(seed, 3, dtype=torch.float64) for seed in (5, 6))
        loss = OBJECTIVES[name].discriminator_loss(real, fake, smoothing=smoothing)
        expected = DISCRIMINATORS[name](real.tolist(), fake.tolist(), 1 - smoothing)
        assert loss.item() == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("name", SMOOTHED)
    def test_gradient_is_that_of_finite_differences(self, name: str) -> None:
        logits = tuple(
            random_logits(seed, 2, 16, torch.float64).requires_grad_() for seed in (7, 8)
        )
        assert torch.autograd.gradcheck(
            lambda real, fake: OBJECTIVES[name].discriminator_loss(real, fake, smoothing=0.2),
            logits,
        )

    @pytest.mark.parametrize("name", SMOOTHED)
    def test_none_is_the_loss_without_to_the_byte(self, name: str) -> None:
        logits = random_logits(1, 3), random_logits(2, 3)
        losses = [
            OBJECTIVES[name].discriminator_loss(*logits, **keywords)
            for keywords in ({}, {"smoothing": 0.0})
        ]
        assert torch.equal(*losses)

    @pytest.mark.parametrize("logit", [-1000.0, 1000.0])
    def test_is_finite_at_the_ends(self, logit: float) -> None:
        real = torch.full((4,), logit, requires_grad=True)
        loss = OBJECTIVES["non_saturating"].discriminator_loss(real, real.detach(), smoothing=0.1)
        # 900 or 100 of the real term, 0 or 1000 of the fake one
        assert loss.item() == pytest.approx((900 if logit < 0 else 1100) / 2)
        (gradient,) = torch.autograd.grad(loss, real)
        assert gradient.isfinite().all()

    @pytest.mark.parametrize("name", sorted(OBJECTIVES.keys() - set(SMOOTHED)))
    def test_is_refused_where_real_images_have_no_target(self, name: str) -> None:
        with pytest.raises(TypeError, match="smoothing"):
            OBJECTIVES[name].discriminator_loss(torch.zeros(2), torch.zeros(2), smoothing=0.1)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 10.0, 100.0, 1e4])
class TestNonSaturatingIsTorchsCrossEntropy:
    """Further out than the formula itself can be computed."""

    def test_discriminator_loss(self, scale: float) -> None:
        real, fake = random_logits(1, scale), random_logits(2, scale)
        expected = (cross_entropy(real, 1) + cross_entropy(fake, 0)) / 2
        found = OBJECTIVES["non_saturating"].discriminator_loss(real, fake)
        torch.testing.assert_close(found, expected)

    def test_generator_loss(self, scale: float) -> None:
        fake = random_logits(3, scale)
        found = OBJECTIVES["non_saturating"].generator_loss(fake)
        torch.testing.assert_close(found, cross_entropy(fake, 1))

    def test_gradients(self, scale: float) -> None:
        objective = OBJECTIVES["non_saturating"]
        real, fake = (random_logits(seed, scale).requires_grad_() for seed in (1, 2))
        mine = [
            *torch.autograd.grad(objective.discriminator_loss(real, fake), (real, fake)),
            *torch.autograd.grad(objective.generator_loss(fake), fake),
        ]
        loss = (cross_entropy(real, 1) + cross_entropy(fake, 0)) / 2
        theirs = [
            *torch.autograd.grad(loss, (real, fake)),
            *torch.autograd.grad(cross_entropy(fake, 1), fake),
        ]
        for gradient, expected in zip(mine, theirs, strict=True):
            torch.testing.assert_close(gradient, expected)


def cross_entropy(logits: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


class TestByHand:
    @pytest.mark.parametrize("name", ["non_saturating", "relativistic"])
    def test_undecided_discriminator_pays_log_2_and_so_does_the_generator(self, name: str) -> None:
        zeros = torch.zeros(5)
        loss = OBJECTIVES[name].discriminator_loss(zeros, zeros)
        assert loss.item() == pytest.approx(0.693147)
        assert generator_loss(OBJECTIVES[name], zeros, zeros).item() == pytest.approx(0.693147)

    def test_discriminators_is_the_mean_of_its_real_and_its_fake_term(self) -> None:
        """However many images each has."""
        real, fake = torch.full((3,), -1000.0), torch.full((9,), -1000.0)
        loss = OBJECTIVES["non_saturating"].discriminator_loss
        assert loss(real, fake).item() == 500  # (1000 + 0) / 2
        assert loss(-real, -fake).item() == 500  # (0 + 1000) / 2

    def test_a_pair_counts_by_the_difference_of_its_logits_alone(self) -> None:
        real, fake = random_logits(1, 2, dtype=torch.float64), random_logits(2, 2).double()
        objective = OBJECTIVES["relativistic"]
        moved = objective.discriminator_loss(real + 5, fake + 5)
        torch.testing.assert_close(moved, objective.discriminator_loss(real, fake))
        paired_otherwise = objective.discriminator_loss(real, fake.flip(0))
        assert not torch.isclose(paired_otherwise, objective.discriminator_loss(real, fake))

    def test_generators_gradient_does_not_vanish_while_the_discriminator_is_sure(self) -> None:
        gradients = {}
        for name in ("non_saturating", "minimax"):
            fake = torch.full((4,), -100.0, requires_grad=True)
            (gradients[name],) = torch.autograd.grad(OBJECTIVES[name].generator_loss(fake), fake)
        torch.testing.assert_close(gradients["non_saturating"], torch.full((4,), -0.25))
        assert gradients["minimax"].abs().max() < 1e-40

    @pytest.mark.parametrize("name", [n for n, o in OBJECTIVES.items() if o.PROBABILITY])
    def test_a_logits_sigmoid_is_the_probability_that_an_image_is_real(self, name: str) -> None:
        """Where three images in four are, the best D(x) is 3/4: Goodfellow 2014, proposition 1."""
        logit = torch.tensor([math.log(3)], dtype=torch.float64, requires_grad=True)
        nothing = torch.zeros(1, dtype=torch.float64)
        loss = OBJECTIVES[name].discriminator_loss
        (as_real,) = torch.autograd.grad(loss(logit, nothing), logit)
        (as_fake,) = torch.autograd.grad(loss(nothing, logit), logit)
        assert (3 * as_real + as_fake).item() == pytest.approx(0, abs=1e-12)


def test_which_of_them_speak_of_probabilities_and_which_of_pairs() -> None:
    assert {name for name, o in OBJECTIVES.items() if o.PROBABILITY} == {
        *("minimax", "non_saturating")
    }
    assert {name for name, o in OBJECTIVES.items() if o.PAIRED} == {"relativistic"}
