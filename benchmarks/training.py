"""Our training step against the plain idioms of the tutorials, alternating in one process.

Claims (medians on 2 CPU cores): float32 at least 2.0 times as fast for gan and 1.5 for dcgan,
bfloat16 at least 3 and 2; on one H200 at least 10 for both. The plain side is what the tutorials
write: a DataLoader that applies ToTensor and Normalize to each image, Sigmoid and BCELoss, default
Adam, `.item()` and a print every iteration, on the same networks.

    python -m benchmarks.training [--iterations 60] [--rounds 5] [--device auto]
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ganvas import config, devices, networks, run
from ganvas.tracking import Tracker
from ganvas.training import Training

IMAGES = 60_000


class PlainImages(Dataset):  # type: ignore[type-arg]
    """MNIST as torchvision gives it: one PIL image after the other through the transforms."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index, 0].numpy()))


def plain(recipe: config.Recipe, images: torch.Tensor, device: torch.device) -> Iterator[None]:
    """Endless plain iterations."""
    generator, discriminator = networks.build(recipe.network, recipe.latent_dim, 28, seed=0)
    discriminator = nn.Sequential(discriminator, nn.Sigmoid()).to(device)
    generator = generator.to(device)
    betas = (recipe.betas[0], recipe.betas[1])
    adam_g = torch.optim.Adam(generator.parameters(), lr=recipe.lr_generator, betas=betas)
    adam_d = torch.optim.Adam(discriminator.parameters(), lr=recipe.lr_discriminator, betas=betas)
    criterion = nn.BCELoss()
    loader = DataLoader(PlainImages(images), batch_size=recipe.batch_size, shuffle=True)
    while True:
        for index, batch in enumerate(loader):
            real = batch.to(device)
            ones = torch.ones(len(real), device=device)
            zeros = torch.zeros(len(real), device=device)
            noise = torch.randn(len(real), recipe.latent_dim, device=device)
            fake = generator(noise)
            adam_d.zero_grad()
            real_loss = criterion(discriminator(real), ones)
            fake_loss = criterion(discriminator(fake.detach()), zeros)
            d_loss = (real_loss + fake_loss) / 2
            d_loss.backward()
            adam_d.step()
            adam_g.zero_grad()
            g_loss = criterion(discriminator(fake), ones)
            g_loss.backward()
            adam_g.step()
            with contextlib.redirect_stdout(io.StringIO()):
                print(f"[{index}] d_loss: {d_loss.item():.4f} g_loss: {g_loss.item():.4f}")
            yield


def seconds(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def compare(model: str, device: torch.device, images: torch.Tensor, size: int, rounds: int) -> None:
    """Print ms per iteration of each side, and the ratios of rounds that ran side by side."""
    recipe = config.load().models[model]
    theirs = plain(recipe, images, device)
    ours = {
        precision: Training(recipe, images, 0, device, precision, longest=size)
        for precision in ("float32", "bfloat16")
    }
    sides: dict[str, Callable[[], object]] = {
        "plain": lambda: [next(theirs) for _ in range(size)],
        **{name: partial(training.advance, size) for name, training in ours.items()},
    }
    for work in sides.values():
        work()  # warm up
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            times[name].append(seconds(work, device) / size * 1000)
    for name, values in times.items():
        ratios = [a / b for a, b in zip(times["plain"], values, strict=True)]
        print(
            f"{model:6} {name:9} {statistics.median(values):8.2f} ms/iteration   "
            f"{statistics.median(ratios):5.2f} times plain "
            f"({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def overhead(model: str, device: torch.device, images: torch.Tensor, rounds: int) -> None:
    """What tracking, pictures, checkpoints and states add to the bare loop, as a share of it.

    Two epochs of MNIST (937 iterations) side by side: bare, and with a row every 100 iterations,
    a picture, a checkpoint and a state, as often as in dcgan's recipe and ten times as often as in
    gan's. MLflow has been opened before: that takes seconds, once in a training.
    """
    recipe = config.load().models[model].model_copy(update={"epochs": 1, "checkpoint_every": 1})
    shares = []
    with tempfile.TemporaryDirectory() as folder, Tracker(Path(folder), "b", model) as tracker:
        opened = Path(folder) / "opened"
        tracker.keep_run_id(opened)
        while not opened.exists():
            time.sleep(0.1)
        for turn in range(rounds):
            bare, tracked = (Training(recipe, images, 0, device) for _ in range(2))
            plan = run.Plan(1, 1, [500], 100, save_seconds=60)
            whole = run.Run(Path(folder) / f"run{turn}", tracked, plan)
            for training in (bare, tracked):
                training.advance(37)
            whole.measured = torch.zeros(37, 4)

            def alone(bare: Training = bare) -> None:
                for _ in range(9):
                    bare.advance(100)

            def with_everything(whole: run.Run = whole) -> None:
                for stop in whole.go_on():
                    for row in stop.history:
                        values = dict(zip(run.HISTORY[1:], row[1:], strict=True))
                        tracker.metrics(values, stop.iteration)
                    if stop.picture:
                        tracker.picture("progress", stop.picture, stop.iteration)

            # In turns, so that neither side always has the warmer machine.
            first, second = (alone, with_everything) if turn % 2 else (with_everything, alone)
            spent = {work: seconds(work, device) for work in (first, second)}
            shares.append(spent[with_everything] / spent[alone] - 1)
    print(
        f"{model:6} tracking, pictures, checkpoints and states add "
        f"{statistics.median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", nargs="+", default=["gan", "dcgan"])
    arguments = parser.parse_args()
    device = devices.choose(arguments.device)
    torch.use_deterministic_algorithms(False)  # the plain side does not ask for it
    print(devices.describe(device))
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 1, 28, 28), dtype=np.uint8)
    images = torch.from_numpy(pixels)
    for model in arguments.models:
        compare(model, device, images, arguments.iterations, arguments.rounds)
    for model in arguments.models:
        overhead(model, device, images, arguments.rounds)


if __name__ == "__main__":
    main()
