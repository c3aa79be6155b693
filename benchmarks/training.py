"""Our training step against the plain idioms of the tutorials (plain.py), taking turns.

Prints the medians and the ratios, smallest to largest; docs/results.md has those of 2 CPU cores.

    python -m benchmarks.training [--iterations 60] [--rounds 5] [--device auto]
    python -m benchmarks.training --processes 2 [--rounds 5] [--device cpu]

With --processes, instead: one process with that many threads beside as many processes that share
each batch, with a thread each, from small trainings to large ones. benchmarks/processes.md has a
table.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from ganvas import config, devices, networks
from ganvas.tracking.runs import Tracker
from ganvas.training import launching, overfitting, run
from ganvas.training.engine import Engine
from ganvas.training.sharing import ALONE, Sharing

IMAGES = 60_000
PLAIN = Path(__file__).with_name("plain.py")


@contextlib.contextmanager
def plain(
    recipe: config.Recipe, images: torch.Tensor, device: torch.device
) -> Iterator[Callable[[int], float]]:
    """The plain loop, waiting in its own process: call it with a number of iterations.

    In this one it would be faster than its users see it: what ganvas sets for OpenMP and malloc
    holds for the whole process.
    """
    _, channels, size, _ = images.shape
    facts = {"channels": channels, "image_size": size, "class_counts": []}
    architecture = networks.Architecture.read(recipe.model_dump() | facts)
    generator, discriminator = networks.build(architecture, seed=0)
    made = {
        # Layers without our classes, which that process cannot import.
        "generator": nn.Sequential(*generator),
        "discriminator": nn.Sequential(*discriminator, nn.Flatten(0)),
        "images": images,
        "latent_dim": recipe.latent_dim,
        "batch_size": recipe.batch_size,
        "lr_g": recipe.lr_generator,
        "lr_d": recipe.lr_discriminator,
        "betas": tuple(recipe.betas),
    }
    ours = ("OMP_", "GOMP_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "networks.pt"
        torch.save(made, path)
        with subprocess.Popen(
            [sys.executable, str(PLAIN), str(path), str(device)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            asked, answers = process.stdin, process.stdout
            assert asked and answers

            def iterate(count: int) -> float:
                print(count, file=asked, flush=True)
                return float(answers.readline())

            yield iterate
            asked.close()


def as_in_tutorials(recipe: config.Recipe) -> bool:
    """Whether the plain loop does what the recipe says."""
    done = {
        **{"method": "adversarial", "objective": "non_saturating", "optimizer": "adam"},
        **{"classes": "none", "latent": "normal", "discriminator_steps": 1, "penalties": {}},
        **{"label_smoothing": 0, "augment": [], "instance_noise": 0, "horizontal_flips": False},
    }
    both = recipe.generator_norm, recipe.discriminator_norm
    plain = recipe.generator_output == "tanh" and "spectral" not in both
    return plain and all(getattr(recipe, key) == value for key, value in done.items())


def seconds(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def times(
    recipe: config.Recipe,
    data: Mapping[str, torch.Tensor],
    device: torch.device,
    size: int,
    rounds: int,
) -> dict[str, list[float]]:
    """ms per iteration of each side, round by round: `size` iterations each, taking turns.

    Sides are `plain`, where the recipe is what the tutorials do, each precision, and on CUDA each
    of them without its graph.
    """
    sides: dict[str, Callable[[], float]] = {}
    with contextlib.ExitStack() as stack:
        if as_in_tutorials(recipe):
            theirs = stack.enter_context(plain(recipe, data["images"], device))
            sides["plain"] = partial(theirs, size)
        for precision, capture in itertools.product(
            ("float32", "bfloat16"), (True, False) if device.type == "cuda" else (True,)
        ):
            engine = Engine(recipe, data, 0, device, precision, longest=size, capture=capture)
            name = precision if capture else f"{precision}, eager"
            sides[name] = partial(seconds, partial(engine.advance, size), device)
        for work in sides.values():
            work()  # warm up
        spent: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, work in sides.items():
                spent[name].append(work() / size * 1000)
    return spent


def ratio(theirs: list[float], mine: list[float]) -> str:
    """How many times as fast, the median of rounds that ran side by side, and their range."""
    each = [a / b for a, b in zip(theirs, mine, strict=True)]
    return f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"


def compare(
    model: str, device: torch.device, data: Mapping[str, torch.Tensor], size: int, rounds: int
) -> None:
    """Print ms per iteration of each side, and the ratios to the plain loop."""
    spent = times(config.load().generating[model], data, device, size, rounds)
    first = next(iter(spent))  # plain, where there is such a loop
    for name, values in spent.items():
        print(
            f"{model:6} {name:15} {statistics.median(values):8.2f} ms/iteration, "
            f"{ratio(spent[first], values)} times as fast as {first}",
            flush=True,
        )


def overhead(
    model: str, device: torch.device, data: Mapping[str, torch.Tensor], rounds: int
) -> None:
    """What all that is written and measured adds to the bare loop, as a share of it.

    Two epochs of MNIST (937 iterations) side by side: bare, and with a row every 100 iterations,
    the outputs on held-out images in it, a picture, a checkpoint and a state, as often as in
    dcgan's recipe and ten times as often as in gan's. MLflow has been opened before: that takes
    seconds, once in a training.
    """
    recipe = config.load().generating[model].model_copy(update={"epochs": 1, "checkpoint_every": 1})
    shares = []
    with tempfile.TemporaryDirectory() as folder, Tracker(Path(folder), "b", model) as tracker:
        opened = Path(folder) / "opened"
        tracker.keep_run_id(opened)
        while not opened.exists():
            time.sleep(0.1)
        for turn in range(rounds):
            bare, tracked = (Engine(recipe, data, 0, device) for _ in range(2))
            plan = run.Plan(1, 1, [500], 100, save_seconds=60)
            probe = overfitting.Probe(tracked, data, data)
            whole = run.Run(Path(folder) / f"run{turn}", tracked, plan, probe)
            for engine in (bare, tracked):
                engine.advance(37)
            whole.measured = torch.zeros(37, len(tracked.method.measures))

            def alone(bare: Engine = bare) -> None:
                for _ in range(9):
                    bare.advance(100)

            def with_everything(whole: run.Run = whole) -> None:
                for stop in whole.go_on():
                    tracker.curves(whole.curves(stop.history))
                    if stop.picture:
                        tracker.picture("progress", stop.picture, stop.iteration)

            # In turns, so that neither side always has the warmer machine.
            first, second = (alone, with_everything) if turn % 2 else (with_everything, alone)
            spent = {work: seconds(work, device) for work in (first, second)}
            shares.append(spent[with_everything] / spent[alone] - 1)
    print(
        f"{model:6} tracking, held-out images, pictures, checkpoints and states add "
        f"{statistics.median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%})"
    )


class Size(NamedTuple):
    """Of a training that processes share."""

    model: str
    side: int  # pixels
    wider: int  # times the recipe's widths
    batch_size: int
    iterations: int  # of a round

    def engine(self, sharing: Sharing) -> Engine:
        recipe = config.load().generating[self.model]
        settings = recipe.model_dump() | {"batch_size": self.batch_size}
        deeper = int(self.model == "dcgan" and self.side > 32)  # doubled away from the image
        for network in ("generator", "discriminator"):
            widths = sorted(self.wider * width for width in settings[f"{network}_widths"])
            widths += [2 * widths[-1]] * deeper
            falling = settings[f"{network}_widths"][0] > settings[f"{network}_widths"][-1]
            settings[f"{network}_widths"] = widths[::-1] if falling else widths
        shape = 4 * self.batch_size, 1, self.side, self.side
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        data = {"images": torch.from_numpy(pixels)}
        changed = recipe.model_copy(update=settings)
        return Engine(changed, data, 0, torch.device("cpu"), longest=100, sharing=sharing)


# What is sent in an iteration grows with the networks; what is computed, with batch and side too.
SIZES = (
    Size("gan", 28, 1, 64, 10),
    Size("gan", 28, 1, 512, 3),
    Size("dcgan", 28, 1, 64, 5),
    Size("dcgan", 28, 1, 256, 2),
    Size("dcgan", 64, 1, 64, 1),
    Size("dcgan", 64, 1, 256, 1),
    Size("dcgan", 64, 2, 64, 1),
)


def follow(rank: int, processes: int, port: int) -> None:
    """What each process but the first does, from size to size."""
    torch.set_num_threads(1)
    devices.choose("cpu")
    sharing = Sharing(processes, rank)
    store = TCPStore(launching.HOST, port, is_master=False)
    sharing.start = lambda: store
    for size in SIZES:
        size.engine(sharing).follow()
    sharing.leave()


def share(processes: int, rounds: int) -> None:
    """Print iterations/s of one process with as many threads, and of the processes together.

    Beside the ratio by the clock that by processor time, a thread's of the one process to the first
    of the others: what other work on the same machine disturbs less, and what has no waiting in it.
    """
    store = TCPStore(launching.HOST, 0, is_master=True, wait_for_workers=False)
    sharing = Sharing(processes)
    sharing.start = lambda: store
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=follow, args=(rank, processes, store.port), daemon=True)
        for rank in range(1, processes)
    ]
    for other in others:
        other.start()
    print(
        "| model | pixels | widths | batch | gradients, MB | one process | together | ratio "
        "| by processor time |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for size in SIZES:
        sides = {each: size.engine(each) for each in (ALONE, sharing)}
        spent: dict[Sharing, list[float]] = {each: [] for each in sides}
        worked: dict[Sharing, list[float]] = {each: [] for each in sides}
        for turn in range(1 + rounds):  # the first warms up
            for each, engine in sides.items():
                torch.set_num_threads(processes if each is ALONE else 1)
                threads = torch.get_num_threads()
                began = time.process_time()
                took = seconds(partial(engine.advance, size.iterations), engine.device)
                if turn:
                    spent[each].append(took / size.iterations)
                    worked[each].append((time.process_time() - began) / threads)
        sharing.tell(0, 0)
        trained = [p for net in sides[ALONE].method.networks.values() for p in net.parameters()]
        sent = sum(parameter.nbytes for parameter in trained) / 1e6
        speeds = " | ".join(f"{1 / statistics.median(spent[e]):.2f}" for e in sides)
        print(
            f"| {size.model} | {size.side} | × {size.wider} | {size.batch_size} | {sent:.1f} "
            f"| {speeds} | {ratio(spent[ALONE], spent[sharing])} "
            f"| {ratio(worked[ALONE], worked[sharing])} |",
            flush=True,
        )
    sharing.leave()
    for other in others:
        other.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", nargs="+", default=["gan", "dcgan"])
    parser.add_argument("--processes", type=int)
    parser.add_argument("--overhead", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    device = devices.choose(arguments.device)
    print(devices.describe(device))
    if arguments.processes:
        share(arguments.processes, arguments.rounds)
        return
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 1, 28, 28), dtype=np.uint8)
    data = {"images": torch.from_numpy(pixels), "labels": torch.arange(IMAGES) % 10}
    for model in arguments.models:
        compare(model, device, data, arguments.iterations, arguments.rounds)
    for model in arguments.models if arguments.overhead else ():
        overhead(model, device, data, arguments.rounds)


if __name__ == "__main__":
    main()
