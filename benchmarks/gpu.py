"""The day there is a GPU: every check and every measurement, in one command of at most 8 minutes.

    python -m benchmarks.gpu [--mnist FOLDER] [--seconds 450] [PART ...]

Every recipe of params.yaml, in both precisions: is it replayed from a CUDA graph, to the bit as it
runs eagerly, the same with the data on the host, a second time, and resumed in the middle; how fast
beside the tutorials' plain loop. Then the evaluation, and dcgan's and gan's whole trainings on
MNIST.

Each part has a process of its own, so that one that dies or hangs costs nothing but its own rows.
Progress goes to standard error, the table in markdown to standard output at the end. The exit code
is 1 where a check failed; what there was no time for, or no package, is said in the table.

MNIST is read from data/normalized/mnist, or as published from FOLDER (data/raw/mnist, or mnist/ in
GANVAS_MIRROR); else made-up images of the same size stand in for it, and the table says so.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import scipy
import torch
from safetensors.torch import load, save

try:  # of what ganvas needs, a borrowed machine may have little; no part needs MLflow or DVC
    from benchmarks import evaluation, training
    from ganvas import config, devices, networks
    from ganvas.data import datasets, normalize
    from ganvas.data.datasets import Split
    from ganvas.drawing import sampling
    from ganvas.evaluation import classifier, features
    from ganvas.progress import Progress
    from ganvas.training import run
    from ganvas.training.engine import Engine
except ModuleNotFoundError as missing:
    sys.exit(f"benchmarks.gpu: no package {missing.name}; pip install pydantic ruamel.yaml tqdm")

PRECISIONS = ("float32", "bfloat16")
WHOLE = ("dcgan", "gan")  # trained to their end, or until there is no time left
STARTING = 15  # seconds that a part's process takes to start and to stop, at most
State = dict[str, torch.Tensor]
T = TypeVar("T")


class Row(NamedTuple):
    """A line of the table; `passed` is None where nothing is checked, only measured or left out."""

    what: str
    result: str
    passed: bool | None = None


class Part(NamedTuple):
    """`rows` makes them, given the device and the moment (time.monotonic) to be done by."""

    seconds: float  # that it may take
    rows: Callable[[torch.device, float], Iterable[Row]]


def parts(params: config.Params, mnist: Path) -> dict[str, Part]:
    """By name, in the order in which time is given to them."""
    # The recipes that are trained to their end may take longer, and are measured more closely.
    checks = {
        name: Part(75, partial(of_recipe, params, name, mnist))
        if name in WHOLE
        else Part(40, partial(of_recipe, params, name, mnist, rounds=2))
        for name in params.generating
    }
    whole = {
        f"{name}-training": Part(180, partial(whole_training, params, name, mnist))
        for name in WHOLE
    }
    return checks | {"evaluation": Part(90, partial(of_evaluation, params, mnist))} | whole


# What each part does.


def of_recipe(
    params: config.Params,
    model: str,
    mnist: Path,
    device: torch.device,
    end: float,
    iterations: int = 100,
    rounds: int = 3,
) -> Iterator[Row]:
    """Checks in each precision, and the speed of all."""
    recipe = params.generating[model]
    # As many updates of the discriminator, in about the time of any other recipe.
    iterations = max(2, iterations // recipe.discriminator_steps)
    # So few that the iterations go through some epochs.
    shown = recipe.batch_size * recipe.discriminator_steps  # in an iteration
    data, _ = images(mnist, params, count=shown * max(1, iterations // 4))
    for precision in PRECISIONS:
        rows = same_training(recipe, data, device, precision, iterations)
        yield from guarded(f"{precision}: checks", rows)
    if time.monotonic() < end:
        yield from guarded("speed", speed(recipe, data, device, iterations, rounds))
    else:
        yield Row("speed", "left out: no time left")


def same_training(
    recipe: config.Recipe, data: Split, device: torch.device, precision: str, iterations: int
) -> Iterator[Row]:
    """Is it the same training eagerly, from the host, again, and resumed: measures and state."""

    def begin(capture: bool = True, on_host: bool = False) -> Engine:
        # With the labels, for the methods that look at them.
        return Engine(recipe, data.tensors(), 0, device, precision, iterations, capture, on_host)

    def compare(what: str, engine: Engine, measured: torch.Tensor) -> Row:
        start = iterations - len(measured)
        mine = {"measured": expected[start:]} | stored(first)
        return compared(f"{precision}: {what}", mine, {"measured": measured} | stored(engine))

    first, half = begin(), iterations // 2
    expected = first.advance(iterations)
    right = first.captured == (device.type == "cuda")
    yield Row(f"{precision}: replayed from a CUDA graph", "yes" if first.captured else "no", right)
    finite = bool(expected.isfinite().all())
    yield Row(
        f"{precision}: finite after {iterations} iterations", "yes" if finite else "no", finite
    )
    eager = begin(capture=False)
    yield compare("eager", eager, eager.advance(iterations))
    host = begin(on_host=True)
    yield compare("data on the host", host, host.advance(iterations))
    again = begin()
    yield compare("a second time", again, torch.cat([again.advance(half), again.advance(half)]))
    begun, resumed = begin(), begin()
    begun.advance(half)
    resumed.restore(stored(begun))
    yield compare("resumed in the middle", resumed, resumed.advance(iterations - half))
    before = stored(first)
    drawn = (
        {"images": first.method.draw(first, first.first(1))},
        {"images": first.method.draw(first, first.first(1))},
    )
    yield compared(f"{precision}: progress picture drawn twice", *drawn)
    yield compared(f"{precision}: drawing changes nothing", before, stored(first))


def stored(engine: Engine) -> State:
    """The state as it is in a file."""
    state: State = load(save({k: v.contiguous().cpu() for k, v in engine.state().items()}))
    return state


def compared(what: str, expected: State, found: State) -> Row:
    """Are both the same to the bit; if not, where and by how much they differ."""
    apart = [name for name, values in expected.items() if not torch.equal(values, found[name])]
    if not apart:
        return Row(what, "the same to the bit", True)
    differences = {name: _difference(expected[name], found[name]) for name in apart}
    worst = max(differences, key=lambda name: differences[name])
    told = f"{len(apart)} of {len(expected)} tensors differ, {worst} by {differences[worst]:.1e}"
    if "measured" in apart:
        rows = (expected["measured"] != found["measured"]).any(1).nonzero()
        told += f"; measures from iteration {int(rows[0]) + 1} of {len(expected['measured'])} on"
    return Row(what, told, False)


def _difference(expected: torch.Tensor, found: torch.Tensor) -> float:
    """The largest, relative to the largest value."""
    a, b = expected.double(), found.double()
    return float((a - b).abs().max() / a.abs().max().clamp(min=1e-30))


def speed(
    recipe: config.Recipe, data: Split, device: torch.device, size: int, rounds: int
) -> Iterator[Row]:
    spent = training.times(recipe, data.tensors(), device, size, rounds)
    for name, values in spent.items():
        against = [side for side in ("plain", f"{name}, eager") if side in spent and side != name]
        ratios = [
            f"{training.ratio(spent[side], values)} times as fast as {side}" for side in against
        ]
        yield Row(name, ", ".join([f"{statistics.median(values):.3f} ms an iteration", *ratios]))


def whole_training(
    params: config.Params, model: str, mnist: Path, device: torch.device, end: float
) -> Iterator[Row]:
    """As stage train does it, with checkpoints and pictures, but for the tracker."""
    data, what = images(mnist, params)
    recipe, train = params.recipe("mnist", model), params.train
    plan = run.Plan(
        recipe.epochs, recipe.checkpoint_every, train.pictures, train.log_every, train.save_seconds
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(
            recipe, {"images": data.images}, params.seed, device, train.precision, train.log_every
        )
        whole = run.Run(Path(folder), engine, plan)
        began = time.monotonic()
        with Progress(model, whole.iterations) as bar:
            for stop in whole.go_on():
                bar.at(stop.iteration)
                if time.monotonic() > end:
                    whole.interrupt()
        spent = time.monotonic() - began
    rate = engine.iteration / spent
    told = f"{spent:.1f} s, {rate:.0f} it/s"
    if engine.iteration < whole.iterations:
        told = f"out of time after {told}; the whole would take {whole.iterations / rate:.0f} s"
    yield Row(f"{recipe.epochs} epochs of {len(data.images):,} images, {what}", told)
    for warning in whole.warnings():
        yield Row("warning", warning)


def of_evaluation(
    params: config.Params,
    mnist: Path,
    device: torch.device,
    end: float,
    count: int = 10_000,
    trials: int = 2,
) -> Iterator[Row]:
    """Drawing, the classifier, the measures of `count` images, and Inception."""
    split, _ = images(mnist, params)
    yield from guarded("drawing", drawing(params, device, count))
    yield from guarded("classifier", of_classifier(params, split, device))
    yield from guarded("measures", of_measures(device, count, trials))
    if time.monotonic() < end:
        yield from guarded("inception", of_inception(split, device, count, end))
    else:
        yield Row("inception", "left out: no time left")


def drawing(params: config.Params, device: torch.device, count: int) -> Iterator[Row]:
    recipe = params.generating["dcgan"]
    facts = {"channels": 1, "image_size": 28, "class_counts": []}
    pair = networks.build(networks.Architecture.read(recipe.model_dump() | facts), seed=0)
    generator = pair[0].to(device).eval()
    drawn, spent = zip(
        *(timed(partial(sampling.images, generator, count, 0)) for _ in "ab"),
        strict=True,
    )
    yield Row(f"{count:,} images drawn by {recipe.network}", f"{spent[1]:.2f} s")
    first, second = ({"images": torch.from_numpy(images)} for images in drawn)
    yield compared("drawn a second time", first, second)


def of_classifier(params: config.Params, data: Split, device: torch.device) -> Iterator[Row]:
    """An epoch of its training, twice; and its features, beside those of the processor."""
    settings = params.classifier.model_copy(update={"epochs": 1})
    made, spent = zip(
        *(timed(lambda: next(classifier.train(settings, data, 10, device))[0]) for _ in "ab"),
        strict=True,
    )
    size = f"an epoch of {len(data.images):,} images"
    yield Row(f"classifier trained, {size}", f"{spent[1]:.2f} s")
    first, second = ({k: v.cpu() for k, v in network.state_dict().items()} for network in made)
    yield compared("classifier trained a second time", first, second)
    few, cpu = data.images[:500], torch.device("cpu")
    mine = features.extract(made[0], few, device).features
    theirs = features.extract(made[0].cpu(), few, cpu).features
    apart = _difference(theirs, mine)
    yield Row("features beside those of the processor", f"differ by {apart:.1e}", apart < 1e-4)


def of_measures(device: torch.device, count: int, trials: int) -> Iterator[Row]:
    for name, seconds in evaluation.all_measures(trials, device, count, 6 * count).items():
        where = "on the device" if name == "features" else "on the processor"
        yield Row(f"{name} of {count:,} images", f"{statistics.median(seconds):.2f} s {where}")


def of_inception(data: Split, device: torch.device, count: int, end: float) -> Iterator[Row]:
    """Its speed with random weights, in batches as the stages make them and in larger ones."""
    try:
        from ganvas.evaluation import extractors, inception
    except ModuleNotFoundError as missing:
        yield Row("inception", f"left out: no package {missing.name}")
        return
    with tempfile.TemporaryDirectory() as folder:
        weights = evaluation.random_weights(Path(folder))
        network = inception.load(weights, sha256=None, device=device)
    for batch in (extractors.BATCH["inception"], 250):
        if time.monotonic() < end:
            few = data.images[:count]
            features.extract(network, few[:batch], device, batch)  # warm up
            _, spent = timed(partial(features.extract, network, few, device, batch))
            rate = f"{len(few) / spent:.0f} images/s"
            yield Row(f"inception features, batches of {batch}", rate)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it returns, on the processor or not used before it is there; and its seconds."""
    began = time.perf_counter()
    made = work()
    return made, time.perf_counter() - began


def guarded(what: str, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows; where they break off, one that says why, so that the rest still runs."""
    try:
        yield from rows
    except Exception as error:
        told = str(error).partition("\n")[0]
        yield Row(what, f"{type(error).__name__}: {told}", False)


def images(
    mnist: Path, params: config.Params, count: int | None = None, made_up: int = 60_000
) -> tuple[Split, str]:
    """The first of MNIST's training images, and what they are; made up where there are none."""
    settings = params.datasets["mnist"]
    size, held_out = settings.image_size, settings.validation_images or 0
    normalized = Path("data/normalized/mnist")
    if (normalized / "train.safetensors").exists():
        split, what = datasets.load(normalized, "train"), "MNIST"
    elif mnist.is_dir():
        arrays = normalize.splits("mnist", mnist, size, held_out)["train"]
        split, what = Split(**{k: torch.from_numpy(v.copy()) for k, v in arrays.items()}), "MNIST"
    else:
        generator = np.random.default_rng(0)
        shape = (made_up - held_out, 1, size, size)
        pixels = torch.from_numpy(generator.integers(0, 256, shape, dtype=np.uint8))
        split, what = Split(pixels, torch.arange(len(pixels)) % 10), "made up"
    return split.first(count), what


# How they are run.


def in_a_process(name: str, command: Sequence[str], seconds: float) -> list[Row]:
    """The rows that the command prints; one more where it died, or was stopped."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds)
        printed = done.stdout
        failure = f"its process ended with {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired as error:
        printed, failure = error.stdout or b"", f"stopped: not done after {seconds:.0f} s"
    rows = [Row(*json.loads(line)) for line in printed.splitlines()]
    rows += [Row("the whole", failure, False)] if failure else []
    return [row._replace(what=f"{name}: {row.what}") for row in rows]


def in_turns(
    chosen: dict[str, float], command: Callable[[str, float], Sequence[str]], seconds: float
) -> list[Row]:
    """The rows of the parts, each of which may take its seconds while there are some left."""
    end = time.monotonic() + seconds
    rows = []
    for name, most in chosen.items():
        left = min(most, end - time.monotonic())
        if left < 2 * STARTING:
            rows.append(Row(name, "left out: no time left"))
            continue
        print(f"{name}: {left:.0f} s at most", file=sys.stderr, flush=True)
        rows += in_a_process(name, command(name, left), left)
    return rows


def table(rows: Iterable[Row], device: torch.device) -> str:
    verdicts = {True: "ok", False: "**FAILED**", None: ""}
    versions = [
        devices.describe(device),
        f"CUDA {torch.version.cuda}",
        f"cuDNN {torch.backends.cudnn.version()}",
        f"Python {platform.python_version()}",
        f"NumPy {np.__version__}",
        f"SciPy {scipy.__version__}",
        f"{os.cpu_count()} processors",
        f"{datetime.now(UTC):%Y-%m-%d}",
    ]
    lines = ["| | | |", "|---|---|---|"]
    for what, result, passed in rows:
        lines.append(f"| {what} | {result.replace('|', '/')} | {verdicts[passed]} |")
    return "\n".join([", ".join(versions) + ":", "", *lines])


def main() -> None:
    mirror = os.environ.get("GANVAS_MIRROR")
    published = Path(mirror) / "mnist" if mirror else Path("data/raw/mnist")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("part", nargs="*", help="all of them, if none is named")
    parser.add_argument("--mnist", type=Path, default=published, help="the published files")
    parser.add_argument("--seconds", type=float, default=450, help="for everything together")
    parser.add_argument("--rows", action="store_true", help="of one part, here, as lines of JSON")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu: PyTorch finds no CUDA GPU on this machine")
    known = parts(config.load(), options.mnist)
    if unknown := set(options.part) - known.keys():
        sys.exit(f"benchmarks.gpu: unknown part {min(unknown)!r}; allowed: {', '.join(known)}")
    chosen = options.part or list(known)
    device = devices.choose("cuda")
    if options.rows:
        end = time.monotonic() + options.seconds - STARTING
        for row in guarded("the whole", known[chosen[0]].rows(device, end)):
            print(json.dumps(row), flush=True)
            print("  " + ": ".join(row[:2]), file=sys.stderr, flush=True)
        return

    def command(name: str, seconds: float) -> Sequence[str]:
        this = [sys.executable, "-m", "benchmarks.gpu", name, "--rows"]
        return [*this, "--mnist", str(options.mnist), "--seconds", str(seconds)]

    rows = in_turns({name: known[name].seconds for name in chosen}, command, options.seconds)
    print(table(rows, device))
    sys.exit(any(row.passed is False for row in rows))


if __name__ == "__main__":
    main()
