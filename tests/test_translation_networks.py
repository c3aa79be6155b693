"""The networks that translate images are the papers', layer by layer and weight by weight."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas import parts
from ganvas.errors import GanvasError
from ganvas.networks import translation
from ganvas.networks.translation import Architecture, PerDomain, Translator, patch, resnet, unet

PIX2PIX = Architecture("unet", (64, 128, 256, 512), "batch", 0, 0.5, "zeros", 3, 3, 256, 0, False)
CYCLEGAN = Architecture(
    "resnet", (64, 128, 256), "instance", 9, 0.0, "reflect", 3, 3, 256, 0, False
)
STARGAN = Architecture("resnet", (64, 128, 256), "instance", 6, 0.0, "zeros", 3, 3, 128, 5, False)
PAPERS = [PIX2PIX, CYCLEGAN, STARGAN]
# The same with few planes, for tests that compute with them.
SMALL = [
    PIX2PIX._replace(generator_widths=(4, 6, 8), image_size=32),
    CYCLEGAN._replace(generator_widths=(4, 6, 8), image_size=32, blocks=2),
    STARGAN._replace(generator_widths=(4, 6, 8), image_size=32, blocks=2),
]
IDS = ["pix2pix", "cyclegan", "stargan"]
each_small = pytest.mark.parametrize("small", SMALL, ids=IDS)

Judge = Callable[..., nn.Module]


def patches(seed: int = 0, **changes: Any) -> nn.Module:
    facts = {"in_channels": 3, "widths": (4, 6, 8), "norm": "batch", "image_size": 32, "domains": 0}
    return translation.discriminator("patch", **(facts | changes), seed=seed)


def two_heads(seed: int = 0, **changes: Any) -> nn.Module:
    facts = {"in_channels": 3, "widths": (4, 6, 8), "norm": "none", "image_size": 32, "domains": 5}
    return translation.discriminator("domains", **(facts | changes), seed=seed)


ALL: dict[str, Callable[[int], nn.Module]] = {
    **{
        name: lambda seed, small=small: translation.build(small, seed)
        for name, small in zip(IDS, SMALL, strict=True)
    },
    "patch": patches,
    "domains": two_heads,
}
each_network = pytest.mark.parametrize("name", ALL)


def images(count: int, side: int, channels: int = 3) -> Tensor:
    stream = torch.Generator().manual_seed(1)
    return torch.rand(count, channels, side, side, generator=stream) * 2 - 1


def translate(network: Translator, shown: Tensor) -> Tensor:
    told = torch.arange(len(shown)) % network.domains if network.domains else None
    result: Tensor = network(shown, told)
    return result


def answers(network: nn.Module, shown: Tensor) -> tuple[Tensor, ...]:
    """All that a network of any kind makes of images."""
    if isinstance(network, Translator):
        return (translate(network, shown),)
    found = network(shown)
    return found if isinstance(found, tuple) else (found,)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def give_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Weight for weight in the same order."""
    keys, state = theirs.state_dict(), ours.state_dict()
    theirs.load_state_dict(dict(zip(keys, state.values(), strict=True)))


def stirred(network: nn.Module) -> nn.Module:
    """With weights so large, and biases that are not 0, that every layer shows in the output."""
    torch.manual_seed(4)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(torch.randn_like(p) * (0.3 if p.dim() > 1 else 0.5))
    return network


def without_noise(network: nn.Module) -> nn.Module:
    for layer in network.modules():
        if isinstance(layer, unet.Noise):
            layer.share = 0.0
    return network


class PaperUnet(nn.Module):
    """As pix2pix writes it: e1 to e8, then d1 to d8, each of which sees the e beside it."""

    def __init__(self, widths: Sequence[int], norm: type[nn.Module] | None, bias: bool) -> None:
        super().__init__()
        ways = [3, *widths]
        self.e = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, bias=bias) for a, b in pairwise(ways))
        self.en = nn.ModuleList(norm(w) if norm else nn.Identity() for w in widths[1:-1])
        outs = [*widths[-2::-1], 3]
        ins = [widths[-1], *(2 * w for w in outs[:-1])]
        self.d = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, 2, 1, bias=bias or place == len(ins) - 1)
            for place, (a, b) in enumerate(zip(ins, outs, strict=True))
        )
        self.dn = nn.ModuleList(norm(w) if norm else nn.Identity() for w in outs[:-1])

    def in_order(self) -> nn.ModuleList:
        found: list[nn.Module] = [self.e[0]]
        for convolution, norm in zip(self.e[1:-1], self.en, strict=True):
            found += [convolution, norm]
        found.append(self.e[-1])
        for convolution, norm in zip(self.d[:-1], self.dn, strict=True):
            found += [convolution, norm]
        return nn.ModuleList([*found, self.d[-1]])

    def forward(self, x: Tensor) -> Tensor:
        seen = [self.e[0](x)]
        for convolution, norm in zip(self.e[1:-1], self.en, strict=True):
            seen.append(norm(convolution(F.leaky_relu(seen[-1], 0.2))))
        y = self.e[-1](F.leaky_relu(seen[-1], 0.2))
        for convolution, norm in zip(self.d[:-1], self.dn, strict=True):
            y = torch.cat([seen.pop(), norm(convolution(F.relu(y)))], 1)
        result: Tensor = torch.tanh(self.d[-1](F.relu(y)))
        return result


class TestUnet:
    def test_has_the_papers_parameters(self) -> None:
        """54.414 M, says pix2pix's program in PyTorch; with BatchNorm only the last has biases."""
        network = translation.build(PIX2PIX, seed=0)
        assert parameters(network) == 54_413_955
        biases = [
            layer.bias
            for layer in network.modules()
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None
        ]
        assert [len(bias) for bias in biases] == [3]
        shown = torch.zeros(1, 3, 256, 256)
        assert network(shown).shape == shown.shape

    @pytest.mark.parametrize(
        ("kind", "norm"),
        [("batch", nn.BatchNorm2d), ("instance", nn.InstanceNorm2d), ("none", None)],
    )
    def test_is_the_papers(self, kind: str, norm: type[nn.Module] | None) -> None:
        widths = [3, 4, 5, 6, 6, 6, 6, 6]
        architecture = PIX2PIX._replace(
            generator_widths=widths[:4], generator_norm=kind, dropout=0.0
        )
        ours = stirred(translation.build(architecture, seed=3))
        theirs = PaperUnet(widths, norm, bias=kind != "batch")
        give_weights(ours, theirs.in_order())
        torch.testing.assert_close(ours(images(2, 256)), theirs(images(2, 256)))

    @pytest.mark.parametrize(
        "sides",
        [
            *([28, 14, 7, 4, 2, 1], [32, 16, 8, 4, 2, 1], [48, 24, 12, 6, 3, 2, 1]),
            *([41, 21, 11, 6, 3, 2, 1], [128, 64, 32, 16, 8, 4, 2, 1]),
        ],
    )
    def test_halves_the_side_down_to_1_and_comes_back_by_the_same_sides(
        self, sides: list[int]
    ) -> None:
        network = translation.build(SMALL[0]._replace(image_size=sides[0]), seed=0)
        down, up = [sides[0]], []
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda *seen: down.append(seen[-1].shape[-1]))
            if isinstance(layer, nn.ConvTranspose2d):
                layer.register_forward_hook(lambda *seen: up.append(seen[-1].shape[-1]))
        network(images(2, sides[0]))
        assert down == sides and up == sides[-2::-1]

    def test_neither_the_first_nor_the_innermost_layer_has_a_norm(self) -> None:
        network = translation.build(SMALL[0], seed=0)
        kinds = [m for m in network.modules() if not isinstance(m, nn.Sequential)]
        behind = {a: b for a, b in pairwise(kinds) if isinstance(a, nn.Conv2d | nn.ConvTranspose2d)}
        down = [isinstance(b, nn.BatchNorm2d) for a, b in behind.items() if type(a) is nn.Conv2d]
        up = [isinstance(b, nn.BatchNorm2d) for a, b in behind.items() if type(a) is not nn.Conv2d]
        assert down == [False, True, True, True, False]
        assert up == [True, True, True, True, False]

    def test_widths_left_out_repeat_the_last(self) -> None:
        few = translation.build(SMALL[0], seed=2)
        all_ = translation.build(SMALL[0]._replace(generator_widths=(4, 6, 8, 8, 8)), seed=2)
        assert save(few.state_dict()) == save(all_.state_dict())

    def test_detail_goes_by_the_skips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With nothing from the innermost layer it is there; without what is beside it is not."""
        network = stirred(translation.build(SMALL[0]._replace(generator_norm="none"), 0)).eval()
        innermost = [m for m in network.modules() if isinstance(m, nn.Conv2d)][-1]
        with torch.no_grad():
            innermost.weight.zero_()

        def seen() -> bool:
            """Whether another pixel is another output."""
            shown = images(1, 32).expand(2, -1, -1, -1).clone()
            shown[1, :, 17, 11] *= -1
            torch.manual_seed(0)
            first = network(shown[:1])
            torch.manual_seed(0)
            return not torch.equal(first, network(shown[1:]))

        assert seen()

        def without(self: unet.Skip, planes: Tensor) -> Tensor:
            return torch.cat([torch.zeros_like(planes), nn.Sequential.forward(self, planes)], 1)

        monkeypatch.setattr(unet.Skip, "forward", without)
        assert not seen()


class TestNoise:
    @pytest.mark.parametrize(
        ("side", "widths", "sides"),
        [
            (256, (4, 8, 16, 32), [2, 4, 8]),  # CD512-CD1024-CD1024-C1024-…
            (128, (4, 8, 16, 32), [2, 4, 8]),
            (64, (4, 8, 16, 32), [2, 4]),
            (28, (4, 8, 16, 32), [2]),
            (32, (4, 8), [2, 4, 8]),
            (32, (4, 8, 16, 32, 64), [2]),
        ],
    )
    def test_stands_where_the_paper_has_it(
        self, side: int, widths: tuple[int, ...], sides: list[int]
    ) -> None:
        architecture = PIX2PIX._replace(generator_widths=widths, image_size=side)
        network = translation.build(architecture, seed=0)
        found: list[int] = []
        for layer in network.modules():
            if isinstance(layer, unet.Noise):
                layer.register_forward_hook(lambda *seen: found.append(seen[-1].shape[-1]))
        network(images(2, side))
        assert found == sides

    @pytest.mark.parametrize("training", [True, False])
    def test_is_dropout_that_is_never_off(self, training: bool) -> None:
        noise = unet.Noise(0.5).train(training)
        torch.manual_seed(0)
        dropped = noise(torch.ones(1, 10_000))
        assert dropped.unique().tolist() == [0.0, 2.0]
        assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
        share = (unet.Noise(0.2).train(training)(torch.ones(1, 10_000)) == 0).float().mean().item()
        assert share == pytest.approx(0.2, abs=0.02)

    def test_is_one_for_all_that_are_drawn_together(self) -> None:
        """So that an image is the same whatever stands beside it."""
        torch.manual_seed(0)
        drawn, learnt = (unet.Noise(0.5).train(on)(torch.ones(3, 999)) for on in (False, True))
        assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])
        assert not torch.equal(learnt[0], learnt[1])

    def test_differs_from_drawing_to_drawing_and_follows_torchs_seed(self) -> None:
        network = stirred(translation.build(SMALL[0], seed=0)).eval()
        shown = images(2, 32)
        torch.manual_seed(5)
        first, second = network(shown), network(shown)
        torch.manual_seed(5)
        assert torch.equal(network(shown), first)
        assert not torch.equal(first, second)

    def test_is_absent_where_the_share_is_0(self) -> None:
        network = translation.build(SMALL[0]._replace(dropout=0.0), seed=0).eval()
        assert not any(isinstance(layer, unet.Noise) for layer in network.modules())
        assert torch.equal(network(images(2, 32)), network(images(2, 32)))


def residual(width: int, norm: Callable[[int], nn.Module], reflect: bool, bias: bool) -> nn.Module:
    pad = nn.ReflectionPad2d(1) if reflect else nn.ZeroPad2d(1)
    layers = nn.Sequential(
        *(pad, nn.Conv2d(width, width, 3, bias=bias), norm(width), nn.ReLU()),
        *(pad, nn.Conv2d(width, width, 3, bias=bias), norm(width)),
    )

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = layers

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = x + self.layers(x)
            return result

    return Block()


class TestResnet:
    @pytest.mark.parametrize(
        ("architecture", "count"),
        [
            (CYCLEGAN, 11_378_179),  # "11.378 M", says its program
            (STARGAN, 8_430_528),  # the paper's 8.4 M
        ],
    )
    def test_has_the_papers_parameters(self, architecture: Architecture, count: int) -> None:
        assert parameters(translation.build(architecture, seed=0)) == count

    @pytest.mark.parametrize("padding", ["reflect", "zeros"])
    def test_is_cyclegans(self, padding: str) -> None:
        reflect = padding == "reflect"
        ours = stirred(translation.build(SMALL[1]._replace(padding=padding), seed=3))
        pad = nn.ReflectionPad2d(3) if reflect else nn.ZeroPad2d(3)
        norm = nn.InstanceNorm2d
        theirs = nn.Sequential(
            *(pad, nn.Conv2d(3, 4, 7), norm(4), nn.ReLU()),
            *(nn.Conv2d(4, 6, 3, stride=2, padding=1), norm(6), nn.ReLU()),
            *(nn.Conv2d(6, 8, 3, stride=2, padding=1), norm(8), nn.ReLU()),
            *(residual(8, norm, reflect, True) for _ in range(2)),
            nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1),
            *(norm(6), nn.ReLU()),
            nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
            *(norm(4), nn.ReLU()),
            *(pad, nn.Conv2d(4, 3, 7), nn.Tanh()),
        )
        give_weights(ours, theirs)
        torch.testing.assert_close(ours(images(2, 32)), theirs(images(2, 32)))

    def test_is_stargans(self) -> None:
        ours = stirred(translation.build(SMALL[2], seed=3))

        def norm(width: int) -> nn.Module:
            return nn.InstanceNorm2d(width, affine=True)

        theirs = nn.Sequential(
            *(nn.Conv2d(3 + 5, 4, 7, 1, 3, bias=False), norm(4), nn.ReLU()),
            *(nn.Conv2d(4, 6, 4, 2, 1, bias=False), norm(6), nn.ReLU()),
            *(nn.Conv2d(6, 8, 4, 2, 1, bias=False), norm(8), nn.ReLU()),
            *(residual(8, norm, False, False) for _ in range(2)),
            *(nn.ConvTranspose2d(8, 6, 4, 2, 1, bias=False), norm(6), nn.ReLU()),
            *(nn.ConvTranspose2d(6, 4, 4, 2, 1, bias=False), norm(4), nn.ReLU()),
            *(nn.Conv2d(4, 3, 7, 1, 3, bias=False), nn.Tanh()),
        )
        give_weights(ours, theirs)
        shown, to = images(2, 32), torch.tensor([4, 1])
        planes = torch.zeros(2, 5, 32, 32)
        planes[0, 4], planes[1, 1] = 1, 1
        torch.testing.assert_close(ours(shown, to), theirs(torch.cat([shown, planes], 1)))

    @pytest.mark.parametrize("small", SMALL[1:], ids=IDS[1:])
    @pytest.mark.parametrize("sides", [[28, 14, 7], [64, 32, 16], [30, 15, 8], [8, 4, 2]])
    def test_blocks_stand_where_the_side_is_smallest(
        self, small: Architecture, sides: list[int]
    ) -> None:
        network = translation.build(small._replace(image_size=sides[0], blocks=3), seed=0)
        seen: list[tuple[int, ...]] = []
        for layer in network.modules():
            if isinstance(layer, resnet.Residual):
                layer.register_forward_hook(lambda *got: seen.append(got[-1].shape[1:]))
        assert translate(network, images(2, sides[0])).shape == (2, 3, sides[0], sides[0])
        assert seen == [(8, sides[-1], sides[-1])] * 3

    @pytest.mark.parametrize("width", [1, 3])
    @pytest.mark.parametrize("shape", [(4, 4), (7, 5)])
    def test_reflection_is_pytorchs(self, width: int, shape: tuple[int, int]) -> None:
        shown = torch.randn(2, 3, *shape, requires_grad=True)
        ours = resnet.Reflection(width)(shown)
        theirs = nn.ReflectionPad2d(width)(shown)
        assert torch.equal(ours, theirs)
        weights = torch.randn_like(ours)
        gradients = [torch.autograd.grad((p * weights).sum(), shown)[0] for p in (ours, theirs)]
        torch.testing.assert_close(*gradients)

    def test_has_no_layer_whose_gradient_pytorch_refuses_when_deterministic(self) -> None:
        network = translation.build(SMALL[1], seed=0)
        for layer in network.modules():
            assert not isinstance(layer, nn.ReflectionPad2d)
            assert getattr(layer, "padding_mode", "zeros") == "zeros"

    def test_instance_norm_scales_where_domains_are_told_and_only_there(self) -> None:
        for small, affine in ((SMALL[1], False), (SMALL[2], True)):
            norms = [
                layer
                for layer in translation.build(small, seed=0).modules()
                if isinstance(layer, nn.InstanceNorm2d)
            ]
            assert norms and all(norm.affine == affine for norm in norms)


class TestPatch:
    @pytest.mark.parametrize(
        ("channels", "norm", "count"),
        [
            (6, "batch", 2_768_705),  # pix2pix's program: "2.769 M"
            (3, "instance", 2_764_737),  # CycleGAN's: "2.765 M"
        ],
    )
    def test_has_the_papers_parameters(self, channels: int, norm: str, count: int) -> None:
        facts = {"widths": [64, 128, 256, 512], "image_size": 256}
        network = patches(in_channels=channels, norm=norm, **facts)
        assert parameters(network) == count
        assert network(torch.zeros(1, channels, 256, 256)).shape == (1, 1, 30, 30)

    @pytest.mark.parametrize(
        ("kind", "norm"), [("batch", nn.BatchNorm2d), ("instance", nn.InstanceNorm2d)]
    )
    def test_is_the_papers(self, kind: str, norm: type[nn.Module]) -> None:
        ours = stirred(patches(widths=[3, 4, 5, 6], norm=kind, image_size=64))
        bias = kind == "instance"
        theirs = nn.Sequential(
            *(nn.Conv2d(3, 3, 4, 2, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(3, 4, 4, 2, 1, bias=bias), norm(4), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(4, 5, 4, 2, 1, bias=bias), norm(5), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(5, 6, 4, 1, 1, bias=bias), norm(6), nn.LeakyReLU(0.2)),
            nn.Conv2d(6, 1, 4, 1, 1),
        )
        give_weights(ours, theirs)
        torch.testing.assert_close(ours(images(2, 64)), theirs(images(2, 64)))

    @pytest.mark.parametrize(("count", "side"), [(4, 70), (3, 34), (2, 16), (1, 7)])
    def test_a_logit_depends_on_a_square_of_pixels(self, count: int, side: int) -> None:
        """Which, told by its gradient; without a norm, by which all pixels would move all."""
        network = patches(widths=[2] * count, norm="none", image_size=128)
        shown = images(1, 128).requires_grad_()
        logits = network(shown)
        middle = logits.shape[-1] // 2
        (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], shown)
        moves = gradient[0].abs().sum(0) > 0
        rows, columns = moves.any(1).nonzero().flatten(), moves.any(0).nonzero().flatten()
        assert len(rows) == len(columns) == side
        assert rows[-1] - rows[0] == columns[-1] - columns[0] == side - 1
        assert moves.sum() == side**2, "each of them"
        assert rows[0] > 0 and rows[-1] < 127, "the image's border cuts nothing off"
        assert patch.receptive_field([64, 128, 256, 512][:count]) == side

    @pytest.mark.parametrize(
        ("side", "widths", "left"),
        [(28, 4, 1), (28, 3, 5), (28, 2, 12), (32, 4, 2), (48, 4, 4), (64, 4, 6), (128, 4, 14)],
    )
    def test_as_many_logits_as_patches(self, side: int, widths: int, left: int) -> None:
        network = patches(widths=[4] * widths, norm="instance", image_size=side)
        assert network(images(2, side)).shape == (2, 1, left, left)


class TestDomains:
    def test_has_the_papers_parameters(self) -> None:
        """44.8 M at 128 pixels and with five domains, whose heads have no biases."""
        widths = [64, 128, 256, 512, 1024, 2048]
        network = two_heads(widths=widths, image_size=128)
        trunk = sum((16 * before + 1) * after for before, after in pairwise([3, *widths]))
        assert parameters(network) == trunk + 2048 * (9 + 5 * 2 * 2) == 44_762_048

    def test_is_the_papers(self) -> None:
        ours = stirred(two_heads(widths=[3, 4, 5, 6, 7, 8], image_size=128))
        ways = pairwise([3, 3, 4, 5, 6, 7, 8])
        steps = [(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.01)) for a, b in ways]
        heads = nn.Conv2d(8, 1, 3, 1, 1, bias=False), nn.Conv2d(8, 5, 2, bias=False)
        theirs = nn.Sequential(*(layer for step in steps for layer in step), *heads)
        give_weights(ours, theirs)
        got = ours(shown := images(2, 128))
        planes = theirs[:-2](shown)
        torch.testing.assert_close(got[0], heads[0](planes))
        torch.testing.assert_close(got[1], heads[1](planes).flatten(1))

    @pytest.mark.parametrize(
        ("side", "widths", "left"),
        [(28, 3, 3), (28, 4, 1), (32, 4, 2), (48, 5, 1), (64, 5, 2), (128, 6, 2)],
    )
    def test_as_many_logits_as_patches_and_domains(self, side: int, widths: int, left: int) -> None:
        network = two_heads(widths=[4] * widths, image_size=side)
        patch_logits, domain_logits = network(images(2, side))
        assert patch_logits.shape == (2, 1, left, left) and domain_logits.shape == (2, 5)


class TestEachGenerator:
    @pytest.mark.parametrize("side", [28, 32, 48, 64, 128])
    @each_small
    def test_shapes_and_range(self, small: Architecture, side: int) -> None:
        facts = {"in_channels": 1, "out_channels": 2, "image_size": side}
        network = stirred(translation.build(small._replace(**facts), seed=0))
        assert isinstance(network, Translator)
        assert (network.in_channels, network.out_channels) == (1, 2)
        assert (network.image_size, network.domains) == (side, small.domains)
        made = translate(network, images(2, side, channels=1))
        assert made.shape == (2, 2, side, side) and made.dtype == torch.float32
        assert made.abs().max() <= 1 and made.min() < -0.5 and made.max() > 0.5

    @each_small
    def test_follows_any_size_that_a_recipe_may_have(self, small: Architecture) -> None:
        few = small._replace(generator_widths=(2, 2, 2), blocks=1)
        for side in range(8, 65):
            network = translation.build(few._replace(image_size=side), seed=0)
            assert translate(network, images(2, side)).shape == (2, 3, side, side)

    @pytest.mark.parametrize("generator", ["unet", "resnet"])
    def test_the_domain_stands_in_planes_beside_the_image(self, generator: str) -> None:
        network = translation.build(SMALL[2]._replace(generator=generator), seed=0).eval()
        seen: list[Tensor] = []
        first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
        first.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        shown = images(1, 32).expand(5, -1, -1, -1)
        made = network(shown, torch.tensor([3, 0, 1, 2, 4]))
        assert seen[0].shape == (5, 8, 32, 32) and torch.equal(seen[0][:, :3], shown)
        for image, domain in enumerate([3, 0, 1, 2, 4]):
            planes = seen[0][image, 3:]
            assert (planes[domain] == 1).all() and planes.sum() == 32 * 32
        assert len({tuple(image.flatten().tolist()) for image in made}) == 5


@each_network
class TestEach:
    def test_weights_are_a_function_of_the_seed_alone(self, name: str) -> None:
        torch.manual_seed(1)
        first = ALL[name](5)
        torch.manual_seed(2)
        torch.randn(3)
        assert save(first.state_dict()) == save(ALL[name](5).state_dict())
        for weight, other in zip(first.parameters(), ALL[name](6).parameters(), strict=True):
            drawn = weight.max() > weight.min()  # not constants
            assert not drawn or not torch.equal(weight, other)

    def test_building_leaves_torchs_random_state_as_it_was(self, name: str) -> None:
        torch.manual_seed(3)
        before = torch.get_rng_state()
        ALL[name](5)
        assert torch.equal(torch.get_rng_state(), before)

    def test_begins_with_weights_n_0_002_and_scales_n_1_002(self, name: str) -> None:
        drawn: dict[str, list[Tensor]] = {"weights": [], "scales": []}
        for layer in (m for seed in range(8) for m in ALL[name](seed).modules()):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                drawn["weights"].append(layer.weight.detach().flatten())
                assert layer.bias is None or not layer.bias.any()
            elif isinstance(layer, nn.BatchNorm2d):
                drawn["scales"].append(layer.weight.detach())
                assert not layer.bias.any()
            elif isinstance(layer, nn.InstanceNorm2d) and layer.affine:
                assert (layer.weight == 1).all() and not layer.bias.any()
        for kind, found in drawn.items():
            if found:
                each = torch.cat(found)
                error = 0.02 / len(each) ** 0.5
                mean = 0 if kind == "weights" else 1
                assert each.mean().item() == pytest.approx(mean, abs=4 * error)
                assert each.std().item() == pytest.approx(0.02, abs=3 * error)
        assert drawn["weights"]

    def test_every_weight_is_trained(self, name: str) -> None:
        network = stirred(ALL[name](0))
        sum(answer.square().sum() for answer in answers(network, images(2, 32))).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())

    def test_an_image_more_changes_nothing_for_the_others(self, name: str) -> None:
        network = without_noise(stirred(ALL[name](0))).eval()
        both = answers(network, images(2, 32))
        one = answers(network, images(2, 32)[:1])
        for few, many in zip(one, both, strict=True):
            torch.testing.assert_close(few, many[:1])

    def test_memory_may_have_the_channels_last(self, name: str) -> None:
        network = without_noise(stirred(ALL[name](0)))  # whose coins fall in memory's order
        plain = answers(network, images(2, 32))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        last = answers(network, images(2, 32).to(memory_format=torch.channels_last))
        for expected, found in zip(plain, last, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)

    def test_saves_what_its_layers_have_and_nothing_else(self, name: str) -> None:
        ends = {key.rsplit(".", 1)[1] for key in ALL[name](0).state_dict()}
        statistics = {"running_mean", "running_var", "num_batches_tracked"}
        assert {"weight"} <= ends <= {"weight", "bias"} | statistics


class TestTranslation:
    def test_is_read_by_its_names_whatever_else_stands_there(self) -> None:
        assert Architecture.read(STARGAN._asdict() | {"epochs": 3}) == STARGAN

    @pytest.mark.parametrize("key", Architecture._fields)
    def test_needs_each_of_them(self, key: str) -> None:
        facts = STARGAN._asdict()
        del facts[key]
        with pytest.raises(KeyError, match=key):
            Architecture.read(facts)

    def test_is_no_network_of_a_pair(self) -> None:
        assert "translation" not in parts.names("network")


class TestWhatCannotBeBuilt:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"generator": "patch"}, "^generator: patch is not allowed; .*patch.py has none$"),
            (
                {"generator_norm": "spectral"},
                "^norm: spectral is not .*; batch or instance or none",
            ),
            (
                {"generator_widths": [2] * 6},
                r"^generator_widths: \[2, 2, 2, 2, 2, 2\] is not allowed; "
                "at 28 pixels 1 to 5 widths are$",
            ),
            (
                {"generator_widths": []},
                r"^generator_widths: \[\] is not allowed; at 28 pixels 1 to 5",
            ),
            ({"image_size": 3}, "^image_size: 3 is not allowed; 4 at least is$"),
        ],
    )
    @pytest.mark.parametrize("generator", ["unet", "resnet"])
    def test_generators(self, generator: str, changes: dict[str, Any], message: str) -> None:
        architecture = SMALL[2]._replace(image_size=28, generator=generator)
        with pytest.raises(GanvasError, match=message) as raised:
            translation.build(architecture._replace(**changes), seed=0)
        assert "\n" not in str(raised.value)

    def test_padding(self) -> None:
        message = "^padding: circular is not allowed; reflect or zeros is$"
        with pytest.raises(GanvasError, match=message):
            translation.build(CYCLEGAN._replace(padding="circular"), seed=0)

    @pytest.mark.parametrize("norm", ["instance", "batch"])
    @pytest.mark.parametrize("side", [28, 30, 33])
    def test_as_many_widths_as_are_allowed_leave_more_than_a_pixel_to_each_norm(
        self, norm: str, side: int
    ) -> None:
        """Of one pixel less its mean nothing is left: PyTorch refuses."""
        for small in SMALL:
            most = 5 if side <= 32 else 6
            facts = {"image_size": side, "generator_norm": norm, "generator_widths": [2] * most}
            network = translation.build(small._replace(**facts), seed=0)
            assert translate(network, images(2, side)).isfinite().all()
            with pytest.raises(GanvasError, match="widths"):
                translation.build(small._replace(**facts | {"generator_widths": [2] * 7}), seed=0)

    @pytest.mark.parametrize(
        ("make", "changes", "message"),
        [
            (
                patches,
                {"widths": [2] * 5, "image_size": 28},
                r"^discriminator_widths: \[2, 2, 2, 2, 2\] .*; at 28 pixels 1 to 4 widths are$",
            ),
            (patches, {"widths": []}, r"^discriminator_widths: \[\] .*; at 32 pixels 1 to 4 "),
            (patches, {"norm": "spectral"}, "^norm: spectral is not allowed"),
            (patches, {"domains": 5}, "^discriminator: patch names no domains, and there are 5$"),
            (two_heads, {"domains": 0}, "^discriminator: domains is not allowed; there are none"),
            (two_heads, {"norm": "batch"}, "^discriminator_norm: batch is not allowed; none is$"),
            (
                two_heads,
                {"widths": [2] * 5, "image_size": 28},
                r"^discriminator_widths: \[2, 2, 2, 2, 2\] .*; at 28 pixels 1 to 4 widths are$",
            ),
            (two_heads, {"widths": []}, r"^discriminator_widths: \[\] .*; at 32 pixels 1 to 5 "),
        ],
    )
    def test_discriminators(self, make: Judge, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(GanvasError, match=message) as raised:
            make(**changes)
        assert "\n" not in str(raised.value)

    def test_a_generator_is_no_discriminator(self) -> None:
        with pytest.raises(GanvasError, match=r"^discriminator: unet is not allowed"):
            translation.discriminator("unet", 3, [4, 6], "batch", 32, 0, seed=0)

    @pytest.mark.parametrize(
        ("side", "most_patches", "most_domains"),
        [
            *((8, 2, 3), (11, 2, 3), (12, 3, 3), (23, 3, 4), (24, 4, 4), (28, 4, 4)),
            *((31, 4, 4), (32, 4, 5), (47, 4, 5), (48, 5, 5), (64, 5, 6), (128, 6, 7)),
        ],
    )
    def test_discriminators_may_be_as_deep_as_the_images_allow(
        self, side: int, most_patches: int, most_domains: int
    ) -> None:
        """24, 12, 6, 3 and, by the last two layers, 2 and 1; of 23 nothing would be left."""
        for make, most in ((patches, most_patches), (two_heads, most_domains)):
            for count in range(1, most + 1):
                logits = answers(make(widths=[2] * count, image_size=side), images(2, side))[0]
                assert logits.shape[-1] >= 1
            assert logits.shape[-1] <= 3
            with pytest.raises(GanvasError, match=f"1 to {most} widths are"):
                make(widths=[2] * (most + 1), image_size=side)


class TestPerDomain:
    @pytest.fixture
    def both(self) -> PerDomain:
        architecture = CYCLEGAN._replace(
            generator_widths=(4, 6), blocks=1, image_size=8, domains=2, per_domain=True
        )
        found = translation.build(architecture, seed=0)
        assert isinstance(found, PerDomain)
        return found

    def test_leads_each_image_to_the_domain_that_it_is_told(self, both: PerDomain) -> None:
        images = torch.rand(5, 3, 8, 8) * 2 - 1
        domains = torch.tensor([0, 1, 1, 0, 1])
        found = both(images, domains)
        for image, domain, made in zip(images, domains, found, strict=True):
            assert torch.allclose(made, both[int(domain)](image[None])[0], atol=1e-6)

    def test_has_weights_of_its_own_for_each(self, both: PerDomain) -> None:
        first, second = (dict(each.named_parameters()) for each in both)
        assert first.keys() == second.keys()
        kernels = [name for name in first if first[name].dim() == 4]
        assert kernels and not any(torch.equal(first[name], second[name]) for name in kernels)
