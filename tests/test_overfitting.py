"""The discriminator's outputs on training and held-out images: exact, and measured unnoticed."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganvas import config, devices, parts, seeds
from ganvas.training import overfitting, run
from ganvas.training.engine import Engine
from ganvas.training.overfitting import Probe

COMMITTED = config.load(Path(__file__).parents[1] / "params.yaml").generating
CPU = torch.device("cpu")
PLAN = run.Plan(epochs=3, checkpoint_every=3, pictures=[], log_every=4, save_seconds=60)
CHANGED: dict[str, Any] = {"augment": ["translation", "cutout"], "instance_noise": 0.1}
Data = dict[str, Tensor]


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    devices.choose("cpu")


def examples(count: int, seed: int) -> Data:
    stream = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 28, 28), generator=stream, dtype=torch.uint8)
    return {"images": images, "labels": torch.randint(0, 10, (count,), generator=stream)}


TRAIN, VALIDATION = examples(40, 0), examples(25, 1)


def begin(
    name: str, device: torch.device = CPU, precision: str = "float32", **of: object
) -> Engine:
    """An eighth of the recipe's width, five iterations an epoch."""
    recipe = COMMITTED[name]
    narrow = {
        f"{side}_widths": [width // 8 for width in getattr(recipe, f"{side}_widths")]
        for side in ("generator", "discriminator")
    }
    batch = 8 // recipe.discriminator_steps
    settings = recipe.model_copy(update={"batch_size": batch, **narrow, **of})
    return Engine(settings, TRAIN, 0, device, precision)


def probing(engine: Engine, validation: Mapping[str, Tensor] = VALIDATION) -> Probe:
    return Probe(engine, TRAIN, validation)


def state(engine: Engine) -> Data:
    return {name: value.clone() for name, value in engine.state().items()}


# BatchNorm in either, dropout, spectral norm, classes beside the images and named, averages.
CASES: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in COMMITTED},
    "all at once": (
        "cdcgan",
        {"discriminator_dropout": 0.3, "ema_decay": 0.9, "generator_norm": "spectral", **CHANGED},
    ),
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_a_training_that_is_measured_is_the_same_to_the_byte(case: str, precision: str) -> None:
    name, changes = CASES[case]
    alone, measured = (begin(name, precision=precision, **changes) for _ in "ab")
    probe = probing(measured)
    for _ in range(3):
        before = state(measured)
        torch.manual_seed(3)
        outputs = probe.measure()
        assert torch.initial_seed() == 3 and torch.equal(
            torch.get_rng_state(), torch.Generator().manual_seed(3).get_state()
        )
        after = state(measured)
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert outputs == probe.measure()
        assert torch.equal(alone.advance(2), measured.advance(2))
    expected, found = state(alone), state(measured)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    for network in measured.method.networks.values():
        for layer in network.modules():
            assert layer.training
            assert getattr(layer, "track_running_stats", True)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gan", {}),  # BatchNorm in the generator
        ("dcgan", {"ema_decay": 0.5}),  # in both; the network that is trained, not its average
        ("dcgan_dense", {}),  # dropout
        ("hinge_sn", {}),
        ("cdcgan", {}),  # labels beside the images
        ("acgan", {}),  # one output of eleven
        ("dcgan", CHANGED),
    ],
)
def test_outputs_are_those_of_the_layers_as_they_are_trained(
    name: str, changes: dict[str, object]
) -> None:
    engine = begin(name, **changes)
    engine.advance(3)
    found = probing(engine).measure()
    generator, discriminator = (copy.deepcopy(n) for n in engine.method.networks.values())
    for layer in discriminator.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        if hasattr(layer, "_power_method"):
            layer.eval()  # its vectors stay
    told = COMMITTED[name].classes
    kinds = {"train": TRAIN, "validation": VALIDATION}
    drawn = {
        kind: torch.randperm(len(of["images"]), generator=seeds.generator(0, "probe", kind))[:25]
        for kind, of in kinds.items()
    }
    images = [kinds[kind]["images"][chosen] / 127.5 - 1 for kind, chosen in drawn.items()]
    labels = [kinds[kind]["labels"][chosen] for kind, chosen in drawn.items()]
    stream, expected = seeds.generator(0, "probe"), []
    z = torch.randn(25, 100, generator=stream)
    with torch.no_grad():
        images.append(generator(z, *([] if told == "none" else [labels[0]])))
        for shown, named in zip(images, [*labels, labels[0]], strict=True):
            if changes is CHANGED:
                for augment in (parts.load("augment", name).augment for name in CHANGED["augment"]):
                    shown = augment(shown, stream)
                shown = shown + 0.1 * torch.randn(shown.shape, generator=stream)
            beside = [named] if told == "concatenated" else []
            expected.append(discriminator(shown, *beside)[:, 0].mean().item())
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert len(set(found)) == 3


def test_images_are_the_same_all_along_as_many_of_each_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = begin("dcgan")
    seen: list[list[Tensor]] = []
    judge = engine.method.judge

    def spied(engine: Engine, real: list[Data], stream: torch.Generator) -> object:
        seen.append([batch["images"] for batch in real])
        return judge(engine, real, stream)

    monkeypatch.setattr(engine.method, "judge", spied)
    probe = probing(engine)
    probe.measure()
    engine.advance(1)
    probe.measure()
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    for found, data in zip(seen[0], (TRAIN, VALIDATION), strict=True):
        assert len(found) == 25  # all that are held out
        chosen, given = ({each.numpy().tobytes() for each in of} for of in (found, data["images"]))
        assert len(chosen) == 25 and chosen <= given
    first = {each.numpy().tobytes() for each in TRAIN["images"][:25]}
    assert {each.numpy().tobytes() for each in seen[0][0]} != first  # from all over the file
    monkeypatch.setattr(overfitting, "IMAGES", 16)
    probing(engine).measure()
    assert [len(images) for images in seen[2]] == [16, 16]


def test_images_without_labels_are_measured_where_no_network_is_told_them() -> None:
    engine = begin("dcgan")
    bare = ({"images": data["images"]} for data in (TRAIN, VALIDATION))
    assert Probe(engine, *bare).measure() == probing(engine).measure()


@pytest.mark.parametrize("name", ["cdcgan", "acgan", "dcgan"])
def test_held_out_images_of_a_class_that_none_is_trained_on_are_left_out(name: str) -> None:
    engine, few = begin(name), VALIDATION["labels"].clone()
    few[:4] = 10
    known = {name: values[4:] for name, values in VALIDATION.items()}
    found = probing(engine, {**VALIDATION, "labels": few}).measure()
    assert found == probing(engine, known).measure()


def start(folder: Path, plan: run.Plan = PLAN, probed: bool = True) -> run.Run:
    engine = begin("dcgan")
    return run.Run(folder, engine, plan, probing(engine) if probed else None)


def contents(current: run.Run, folder: Path) -> dict[str, bytes]:
    current.export(folder, {})
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_history_has_the_outputs_at_the_end_of_each_row(tmp_path: Path) -> None:
    current = start(tmp_path / "run")
    rows = [row for stop in current.go_on() for row in stop.history]
    assert current.columns[-3:] == ("train_logit", "validation_logit", "generated_logit")
    assert [row[0] for row in rows] == current.probed[:, 0].tolist() == [4, 8, 12, 15]
    engine = begin("dcgan")
    probe = probing(engine)
    for row, iterations in zip(rows, (4, 4, 4, 3), strict=True):
        engine.advance(iterations)
        assert list(row[-3:]) == probe.measure()
    assert current.curves(rows)[1][1]["validation_logit"] == rows[1][-2]
    found = contents(current, tmp_path / "out")
    bare = start(tmp_path / "bare run", probed=False)
    list(bare.go_on())
    without = contents(bare, tmp_path / "bare")
    table, shorter = (
        [line.split(",") for line in of.pop("history.csv").decode().splitlines()]
        for of in (found, without)
    )
    assert found == without
    assert [line[:-3] for line in table] == shorter


@pytest.mark.parametrize("stops", [1, 2, 3, 5])
def test_interrupted_or_made_longer_it_gives_the_same_bytes(stops: int, tmp_path: Path) -> None:
    whole = start(tmp_path / "whole")
    list(whole.go_on())
    first = start(tmp_path / "run")
    for count, _ in enumerate(first.go_on(), start=1):
        if count == stops:
            first.interrupt()
    assert 0 < first.engine.iteration < 15
    # An end between two rows, where the shorter training was measured too.
    shorter = start(tmp_path / "shorter", PLAN._replace(epochs=2, checkpoint_every=3))
    list(shorter.go_on())
    assert shorter.engine.iteration == 10
    expected = contents(whole, tmp_path / "a")
    for folder in ("run", "shorter"):
        again = start(tmp_path / folder)
        assert again.engine.iteration > 0
        list(again.go_on())
        assert again.warnings() == whole.warnings()
        assert contents(again, tmp_path / f"{folder} out") == expected


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ((2.0, 2.0, -2.0), 0.0),
        ((2.0, -2.0, -2.0), 1.0),
        ((3.0, 2.0, -1.0), 0.25),
        ((-300.0, -310.0, -340.0), 0.25),  # a critic's outputs have no zero
        ((2.0, 3.0, 0.0), -0.5),
    ],
)
def test_the_share_is_the_papers(outputs: tuple[float, float, float], expected: float) -> None:
    assert overfitting.share(outputs) == expected


def warned(*rows: tuple[float, float, float]) -> list[str]:
    found = overfitting.warnings(rows)
    assert all("\n" not in warning for warning in found)
    return found


def test_the_warning_begins_half_way() -> None:
    assert warned((2.0, 0.01, -2.0)) == []
    (warning,) = warned((2.0, -0.5, -2.0))
    assert "learnt training images by heart" in warning and " 62 % of the way" in warning
    for advice in ("augment: [translation, cutout]", "fewer", "lr_discriminator", "add images"):
        assert advice in warning
    assert warned((2.0, 0.0, -2.0))
    assert warned((-2.0, 0.0, 2.0)) == warned((1.0, 0.0, 1.0)) == []  # it tells nothing apart


def test_who_cannot_augment_is_not_told_to() -> None:
    rows = [(2.0, -0.5, -2.0)]
    (may,), (may_not,) = overfitting.warnings(rows), overfitting.warnings(rows, augmented=False)
    assert "augment" not in may_not and ". Train for fewer epochs, lower lr_disc" in may_not
    # To the letter as ever: it stands in the files of trained models.
    assert may.endswith(
        "generated ones. Set augment: [translation, cutout], which takes more epochs, or train for "
        "fewer, lower lr_discriminator, add images"
    )


def test_the_warning_is_of_the_last_tenth_three_rows_at_least() -> None:
    well, ill = (2.0, 1.9, -2.0), (2.0, -1.9, -2.0)
    assert warned(*[ill] * 36, *[well] * 4) == warned(*[ill] * 9, *[well] * 3) == []
    assert warned(*[well] * 36, *[ill] * 4) and warned(*[well] * 9, *[ill] * 3)
    assert warned(*[well] * 11, ill) == []
    # The outputs are averaged, not their shares: where hardly anything is told apart, a share is
    # mere chance.
    assert warned(well, well, (0.02, -0.02, 0.01)) == []


def test_a_training_ends_with_the_warning(tmp_path: Path) -> None:
    current = start(tmp_path / "run")
    assert current.warnings() == []
    list(current.go_on())
    assert current.warnings() == []
    current.probed[:, 1:] = torch.tensor([2.0, -2.0, -2.0])
    (warning,) = current.warnings()
    assert "100 % of the way" in warning
    current.export(tmp_path / "out", {})
    assert json.loads((tmp_path / "out/config.json").read_text())["warnings"] == [warning]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
@pytest.mark.parametrize("case", CASES)
def test_measuring_between_the_replays_of_a_cuda_graph_changes_nothing(case: str) -> None:
    name, changes = CASES[case]
    device = devices.choose("cuda")
    alone, measured = (begin(name, device, **changes) for _ in "ab")
    probe = probing(measured)
    for _ in range(3):
        assert probe.measure() == probe.measure()
        assert torch.equal(alone.advance(2), measured.advance(2))
    assert measured.captured
    expected, found = state(alone), state(measured)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
