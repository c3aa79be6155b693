"""Both pairs are the tutorials', layer by layer."""

import pytest
import torch
from torch import nn

from ganvas import networks, parts
from ganvas.errors import GanvasError

PAIRS = ("gan", "dcgan")


def describe(layer: nn.Module) -> tuple[object, ...]:
    """A layer's kind and all of its settings that change what it computes."""
    match layer:
        case nn.Linear():
            return ("linear", layer.in_features, layer.out_features, layer.bias is not None)
        case nn.ConvTranspose2d() | nn.Conv2d():
            kind = "up" if isinstance(layer, nn.ConvTranspose2d) else "down"
            assert layer.groups == 1 and layer.dilation == (1, 1)
            assert layer.output_padding == (0, 0)
            square = (layer.kernel_size, layer.stride, layer.padding)
            assert all(len(set(sides)) == 1 for sides in square)
            sides = tuple(sides[0] for sides in square)
            return (kind, layer.in_channels, layer.out_channels, *sides, layer.bias is not None)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            assert layer.affine and layer.track_running_stats
            return ("norm", layer.num_features, layer.eps, layer.momentum)
        case nn.LeakyReLU():
            return ("leaky", layer.negative_slope)
        case nn.ReLU():
            return ("relu",)
        case nn.Tanh():
            return ("tanh",)
        case nn.Flatten() | nn.Unflatten():
            return ("shape",)
    raise AssertionError(f"{layer} has no place in these networks")


def layers(network: nn.Module) -> list[tuple[object, ...]]:
    described = [describe(layer) for layer in network.children()]
    return [layer for layer in described if layer != ("shape",)]


def norm(features: int) -> tuple[object, ...]:
    return ("norm", features, 1e-5, 0.1)  # PyTorch's defaults


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


class TestGan:
    def test_generator(self) -> None:
        generator, _ = networks.build("gan", 100, 28, seed=0)
        assert layers(generator) == [
            ("linear", 100, 256, True),
            norm(256),
            ("leaky", 0.2),
            ("linear", 256, 512, True),
            norm(512),
            ("leaky", 0.2),
            ("linear", 512, 1024, True),
            norm(1024),
            ("leaky", 0.2),
            ("linear", 1024, 784, True),
            ("tanh",),
        ]

    def test_discriminator(self) -> None:
        _, discriminator = networks.build("gan", 100, 28, seed=0)
        assert layers(discriminator) == [
            ("linear", 784, 512, True),
            ("leaky", 0.2),
            ("linear", 512, 256, True),
            ("leaky", 0.2),
            ("linear", 256, 1, True),
        ]

    def test_has_as_many_weights_as_the_layers_add_up_to(self) -> None:
        generator, discriminator = networks.build("gan", 100, 28, seed=0)
        linear = (100 + 1) * 256 + (256 + 1) * 512 + (512 + 1) * 1024 + (1024 + 1) * 784
        assert parameters(generator) == linear + 2 * (256 + 512 + 1024) == 1_489_936
        linear = (784 + 1) * 512 + (512 + 1) * 256 + (256 + 1) * 1
        assert parameters(discriminator) == linear == 533_505

    @pytest.mark.parametrize("side", [8, 28, 64])
    def test_follows_the_image_size(self, side: int) -> None:
        generator, discriminator = networks.build("gan", 7, side, seed=0)
        images = generator(torch.randn(2, 7))
        assert images.shape == (2, 1, side, side)
        assert discriminator(images).shape == (2,)


class TestDcgan:
    def test_generator(self) -> None:
        generator, _ = networks.build("dcgan", 100, 28, seed=0)
        assert layers(generator) == [
            ("up", 100, 128, 4, 2, 0, False),
            norm(128),
            ("relu",),
            ("up", 128, 64, 3, 2, 1, False),
            norm(64),
            ("relu",),
            ("up", 64, 32, 4, 2, 1, False),
            norm(32),
            ("relu",),
            ("up", 32, 1, 4, 2, 1, False),
            ("tanh",),
        ]

    def test_discriminator(self) -> None:
        _, discriminator = networks.build("dcgan", 100, 28, seed=0)
        assert layers(discriminator) == [
            ("down", 1, 32, 4, 2, 1, False),
            ("leaky", 0.2),
            ("down", 32, 64, 4, 2, 1, False),
            norm(64),
            ("leaky", 0.2),
            ("down", 64, 128, 3, 2, 1, False),
            norm(128),
            ("leaky", 0.2),
            ("down", 128, 1, 4, 1, 0, False),
        ]

    def test_sides_run_4_7_14_28_and_back(self) -> None:
        generator, discriminator = networks.build("dcgan", 100, 28, seed=0)
        sides: dict[str, list[int]] = {"up": [], "down": []}
        for network in (generator, discriminator):
            for layer in network.children():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    kind = str(describe(layer)[0])
                    layer.register_forward_hook(
                        lambda _, __, output, kind=kind: sides[kind].append(output.shape[-1])
                    )
        discriminator(generator(torch.randn(2, 100)))
        assert sides == {"up": [4, 7, 14, 28], "down": [14, 7, 4, 1]}

    def test_has_as_many_weights_as_the_layers_add_up_to(self) -> None:
        generator, discriminator = networks.build("dcgan", 100, 28, seed=0)
        kernels = 100 * 128 * 16 + 128 * 64 * 9 + 64 * 32 * 16 + 32 * 1 * 16
        assert parameters(generator) == kernels + 2 * (128 + 64 + 32) == 312_256
        kernels = 1 * 32 * 16 + 32 * 64 * 16 + 64 * 128 * 9 + 128 * 1 * 16
        assert parameters(discriminator) == kernels + 2 * (64 + 128) == 109_440

    @pytest.mark.parametrize("which", [0, 1])
    def test_weights_begin_at_n_0_002_and_scales_at_n_1_002(self, which: int) -> None:
        pairs = [networks.build("dcgan", 100, 28, seed=seed)[which] for seed in range(5)]
        for layers_of_seeds in zip(*(pair.children() for pair in pairs), strict=True):
            if not hasattr(layers_of_seeds[0], "weight"):
                continue
            weights = torch.cat([layer.weight.detach().flatten() for layer in layers_of_seeds])
            is_norm = isinstance(layers_of_seeds[0], nn.BatchNorm2d)
            error = 0.02 / len(weights) ** 0.5  # of the mean; of the deviation it is 1/sqrt(2)
            assert weights.mean().item() == pytest.approx(1 if is_norm else 0, abs=4 * error)
            assert weights.std().item() == pytest.approx(0.02, abs=3 * error)
            if len(weights) > 10_000:  # a normal distribution's share beyond two deviations
                assert (weights.abs() > 0.04).float().mean().item() == pytest.approx(
                    0.0455, abs=0.006
                )
            if is_norm:
                assert all(not layer.bias.any() for layer in layers_of_seeds)

    def test_makes_images_of_28_pixels_only(self) -> None:
        with pytest.raises(GanvasError, match="28 pixels, not 32"):
            networks.build("dcgan", 100, 32, seed=0)


@pytest.mark.parametrize("name", PAIRS)
class TestBoth:
    @pytest.mark.parametrize("latent_dim", [1, 100])
    def test_shapes_and_range(self, name: str, latent_dim: int) -> None:
        generator, discriminator = networks.build(name, latent_dim, 28, seed=0)
        images = generator(100 * torch.randn(5, latent_dim))
        assert images.shape == (5, 1, 28, 28) and images.dtype == torch.float32
        assert images.abs().max() <= 1
        logits = discriminator(images)
        assert logits.shape == (5,) and logits.dtype == torch.float32

    def test_one_image_alone_gets_one_logit(self, name: str) -> None:
        _, discriminator = networks.build(name, 100, 28, seed=0)
        assert discriminator.eval()(torch.zeros(1, 1, 28, 28)).shape == (1,)

    def test_weights_are_a_function_of_the_seed_alone(self, name: str) -> None:
        torch.manual_seed(1)
        first = networks.build(name, 100, 28, seed=5)
        torch.manual_seed(2)
        torch.randn(3)
        again, other = networks.build(name, 100, 28, seed=5), networks.build(name, 100, 28, seed=6)
        for network, same, another in zip(first, again, other, strict=True):
            for key, value in network.state_dict().items():
                assert torch.equal(value, same.state_dict()[key])
            for weight, different in zip(network.parameters(), another.parameters(), strict=True):
                drawn = weight.max() > weight.min()  # not BatchNorm's constants
                assert not drawn or not torch.equal(weight, different)

    def test_building_leaves_torchs_random_state_as_it_was(self, name: str) -> None:
        torch.manual_seed(3)
        expected = torch.randn(4)
        torch.manual_seed(3)
        networks.build(name, 100, 28, seed=5)
        assert torch.equal(torch.randn(4), expected)

    def test_every_weight_is_trained(self, name: str) -> None:
        generator, discriminator = networks.build(name, 100, 28, seed=0)
        discriminator(generator(torch.randn(4, 100))).sum().backward()
        for network in (generator, discriminator):
            assert all(p.grad is not None for p in network.parameters())


def test_are_the_two_of_the_pipeline() -> None:
    assert parts.names("network") == sorted(PAIRS)
