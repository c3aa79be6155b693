"""The program that says what BatchNorm costs where a generator draws."""

import json
import sys
from pathlib import Path

import pytest
import torch
from recipes import architecture
from torch import Tensor, nn

from benchmarks import batchnorm
from ganvas import networks
from ganvas.drawing import sampling


def trained() -> networks.Generator:
    """A generator whose averages lag behind what it has become."""
    generator, _ = networks.build(architecture("dcgan", generator_widths=[16, 8, 8]), 0)
    generator(networks.latent(generator, 500, generator=torch.Generator().manual_seed(1)))
    return generator.eval()


def test_statistics_taken_anew_are_those_of_the_batches_as_they_come() -> None:
    """Of every layer, on what the layers before it make of each batch by itself."""
    generator = trained()
    before = [module.running_var.clone() for module in batchnorm.normalisations(generator)]
    anew = batchnorm.normalisations(batchnorm.anew(generator))
    again, seen = batchnorm.by_itself(generator), [[] for _ in anew]
    for module, found in zip(batchnorm.normalisations(again), seen, strict=True):

        def note(
            _: nn.Module, given: tuple[Tensor], found: list[tuple[Tensor, ...]] = found
        ) -> None:
            axes = [0, *range(2, given[0].dim())]
            found.append((given[0].mean(axes), given[0].var(axes)))

        module.register_forward_pre_hook(note)
    sampling.images(again, batchnorm.TAKEN, 1)
    assert len(anew) == 3
    for module, found, old in zip(anew, seen, before, strict=True):
        means, variances = (torch.stack(each).mean(0) for each in zip(*found, strict=True))
        torch.testing.assert_close(module.running_mean, means, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(module.running_var, variances, rtol=1e-3, atol=1e-5)
        assert not module.training and not torch.allclose(module.running_var, old, rtol=0.5)
    after = [module.running_var for module in batchnorm.normalisations(generator)]
    assert all(map(torch.equal, before, after)), "the generator itself stays as it is"


def test_a_batch_by_itself_hangs_on_its_company() -> None:
    generator = trained()
    for drawing, most in ((generator, 1), (batchnorm.by_itself(generator), 255)):
        whole, parts = (
            sampling.images(drawing, 500, 0, batch=size).astype(int) for size in (500, 20)
        )
        apart = abs(whole - parts).max()
        assert apart <= most and (apart > 1) == (most > 1)


def test_prints_the_fid_of_the_pipeline_in_its_first_row(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made)
    asked = ["--datasets", "digits", "--models", "gan", "dcgan", "--images", "200"]
    monkeypatch.setattr(sys, "argv", ["batchnorm", *asked])
    batchnorm.main()
    lines = capsys.readouterr().out.splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert cells[0] == ["normalised by", "gan, digits", "dcgan, digits"]
    for model, shown in zip(("gan", "dcgan"), cells[2][1:], strict=True):
        scores = json.loads((made / f"results/digits/{model}/metrics.json").read_text())
        assert float(shown) == pytest.approx(scores["classifier"]["fid"], abs=0.006)
    assert len(cells) == 4 + len(batchnorm.SIZES)
