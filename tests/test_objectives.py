"""The losses are binary cross entropy on logits, and stay so at the ends."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ganvas.training.objectives import non_saturating


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def random_logits(seed: int, scale: float, count: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, generator=generator) * scale


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 10.0, 100.0, 1e4])
class TestEqualTorchs:
    def test_discriminator_loss(self, scale: float) -> None:
        real, fake = random_logits(1, scale), random_logits(2, scale)
        expected = (cross_entropy(real, 1) + cross_entropy(fake, 0)) / 2
        torch.testing.assert_close(non_saturating.discriminator_loss(real, fake), expected)

    def test_generator_loss(self, scale: float) -> None:
        fake = random_logits(3, scale)
        torch.testing.assert_close(non_saturating.generator_loss(fake), cross_entropy(fake, 1))

    def test_gradients(self, scale: float) -> None:
        real, fake = (random_logits(seed, scale).requires_grad_() for seed in (1, 2))
        mine = [
            *torch.autograd.grad(non_saturating.discriminator_loss(real, fake), (real, fake)),
            *torch.autograd.grad(non_saturating.generator_loss(fake), fake),
        ]
        loss = (cross_entropy(real, 1) + cross_entropy(fake, 0)) / 2
        theirs = [
            *torch.autograd.grad(loss, (real, fake)),
            *torch.autograd.grad(cross_entropy(fake, 1), fake),
        ]
        for gradient, expected in zip(mine, theirs, strict=True):
            torch.testing.assert_close(gradient, expected)


class TestByHand:
    def test_undecided_discriminator_pays_log_2_and_so_does_the_generator(self) -> None:
        zeros = torch.zeros(5)
        assert non_saturating.discriminator_loss(zeros, zeros).item() == pytest.approx(0.693147)
        assert non_saturating.generator_loss(zeros).item() == pytest.approx(0.693147)

    def test_discriminators_is_the_mean_of_its_real_and_its_fake_term(self) -> None:
        """However many images each has."""
        real, fake = torch.full((3,), -1000.0), torch.full((9,), -1000.0)
        assert non_saturating.discriminator_loss(real, fake).item() == 500  # (1000 + 0) / 2
        assert non_saturating.discriminator_loss(-real, -fake).item() == 500  # (0 + 1000) / 2

    @pytest.mark.parametrize("logit", [-1000.0, -100.0, 100.0, 1000.0])
    def test_is_finite_at_the_ends_with_its_gradient(self, logit: float) -> None:
        real = torch.full((4,), logit, requires_grad=True)
        fake = torch.full((4,), -logit, requires_grad=True)
        losses = non_saturating.discriminator_loss(real, fake), non_saturating.generator_loss(fake)
        for loss in losses:
            assert loss.isfinite()
        gradients = torch.autograd.grad(losses[0] + losses[1], (real, fake))
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert losses[0].item() == pytest.approx(max(-logit, 0), abs=1e-40)
        assert losses[1].item() == pytest.approx(max(logit, 0), abs=1e-40)

    def test_generators_gradient_does_not_vanish_while_the_discriminator_is_sure(self) -> None:
        fake = torch.full((4,), -100.0, requires_grad=True)
        (gradient,) = torch.autograd.grad(non_saturating.generator_loss(fake), fake)
        torch.testing.assert_close(gradient, torch.full((4,), -0.25))
        # The saturating loss E[log(1 - D)] has none left there.
        (saturating,) = torch.autograd.grad(-cross_entropy(fake, 0), fake)
        assert saturating.abs().max() < 1e-40
