"""The program that says what BatchNorm costs where a generator draws."""

import json
import sys
from pathlib import Path

import pytest
import torch
from recipes import architecture
from torch import Tensor

from benchmarks import batchnorm
from ganvas import networks


def trained() -> networks.Generator:
    """A generator whose averages lag behind what it has become."""
    generator, _ = networks.build(architecture("dcgan", generator_widths=[16, 8, 8]), 0)
    generator(networks.latent(generator, 500, generator=torch.Generator().manual_seed(1)))
    return generator.eval()


def test_statistics_taken_anew_are_those_of_the_batches_as_they_come() -> None:
    generator = trained()
    before = [module.running_mean.clone() for module in batchnorm.normalisations(generator)]
    copy = batchnorm.anew(generator)
    seen: list[Tensor] = []
    again = batchnorm.by_itself(generator)
    batchnorm.normalisations(again)[0].register_forward_pre_hook(
        lambda _, given: seen.append(given[0].mean([0, *range(2, given[0].dim())]))
    )
    batchnorm.drawn(again, batchnorm.points(generator, batchnorm.TAKEN, 1, "anew"), 500)
    first = batchnorm.normalisations(copy)[0]
    torch.testing.assert_close(first.running_mean, torch.stack(seen).mean(0), rtol=1e-4, atol=1e-5)
    assert not copy.training and not torch.equal(first.running_mean, before[0])
    after = [module.running_mean for module in batchnorm.normalisations(generator)]
    assert all(map(torch.equal, before, after)), "the generator itself stays as it is"


def test_a_batch_by_itself_hangs_on_its_company() -> None:
    generator = trained()
    given = batchnorm.points(generator, 8, 0, "samples")
    alone = batchnorm.by_itself(generator)
    whole, halves = (batchnorm.drawn(alone, given, size) for size in (8, 4))
    assert (whole != halves).any()
    whole, halves = (batchnorm.drawn(generator, given, size) for size in (8, 4))
    assert abs(whole.astype(int) - halves).max() <= 1


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
