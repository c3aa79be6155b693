"""Evaluation against pytorch-fid, side by side in one process, on the CPU.

Claims, on two cores (Intel Xeon with AVX-512, PyTorch 2.15, SciPy 1.17):
1. Inception features of a folder of PNGs: at least 1.5 times pytorch-fid's own loop.
2. Fréchet distance at 2,048 features: at least 1.8 times pytorch-fid's function.
3. All measures of one generator's 10,000 images by the classifier, its 128 features of them and
   the pixels against 60,000 training images included: under 30 seconds.

Command: python -m benchmarks.evaluation [--trials 3] [--threads 2] [--processes 2]
Each line gives the median over trials and their range; both sides of a comparison take turns, so
that a busy machine slows both. Speed does not depend on the weights, so random ones will do; both
sides load the same file, and the largest difference of their results is printed too.

With --processes, instead: one process with that many threads beside as many processes with a
thread each, for images of dcgan and features of both networks. benchmarks/processes.md has a table.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from ganvas import config, devices, networks, splitting
from ganvas.drawing import sampling
from ganvas.evaluation import measures
from ganvas.evaluation.classifier import Classifier
from ganvas.evaluation.extractors import Extractor
from ganvas.evaluation.features import Features, extract
from ganvas.evaluation.metrics import frechet as metric

# pytorch-fid is imported where it is needed: benchmarks/gpu.py does without it.

IMAGES, BATCH = 96, 16
CPU = torch.device("cpu")


def measure(trials: int, *functions: Callable[[], object]) -> list[list[float]]:
    """Seconds of each trial, per function; the functions take turns."""
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(trials):
        for function, times in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return seconds


def line(name: str, seconds: list[float], count: int | None = None) -> str:
    middle, low, high = statistics.median(seconds), min(seconds), max(seconds)
    rate = f", {count / middle:.1f} images/s" if count else ""
    return f"  {name:12} {middle:7.2f} s ({low:.2f} to {high:.2f}){rate}"


def ratio(theirs: list[float], mine: list[float]) -> str:
    each = [a / b for a, b in zip(theirs, mine, strict=True)]
    return f"  ratio        {statistics.median(each):7.2f} ({min(each):.2f} to {max(each):.2f})"


def random_weights(folder: Path) -> Path:
    """A file of weights for Inception, drawn at random: its speed does not depend on them."""
    from ganvas.evaluation import inception

    torch.manual_seed(0)
    torch.save(inception._architecture().state_dict(), folder / inception.FILE)
    return folder / inception.FILE


def inception_features(trials: int, folder: Path) -> None:
    """Claim 1: PNG files in, features out."""
    import pytorch_fid.inception
    from pytorch_fid import fid_score

    from ganvas.evaluation import inception

    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28), dtype=np.uint8)
    files = [folder / f"{number:04}.png" for number in range(IMAGES)]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    weights = random_weights(folder)
    mine = inception.load(weights, sha256=None)
    state = torch.load(weights, weights_only=True)
    with patch.object(pytorch_fid.inception, "load_state_dict_from_url", lambda *_, **__: state):
        theirs = pytorch_fid.inception.InceptionV3()

    def ours() -> torch.Tensor:
        pixels = np.stack([np.asarray(Image.open(file)) for file in files])
        tensor = torch.from_numpy(pixels)[:, None]
        return extract(mine, tensor, CPU, BATCH).features

    def pytorch_fids() -> np.ndarray:
        activations: np.ndarray = fid_score.get_activations(files, theirs, BATCH, num_workers=0)
        return activations

    with patch.object(fid_score, "tqdm", lambda loader: loader):
        expected, found = pytorch_fids(), ours()  # both are warm now
        difference = np.abs(found.numpy() - expected).max() / np.abs(expected).max()
        slow, fast = measure(trials, pytorch_fids, ours)
    print(f"Inception features of {IMAGES} PNG files, batches of {BATCH}")
    print(
        line("pytorch-fid", slow, IMAGES), line("ganvas", fast, IMAGES), ratio(slow, fast), sep="\n"
    )
    print(f"  largest difference {difference:.1e} of the largest feature")


def frechet(trials: int) -> None:
    """Claim 2: two covariances of 5,000 images with 2,048 features."""
    from pytorch_fid import fid_score

    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(2048, 2048)) / 2048**0.5
    sets = (np.maximum(generator.normal(size=(5000, 2048)) @ mixing, 0) for _ in range(2))
    arguments = [array for features in sets for array in metric.statistics(features)]

    slow, fast = measure(
        trials,
        lambda: fid_score.calculate_frechet_distance(*arguments),
        lambda: metric.frechet_distance(*arguments),
    )
    print("Fréchet distance, 2,048 features")
    print(line("pytorch-fid", slow), line("ganvas", fast), ratio(slow, fast), sep="\n")


def all_measures(
    trials: int, device: torch.device = CPU, count: int = 10_000, train_count: int = 60_000
) -> dict[str, list[float]]:
    """Claim 3: seconds of everything in `measures.MEASURES`, and of the features they need.

    The classifier looks at `count` images on the device; the measures are the processor's work.
    """
    generator = np.random.default_rng(0)

    def seen() -> Features:
        features = np.maximum(generator.normal(size=(count, 128)), 0).astype(np.float32)
        rows = generator.dirichlet(np.full(10, 0.1), size=count).astype(np.float32)
        return Features(torch.from_numpy(features), torch.from_numpy(rows))

    def images(count: int) -> np.ndarray:
        return generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)

    real, fake = seen(), seen()
    train, generated = images(train_count), images(count)
    # The test images' distance is made once per data set; any number does for the time.
    pixels = measures.RealPixels(train, test_distance=1.0)
    network = Classifier(1, 28, 128, 10).to(memory_format=torch.channels_last).to(device).eval()
    calls: dict[str, Callable[[], object]] = {
        "features": partial(extract, network, generated, device)
    }
    labels = torch.arange(count) % 10
    labelled = [measures.Labelled(side, labels) for side in (real, fake)]
    sides: dict[str, Sequence[object]] = {
        **dict.fromkeys(("features", "probabilities", "classes"), (real, fake)),
        **dict.fromkeys(("features of classes", "answers"), labelled),
        "domains": [each._replace(classes=5) for each in labelled],
        "pixels": (pixels, generated),
        **dict.fromkeys(("truth", "cycle"), (images(count), generated)),
    }
    for name, compares in measures.MEASURES.items():
        calls[name] = partial(compares.compare, *sides[compares.of], 0)
    return dict(zip(calls, measure(trials, *calls.values()), strict=True))


def processes(count: int, trials: int, folder: Path) -> None:
    """Print rows of a table: one process, together, and the ratio by the clock and by processor
    time, of the one process's first thread to that of the first of several."""
    from ganvas.evaluation import inception

    devices.choose("cpu")
    torch.set_num_threads(count)
    facts = {"channels": 1, "image_size": 28, "class_counts": []}
    recipe = config.load().generating["dcgan"].model_dump()
    generator = networks.generator(networks.Architecture.read(recipe | facts)).eval()
    classifier = Classifier(1, 28, 128, 10).to(memory_format=torch.channels_last).eval()
    large = inception.load(random_weights(folder), sha256=None)
    seen = Extractor("classifier", classifier, CPU, ""), Extractor("inception", large, CPU, "")
    images = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28), dtype=np.uint8)

    def draw(number: int, processes: int) -> object:
        return sampling.images(generator, number, 0, processes=processes)

    def look(extractor: Extractor, number: int, processes: int) -> object:
        return extractor._replace(processes=processes).extract(images[:number])

    began = time.perf_counter()
    splitting.START = 0
    draw(1000, count)
    print(f"start: {time.perf_counter() - began:.1f} s, with the first 1,000 images of dcgan")
    for what, work, number in (
        ("images of dcgan", draw, 10_000),
        ("features, classifier", partial(look, seen[0]), 10_000),
        ("features, Inception", partial(look, seen[1]), 500),
    ):
        for shared in (1, count):
            work(number // 10, shared)  # warm up
        clock: list[list[float]] = [[], []]
        busy: list[list[float]] = [[], []]
        for _ in range(trials):
            for side, shared in enumerate((1, count)):
                began, used = time.perf_counter(), time.thread_time()
                work(number, shared)
                clock[side].append(time.perf_counter() - began)
                busy[side].append(time.thread_time() - used)
        times = " | ".join(f"{statistics.median(each):.2f}" for each in clock)
        ratios = " | ".join(ratio(*each).split(maxsplit=1)[1] for each in (clock, busy))
        print(f"| {what} | {number:,} | {times} | {ratios} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processes", type=int)
    options = parser.parse_args()
    if options.processes:
        with tempfile.TemporaryDirectory() as folder:
            return processes(options.processes, options.trials, Path(folder))
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", DeprecationWarning)  # SciPy's, about pytorch-fid
    with tempfile.TemporaryDirectory() as folder:
        inception_features(options.trials, Path(folder))
    frechet(options.trials)
    seconds = all_measures(options.trials)
    print("All measures of 10,000 images by the classifier, 60,000 training images")
    for name, times in seconds.items():
        print(line(name[:12], times))
    print(line("together", [sum(trial) for trial in zip(*seconds.values(), strict=True)]))


if __name__ == "__main__":
    main()
