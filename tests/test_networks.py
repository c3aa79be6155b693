"""The pairs are the tutorials' and the papers', layer by layer, put together as a recipe says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ganvas import config, networks, parts
from ganvas.errors import GanvasError
from ganvas.networks import Architecture, Discriminator, Generator

RECIPES = config.load(Path(__file__).parents[1] / "params.yaml").generating
CLASSES = 10
CONDITIONAL = [name for name, recipe in RECIPES.items() if recipe.classes != "none"]
CONCATENATED = [name for name in CONDITIONAL if RECIPES[name].classes == "concatenated"]


def architecture(name: str, **changes: Any) -> Architecture:
    """Of a recipe, for grey images of 28 pixels and, where it is told them, ten classes."""
    recipe = RECIPES[name].model_dump()
    counts = [60] * CLASSES if recipe["classes"] != "none" else []
    facts = {"channels": 1, "image_size": 28, "class_counts": counts}
    return Architecture.read(recipe | facts | changes)


def build(name: str, seed: int = 0, **changes: Any) -> tuple[Generator, Discriminator]:
    return networks.build(architecture(name, **changes), seed)


def some_labels(count: int, name: str) -> Tensor | None:
    return torch.arange(count) % CLASSES if name in CONDITIONAL else None


def draw(generator: Generator, name: str, count: int) -> Tensor:
    z = networks.latent(generator, count, generator=torch.Generator().manual_seed(0))
    images: Tensor = generator(z, some_labels(count, name))
    return images


def judge(discriminator: Discriminator, name: str, images: Tensor) -> Tensor:
    told = some_labels(len(images), name) if name in CONCATENATED else None
    logits: Tensor = discriminator(images, told)
    return logits


def describe(layer: nn.Module) -> tuple[object, ...]:
    """A layer's kind and all of its settings that change what it computes."""
    match layer:
        case nn.Linear():
            return ("linear", layer.in_features, layer.out_features, layer.bias is not None)
        case nn.ConvTranspose2d() | nn.Conv2d():
            kind = "up" if isinstance(layer, nn.ConvTranspose2d) else "down"
            assert layer.groups == 1 and layer.dilation == (1, 1)
            assert layer.output_padding == (0, 0) and layer.padding_mode == "zeros"
            square = (layer.kernel_size, layer.stride, layer.padding)
            assert all(len(set(sides)) == 1 for sides in square)
            sides = tuple(sides[0] for sides in square)
            return (kind, layer.in_channels, layer.out_channels, *sides, layer.bias is not None)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            assert layer.affine and layer.track_running_stats
            return ("norm", layer.num_features, layer.eps, layer.momentum)
        case nn.LeakyReLU():
            return ("leaky", layer.negative_slope)
        case nn.Dropout():
            return ("dropout", layer.p)
        case nn.ReLU():
            return ("relu",)
        case nn.Tanh():
            return ("tanh",)
        case nn.Sigmoid():
            return ("sigmoid",)
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


def weighted(network: nn.Module) -> list[nn.Module]:
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    return [layer for layer in network.children() if isinstance(layer, kinds)]


def equal(network: nn.Module, plain: nn.Module) -> bool:
    found, expected = network.state_dict(), plain.state_dict()
    return found.keys() == expected.keys() and all(
        torch.equal(found[key], expected[key]) for key in expected
    )


class TestGan:
    def test_generator(self) -> None:
        generator, _ = build("gan")
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
        _, discriminator = build("gan")
        assert layers(discriminator) == [
            ("linear", 784, 512, True),
            ("leaky", 0.2),
            ("linear", 512, 256, True),
            ("leaky", 0.2),
            ("linear", 256, 1, True),
        ]

    def test_has_as_many_weights_as_the_layers_add_up_to(self) -> None:
        generator, discriminator = build("gan")
        linear = (100 + 1) * 256 + (256 + 1) * 512 + (512 + 1) * 1024 + (1024 + 1) * 784
        assert parameters(generator) == linear + 2 * (256 + 512 + 1024) == 1_489_936
        linear = (784 + 1) * 512 + (512 + 1) * 256 + (256 + 1) * 1
        assert parameters(discriminator) == linear == 533_505

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("side", [8, 28, 64])
    def test_follows_the_images(self, channels: int, side: int) -> None:
        pair = build("gan", latent_dim=7, channels=channels, image_size=side)
        images = pair[0](torch.randn(2, 7))
        assert images.shape == (2, channels, side, side)
        assert pair[1](images).shape == (2, 1)
        values = channels * side**2
        assert layers(pair[0])[-2] == ("linear", 1024, values, True)
        assert layers(pair[1])[0] == ("linear", values, 512, True)

    def test_weights_are_drawn_layer_by_layer_the_generators_first(self) -> None:
        """PyTorch's own, so that a seed gives the weights that it has always given."""
        torch.manual_seed(7)
        generator = nn.Sequential(
            *(nn.Linear(100, 256), nn.BatchNorm1d(256), nn.LeakyReLU(0.2)),
            *(nn.Linear(256, 512), nn.BatchNorm1d(512), nn.LeakyReLU(0.2)),
            *(nn.Linear(512, 1024), nn.BatchNorm1d(1024), nn.LeakyReLU(0.2)),
            *(nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))),
        )
        discriminator = nn.Sequential(
            *(nn.Flatten(), nn.Linear(784, 512), nn.LeakyReLU(0.2)),
            *(nn.Linear(512, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1)),
        )
        pair = build("gan", seed=7)
        assert equal(pair[0], generator) and equal(pair[1], discriminator)
        images = pair[0](z := torch.randn(4, 100))
        assert torch.equal(images, generator(z))
        assert torch.equal(pair[1](images), discriminator(images))


class TestDcgan:
    def test_generator(self) -> None:
        generator, _ = build("dcgan")
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
        _, discriminator = build("dcgan")
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

    @pytest.mark.parametrize(
        "sides",
        [
            *([4, 7, 14, 28], [4, 8, 16, 32], [3, 6, 12, 24, 48], [4, 8, 16, 32, 64]),
            *([4, 8], [3, 6, 11, 21, 41], [4, 7, 13, 25, 50], [4, 8, 15, 30]),
        ],
    )
    def test_sides_are_halved_down_to_4_or_less_and_back(self, sides: list[int]) -> None:
        """Of any size, beside those that params.yaml names."""
        few: dict[str, list[int]] = {"generator_widths": [8], "discriminator_widths": [8]}
        generator, discriminator = build("dcgan", image_size=sides[-1], channels=3, **few)
        seen: dict[str, list[int]] = {"up": [], "down": []}
        for network in (generator, discriminator):
            for layer in weighted(network):
                kind = str(describe(layer)[0])
                layer.register_forward_hook(
                    lambda _, __, output, kind=kind: seen[kind].append(output.shape[-1])
                )
        assert discriminator(generator(torch.randn(2, 100))).shape == (2, 1)
        assert seen == {"up": sides, "down": [*sides[-2::-1], 1]}

    @pytest.mark.parametrize("side", [48, 64])
    def test_widths_that_a_size_has_more_of_are_doubled_away_from_the_image(
        self, side: int
    ) -> None:
        widths = {
            "generator_widths": [256, 128, 64, 32],
            "discriminator_widths": [32, 64, 128, 256],
        }
        pairs = build("dcgan", image_size=side), build("dcgan", image_size=side, **widths)
        assert all(equal(*both) for both in zip(*pairs, strict=True))
        base = {"generator_widths": [32], "discriminator_widths": [32]}
        assert all(
            equal(*both)
            for both in zip(pairs[0], build("dcgan", image_size=side, **base), strict=True)
        )
        own = build("dcgan", image_size=side, generator_widths=[7, 5, 4, 3])
        assert [layer[2] for layer in layers(own[0]) if layer[0] == "up"] == [7, 5, 4, 3, 1]

    @pytest.mark.parametrize("side", [32, 64])
    def test_is_pytorchs_example(self, side: int) -> None:
        """Its main.py at 64 pixels; at 32, what is made of it for CIFAR: a stage less."""
        nz, ngf, ndf, nc, large = 100, 64, 64, 3, side == 64
        generator = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False),
            *(nn.BatchNorm2d(ngf * 8), nn.ReLU(True)),
            nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
            *(nn.BatchNorm2d(ngf * 4), nn.ReLU(True)),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            *(nn.BatchNorm2d(ngf * 2), nn.ReLU(True)),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            *(nn.BatchNorm2d(ngf), nn.ReLU(True)),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
        discriminator = nn.Sequential(
            *(nn.Conv2d(nc, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            *(nn.BatchNorm2d(ndf * 2), nn.LeakyReLU(0.2, inplace=True)),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
            *(nn.BatchNorm2d(ndf * 4), nn.LeakyReLU(0.2, inplace=True)),
            nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False),
            *(nn.BatchNorm2d(ndf * 8), nn.LeakyReLU(0.2, inplace=True)),
            nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False),
        )
        if not large:
            generator = nn.Sequential(
                nn.ConvTranspose2d(nz, ngf * 4, 4, 1, 0, bias=False), *generator[4:]
            )
            discriminator = nn.Sequential(
                *discriminator[:8], nn.Conv2d(ndf * 4, 1, 4, 1, 0, bias=False)
            )
        widths = {"generator_widths": [256, 128, 64], "discriminator_widths": [64, 128, 256]}
        ours = build("dcgan", seed=7, channels=nc, image_size=side, **widths)
        counts = (3_576_704, 2_765_568) if large else (1_068_928, 663_296)
        assert (parameters(generator), parameters(discriminator)) == counts
        assert (parameters(ours[0]), parameters(ours[1])) == counts
        # Weight for weight in the same order, and so the same function.
        for plain, network in zip((generator, discriminator), ours, strict=True):
            keys, state = plain.state_dict().keys(), network.state_dict()
            plain.load_state_dict(dict(zip(keys, state.values(), strict=True)))
        images = ours[0](z := torch.randn(4, nz))
        assert images.shape == (4, nc, side, side)
        torch.testing.assert_close(images, generator(z[:, :, None, None]))
        torch.testing.assert_close(ours[1](images), discriminator(images).flatten(1))

    def test_has_as_many_weights_as_the_layers_add_up_to(self) -> None:
        generator, discriminator = build("dcgan")
        kernels = 100 * 128 * 16 + 128 * 64 * 9 + 64 * 32 * 16 + 32 * 1 * 16
        assert parameters(generator) == kernels + 2 * (128 + 64 + 32) == 312_256
        kernels = 1 * 32 * 16 + 32 * 64 * 16 + 64 * 128 * 9 + 128 * 1 * 16
        assert parameters(discriminator) == kernels + 2 * (64 + 128) == 109_440

    def test_weights_are_drawn_layer_by_layer_the_generators_first(self) -> None:
        """First PyTorch's own, then Radford's in the same order: see the test of gan."""
        torch.manual_seed(7)
        generator = nn.Sequential(
            nn.Unflatten(1, (100, 1, 1)),
            *(nn.ConvTranspose2d(100, 128, 4, 2, 0, bias=False), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.ConvTranspose2d(128, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False), nn.Tanh()),
        )
        discriminator = nn.Sequential(
            *(nn.Conv2d(1, 32, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 128, 3, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2)),
            nn.Conv2d(128, 1, 4, 1, 0, bias=False),
        )
        for layer in (*generator, *discriminator):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
        pair = build("dcgan", seed=7)
        assert equal(pair[0], generator) and equal(pair[1], discriminator)
        images = pair[0](z := torch.randn(4, 100))
        assert torch.equal(images, generator(z))
        assert torch.equal(pair[1](images), discriminator(images).flatten(1))


class TestGanSigmoid:
    """Tutorial D."""

    def test_generator(self) -> None:
        generator, _ = build("gan_sigmoid")
        assert layers(generator) == [
            ("linear", 100, 256, True),
            ("leaky", 0.2),
            ("linear", 256, 512, True),
            ("leaky", 0.2),
            ("linear", 512, 1024, True),
            ("leaky", 0.2),
            ("linear", 1024, 784, True),
            ("sigmoid",),
        ]

    def test_discriminator(self) -> None:
        _, discriminator = build("gan_sigmoid")
        assert layers(discriminator) == [
            ("linear", 784, 1024, True),
            ("leaky", 0.2),
            ("dropout", 0.3),
            ("linear", 1024, 512, True),
            ("leaky", 0.2),
            ("dropout", 0.3),
            ("linear", 512, 256, True),
            ("leaky", 0.2),
            ("dropout", 0.3),
            ("linear", 256, 1, True),
        ]


class TestDcganDense:
    """Tutorial C."""

    def test_generator(self) -> None:
        generator, _ = build("dcgan_dense")
        assert layers(generator) == [
            ("linear", 100, 128 * 7 * 7, False),
            norm(128 * 7 * 7),
            ("leaky", 0.2),
            ("up", 128, 64, 4, 2, 1, False),
            norm(64),
            ("leaky", 0.2),
            ("up", 64, 1, 4, 2, 1, True),
            ("tanh",),
        ]

    def test_discriminator(self) -> None:
        _, discriminator = build("dcgan_dense")
        assert layers(discriminator) == [
            ("down", 1, 64, 4, 2, 1, True),
            ("leaky", 0.2),
            ("dropout", 0.3),
            ("down", 64, 128, 4, 2, 1, True),
            ("leaky", 0.2),
            ("dropout", 0.3),
            ("linear", 128 * 7 * 7, 1, True),
        ]

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("side", [8, 28, 32, 48, 64])
    def test_follows_the_images(self, channels: int, side: int) -> None:
        pair = build("dcgan_dense", channels=channels, image_size=side)
        images = pair[0](torch.randn(2, 100))
        assert images.shape == (2, channels, side, side)
        assert pair[1](images).shape == (2, 1)
        assert layers(pair[0])[0] == ("linear", 100, 128 * (side // 4) ** 2, False)
        assert layers(pair[0])[-2] == ("up", 64, channels, 4, 2, 1, True)
        assert layers(pair[1])[0] == ("down", channels, 64, 4, 2, 1, True)


class TestInfoganLucic:
    """Lucic 2018; their code's layers behind a BatchNorm have biases too, which it takes away."""

    def test_generator(self) -> None:
        generator, _ = build("infogan_lucic")
        assert layers(generator) == [
            ("linear", 64, 1024, False),
            norm(1024),
            ("leaky", 0.2),
            ("linear", 1024, 128 * 7 * 7, False),
            norm(128 * 7 * 7),
            ("leaky", 0.2),
            ("up", 128, 64, 4, 2, 1, False),
            norm(64),
            ("leaky", 0.2),
            ("up", 64, 1, 4, 2, 1, True),
            ("sigmoid",),
        ]

    def test_discriminator(self) -> None:
        _, discriminator = build("infogan_lucic")
        assert layers(discriminator) == [
            ("down", 1, 64, 4, 2, 1, True),
            ("leaky", 0.2),
            ("down", 64, 128, 4, 2, 1, False),
            norm(128),
            ("leaky", 0.2),
            ("linear", 128 * 7 * 7, 1024, False),
            norm(1024),
            ("leaky", 0.2),
            ("linear", 1024, 1, True),
        ]

    def test_draws_from_a_cube_of_64_dimensions(self) -> None:
        generator, _ = build("infogan_lucic")
        z = networks.latent(generator, 4000, generator=torch.Generator().manual_seed(0))
        assert z.shape == (4000, 64) and z.dtype == torch.float32
        assert z.min() >= -1 and z.max() <= 1
        assert z.mean().abs() < 0.01 and abs(z.std().item() - 3**-0.5) < 0.01


class TestOthersDifferInWhatTheirRecipesSay:
    @pytest.mark.parametrize("name", ["gan_k3", "gan_minimax", "gan_2014"])
    def test_the_pair_of_gan(self, name: str) -> None:
        assert all(equal(*both) for both in zip(build(name), build("gan"), strict=True))

    def test_lsgan_has_the_pair_of_dcgan(self) -> None:
        assert all(equal(*both) for both in zip(build("lsgan"), build("dcgan"), strict=True))

    @pytest.mark.parametrize("name", ["wgan_gp", "hinge_sn", "r3gan"])
    def test_a_discriminator_without_batch_norm_has_biases(self, name: str) -> None:
        _, discriminator = build(name)
        assert layers(discriminator) == [
            ("down", 1, 32, 4, 2, 1, True),
            ("leaky", 0.2),
            ("down", 32, 64, 4, 2, 1, True),
            ("leaky", 0.2),
            ("down", 64, 128, 3, 2, 1, True),
            ("leaky", 0.2),
            ("down", 128, 1, 4, 1, 0, True),
        ]
        for layer in weighted(discriminator):
            assert isinstance(layer.bias, Tensor) and not layer.bias.any()
            assert is_parametrized(layer) == (name == "hinge_sn")

    def test_r3gans_generator_has_biases(self) -> None:
        generator, _ = build("r3gan")
        assert layers(generator) == [
            ("up", 100, 128, 4, 2, 0, True),
            ("relu",),
            ("up", 128, 64, 3, 2, 1, True),
            ("relu",),
            ("up", 64, 32, 4, 2, 1, True),
            ("relu",),
            ("up", 32, 1, 4, 2, 1, True),
            ("tanh",),
        ]

    @pytest.mark.parametrize(
        ("name", "first", "base"),
        [
            ("cgan", [("linear", 110, 256, True), ("linear", 794, 512, True)], "gan"),
            (
                "cdcgan",
                [("up", 110, 128, 4, 2, 0, False), ("down", 11, 32, 4, 2, 1, False)],
                "dcgan",
            ),
        ],
    )
    def test_a_concatenated_class_widens_the_first_layers(
        self, name: str, first: list[tuple[object, ...]], base: str
    ) -> None:
        for network, layer, plain in zip(build(name), first, build(base), strict=True):
            assert layers(network) == [layer, *layers(plain)[1:]]

    def test_acgans_discriminator_names_the_class_in_its_last_layer(self) -> None:
        generator, discriminator = build("acgan")
        plain = build("dcgan")
        assert layers(generator) == [("up", 110, 128, 4, 2, 0, False), *layers(plain[0])[1:]]
        last = ("down", 128, 11, 4, 1, 0, False)
        assert layers(discriminator) == [*layers(plain[1])[:-1], last]


@pytest.mark.parametrize("name", RECIPES)
class TestEachRecipe:
    @pytest.mark.parametrize("side", [28, 32, 48, 64])
    def test_makes_colour_images_of_every_size_that_is_asked_for(
        self, name: str, side: int
    ) -> None:
        generator, discriminator = build(name, channels=3, image_size=side)
        images = draw(generator, name, 3)
        assert images.shape == (3, 3, side, side)
        assert not torch.equal(images[:, 0], images[:, 1])
        images.retain_grad()
        logits = judge(discriminator, name, images)
        assert len(logits) == 3
        logits[0].sum().backward()
        assert images.grad is not None
        assert (images.grad.abs().sum((0, 2, 3)) > 0).all(), "it looks at each of the colours"

    def test_shapes_and_range(self, name: str) -> None:
        generator, discriminator = build(name)
        stream = torch.Generator().manual_seed(0)
        z = 100 * networks.latent(generator, 5, generator=stream)
        images = generator(z, some_labels(5, name))
        assert images.shape == (5, 1, 28, 28) and images.dtype == torch.float32
        assert images.abs().max() <= 1
        assert images.min() < -0.1 and images.max() > 0.1  # both signs, also with a sigmoid
        logits = judge(discriminator, name, images)
        classes = CLASSES if RECIPES[name].classes == "auxiliary" else 0
        assert logits.shape == (5, 1 + classes) and logits.dtype == torch.float32

    def test_one_image_alone_gets_one_answer(self, name: str) -> None:
        _, discriminator = build(name)
        images = torch.zeros(1, 1, 28, 28)
        assert len(judge(discriminator.eval(), name, images)) == 1

    def test_weights_are_a_function_of_the_seed_alone(self, name: str) -> None:
        torch.manual_seed(1)
        first = build(name, seed=5)
        torch.manual_seed(2)
        torch.randn(3)
        again, other = build(name, seed=5), build(name, seed=6)
        for network, same, another in zip(first, again, other, strict=True):
            assert equal(network, same)
            for weight, different in zip(network.parameters(), another.parameters(), strict=True):
                drawn = weight.max() > weight.min()  # not constants
                assert not drawn or not torch.equal(weight, different)

    def test_building_leaves_torchs_random_state_as_it_was(self, name: str) -> None:
        torch.manual_seed(3)
        before = torch.get_rng_state()
        build(name, seed=5)
        assert torch.equal(torch.get_rng_state(), before)

    def test_every_weight_is_trained(self, name: str) -> None:
        generator, discriminator = build(name)
        judge(discriminator, name, draw(generator, name, 4)).sum().backward()
        for network in (generator, discriminator):
            assert all(p.grad is not None for p in network.parameters())

    def test_saves_what_its_layers_have_and_nothing_else(self, name: str) -> None:
        for network in build(name):
            plain = nn.Sequential(*network.children())
            assert list(network.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("name", ["dcgan", "dcgan_dense", "hinge_sn"])
@pytest.mark.parametrize("which", [0, 1])
def test_convolutional_pairs_begin_with_weights_n_0_002_and_scales_n_1_002(
    name: str, which: int
) -> None:
    pairs = [build(name, seed=seed)[which] for seed in range(5)]
    for of_seeds in zip(*(pair.children() for pair in pairs), strict=True):
        each = [dict(layer.named_parameters()) for layer in of_seeds]
        spectral = is_parametrized(of_seeds[0])
        key = "parametrizations.weight.original" if spectral else "weight"
        if key not in each[0]:
            continue
        weights = torch.cat([named[key].detach().flatten() for named in each])
        is_norm = isinstance(of_seeds[0], nn.BatchNorm1d | nn.BatchNorm2d)
        error = 0.02 / len(weights) ** 0.5  # of the mean; of the deviation it is 1/sqrt(2)
        assert weights.mean().item() == pytest.approx(1 if is_norm else 0, abs=4 * error)
        assert weights.std().item() == pytest.approx(0.02, abs=3 * error)
        if (
            len(weights) > 10_000 and not is_norm
        ):  # a normal distribution's share beyond two of them
            assert (weights.abs() > 0.04).float().mean().item() == pytest.approx(0.0455, abs=0.006)
        assert not any(named["bias"].any() for named in each if "bias" in named)


class TestRangeOfGrey:
    """Outside it is -1 to 1 for all; what ends in a sigmoid has its own inside, 0 to 1."""

    @pytest.mark.parametrize("name", ["gan_sigmoid", "infogan_lucic"])
    def test_is_0_to_1_inside_a_pair_with_a_sigmoid(self, name: str) -> None:
        generator, discriminator = build(name)
        made = record(generator[-1] if name == "infogan_lucic" else generator[-2])
        images = draw(generator, name, 4)
        assert made[0].min() >= 0 and made[0].max() <= 1
        torch.testing.assert_close(images.flatten(), made[0].flatten() * 2 - 1)
        seen = record(discriminator[0], of_input=True)
        levels = torch.arange(256).repeat(4)[:784].view(1, 1, 28, 28) / 127.5 - 1
        discriminator.eval()(levels)
        expected = (torch.arange(256).repeat(4)[:784] / 255).view(1, 1, 28, 28)
        torch.testing.assert_close(seen[0], expected)
        assert seen[0].min() == 0 and seen[0].max() == 1

    @pytest.mark.parametrize("name", ["gan", "dcgan"])
    def test_is_minus_1_to_1_inside_all_others(self, name: str) -> None:
        _, discriminator = build(name)
        seen = record(discriminator[0], of_input=True)
        images = torch.linspace(-1, 1, 784).view(1, 1, 28, 28)
        discriminator.eval()(images)
        assert torch.equal(seen[0], images)


def record(layer: nn.Module, of_input: bool = False) -> list[Tensor]:
    """What comes out of the layer, or goes into it, from now on."""
    seen: list[Tensor] = []
    layer.register_forward_hook(
        lambda _, inputs, output: seen.append(inputs[0] if of_input else output)
    )
    return seen


class TestSpectralNorm:
    @pytest.mark.parametrize(
        "build_one",
        [
            lambda: build("hinge_sn")[1],
            lambda: build("gan", discriminator_norm="spectral")[1],
            lambda: build("dcgan", generator_norm="spectral")[0],
            lambda: build("gan", generator_norm="spectral")[0],
            lambda: build("dcgan_dense", discriminator_norm="spectral")[1],
        ],
        ids=["hinge_sn", "gan's", "dcgan's generator", "gan's generator", "dcgan_dense's"],
    )
    def test_largest_singular_value_of_every_layer_comes_to_1(
        self, build_one: Callable[[], Generator | Discriminator]
    ) -> None:
        network = build_one()
        generator = isinstance(network, Generator)
        shown = torch.randn(2, 100) if generator else torch.zeros(2, 1, 28, 28)
        with torch.no_grad():
            for _ in range(100):  # a step of the power iteration each
                network(shown)
            for layer in weighted(network):
                assert is_parametrized(layer, "weight")
                weight = layer.weight
                assert isinstance(weight, Tensor)
                of_outputs = (
                    weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
                )
                largest = torch.linalg.svdvals(of_outputs.flatten(1))[0].item()
                assert largest == pytest.approx(1, rel=0.01)

    def test_is_where_the_recipe_says(self) -> None:
        generator, discriminator = build("hinge_sn")
        assert not any(is_parametrized(layer) for layer in generator.modules())
        assert all(is_parametrized(layer, "weight") for layer in weighted(discriminator))

    def test_its_vectors_are_part_of_the_state_and_move_in_training_alone(self) -> None:
        _, discriminator = build("hinge_sn")
        vectors = [key for key in discriminator.state_dict() if key.endswith(("._u", "._v"))]
        assert len(vectors) == 2 * len(weighted(discriminator))

        def moved() -> bool:
            before = {key: discriminator.state_dict()[key].clone() for key in vectors}
            discriminator(torch.zeros(2, 1, 28, 28))
            return any(
                not torch.equal(before[key], discriminator.state_dict()[key]) for key in vectors
            )

        discriminator.eval()
        assert not moved()
        discriminator.train()
        assert moved()


class TestClasses:
    @pytest.mark.parametrize("name", CONDITIONAL)
    def test_another_class_another_image_of_the_same_point(self, name: str) -> None:
        generator, _ = build(name)
        z = torch.randn(1, generator.latent_dim).expand(CLASSES, -1)
        images = generator.eval()(z, torch.arange(CLASSES))
        pairs = [(a, b) for a in range(CLASSES) for b in range(a)]
        assert all(not torch.allclose(images[a], images[b]) for a, b in pairs)
        # In the same row: processors differ in whether two are added up in one order.
        again = generator(z, torch.full((CLASSES,), 3))
        assert torch.equal(again[3], images[3])

    @pytest.mark.parametrize("name", CONDITIONAL)
    def test_stands_one_hot_beside_the_generators_point(self, name: str) -> None:
        generator, _ = build(name)
        seen = record(generator[0], of_input=True)
        z, labels = torch.randn(4, 100), torch.tensor([0, 9, 3, 3])
        generator(z, labels)
        hot = torch.zeros(4, 10)
        hot[[0, 1, 2, 3], labels] = 1
        assert torch.equal(seen[0], torch.cat([z, hot], 1))

    def test_stands_one_hot_beside_the_pixels_of_a_fully_connected_discriminator(self) -> None:
        _, discriminator = build("cgan")
        seen = record(discriminator[1], of_input=True)
        images, labels = torch.randn(3, 1, 28, 28), torch.tensor([9, 0, 4])
        discriminator(images, labels)
        assert seen[0].shape == (3, 794)
        assert torch.equal(seen[0][:, :784], images.flatten(1))
        assert seen[0][:, 784:].nonzero().tolist() == [[0, 9], [1, 0], [2, 4]]
        assert seen[0][:, 784:].sum() == 3

    def test_is_a_plane_of_ones_beside_the_image_of_a_convolutional_one(self) -> None:
        _, discriminator = build("cdcgan")
        seen = record(discriminator[0], of_input=True)
        images, labels = torch.randn(3, 1, 28, 28), torch.tensor([9, 0, 4])
        discriminator(images, labels)
        assert seen[0].shape == (3, 11, 28, 28)
        assert torch.equal(seen[0][:, :1], images)
        planes = seen[0][:, 1:]
        for image, label in enumerate(labels):
            assert (planes[image, label] == 1).all() and planes[image].sum() == 28 * 28

    @pytest.mark.parametrize("name", CONCATENATED)
    def test_changes_what_a_discriminator_that_is_told_it_answers(self, name: str) -> None:
        _, discriminator = build(name)
        images = torch.randn(1, 1, 28, 28).expand(CLASSES, -1, -1, -1)
        logits = discriminator.eval()(images, torch.arange(CLASSES))
        assert len(logits.unique()) == CLASSES

    def test_are_as_many_as_the_data_have(self) -> None:
        generator, discriminator = build("cgan", class_counts=[5, 7, 9])
        assert generator.class_counts == (5, 7, 9)
        assert generator(torch.randn(2, 100), torch.tensor([0, 2])).shape == (2, 1, 28, 28)
        assert discriminator(torch.zeros(2, 1, 28, 28), torch.tensor([0, 2])).shape == (2, 1)
        _, discriminator = build("acgan", class_counts=[5, 7, 9])
        assert discriminator(torch.zeros(2, 1, 28, 28)).shape == (2, 4)

    def test_of_a_generator_that_is_told_none(self) -> None:
        assert build("gan")[0].class_counts == ()


class TestLatent:
    def test_is_pytorchs_normal_distribution(self) -> None:
        generator, _ = build("gan")
        streams = [torch.Generator().manual_seed(3) for _ in range(2)]
        z = networks.latent(generator, 2, 5, generator=streams[0], dtype=torch.float64)
        expected = torch.randn(2, 5, 100, generator=streams[1], dtype=torch.float64)
        assert torch.equal(z, expected)

    def test_uniform_is_from_minus_1_to_1(self) -> None:
        generator, _ = build("gan", latent="uniform", latent_dim=3)
        streams = [torch.Generator().manual_seed(3) for _ in range(2)]
        z = networks.latent(generator, 1000, generator=streams[0])
        assert torch.equal(z, torch.rand(1000, 3, generator=streams[1]) * 2 - 1)
        assert z.min() < -0.99 and z.max() > 0.99


class TestArchitecture:
    def test_is_read_by_its_names_whatever_else_stands_there(self) -> None:
        found = architecture("cgan", epochs=3, dataset="mnist")
        assert found.network == "gan" and found.image_size == 28
        assert list(found.class_counts) == [60] * CLASSES

    @pytest.mark.parametrize("key", Architecture._fields)
    def test_needs_each_of_them(self, key: str) -> None:
        facts = architecture("cgan")._asdict()
        assert Architecture.read(facts) == architecture("cgan")
        del facts[key]
        with pytest.raises(KeyError, match=key):
            Architecture.read(facts)


class TestWhatCannotBeBuilt:
    @pytest.mark.parametrize(
        ("name", "changes", "message"),
        [
            (
                "dcgan_dense",
                {"image_size": 30},
                "image_size: 30 is not allowed; a multiple of 4 is",
            ),
            (
                "dcgan",
                {"generator_widths": []},
                r"generator_widths: \[\] is not allowed; network dcgan takes 1 to 3 at 28 pixels$",
            ),
            (
                "dcgan",
                {"discriminator_widths": [32, 64, 128, 256], "image_size": 32},
                "discriminator_widths: .* is not allowed; network dcgan takes 1 to 3 at 32 pixels$",
            ),
            (
                "dcgan",
                {"generator_widths": [5, 4, 3, 2, 1], "image_size": 64},
                "generator_widths: .* is not allowed; network dcgan takes 1 to 4 at 64 pixels$",
            ),
            (
                "gan",
                {"generator_widths": []},
                r"generator_widths: \[\] is not allowed; network gan takes 1 at least$",
            ),
            (
                "dcgan_dense",
                {"discriminator_widths": [64]},
                r"discriminator_widths: \[64\] is not allowed; .* dcgan_dense takes 2 at least",
            ),
            (
                "dcgan_dense",
                {"generator_widths": [64]},
                r"generator_widths: \[64\] is not allowed; network dcgan_dense takes 2 at least",
            ),
        ],
    )
    def test_is_one_line(self, name: str, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(GanvasError, match=message) as raised:
            build(name, **changes)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("widths", [[16], [16, 32, 64, 128]])
    def test_fully_connected_ones_take_any_number_of_layers(self, widths: list[int]) -> None:
        generator, discriminator = build(
            "gan",
            generator_widths=widths,
            discriminator_widths=widths,
        )
        assert len(weighted(generator)) == len(weighted(discriminator)) == len(widths) + 1
        assert discriminator(generator(torch.randn(2, 100))).shape == (2, 1)


def test_every_network_has_a_recipe() -> None:
    assert {recipe.network for recipe in RECIPES.values()} == set(parts.names("network"))
