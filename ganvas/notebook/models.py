"""Recipes, and the models that they train."""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganvas import files, pictures, progress
from ganvas.config import Recipe
from ganvas.data.datasets import tensor
from ganvas.drawing import conditional, sampling
from ganvas.errors import GanvasError
from ganvas.networks import Generator
from ganvas.notebook import given
from ganvas.notebook.given import Images, Labels
from ganvas.training import checkpoints, overfitting, run
from ganvas.training.engine import Engine

# Iterations, or about so many seconds of them, until the bar moves and Ctrl-C is heard.
LONGEST, SECONDS = 100, 0.25
COLUMNS = 10  # of a model's picture


def recipe(name: str, dataset: str | None = None, **changes: Any) -> Recipe:
    """A recipe of params.yaml, with the settings for a data set there and `changes` by name.

    params.yaml is that of the current folder, else the one beside the package. Raises `GanvasError`
    where there is no such recipe, key or value.
    """
    return _of_params(name, dataset).merged(changes, name)


def train(
    recipe: str | Recipe,
    images: Images,
    labels: Labels | None = None,
    *,
    validation: Images | tuple[Images, Labels | None] | None = None,
    dataset: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    **changes: Any,
) -> "Model":
    """Train a generator on images uint8, 0 to 255: grey, (N, 1, H, W) or (N, H, W), or in colour,
    (N, 3, H, W) or (N, H, W, 3).

    `recipe` is a name in params.yaml, with the settings for `dataset` there, or what
    `ganvas.recipe` gives; `epochs` and `changes` stand in for its values: `train("dcgan", images,
    epochs=10, ema_decay=0.999)`. Recipes that are told classes need `labels`, integers (N,) from 0;
    any other leaves them alone. Of `validation`, images that are held out, alone or with their
    labels, the model's `outputs` say whether the discriminator learns the others by heart. `device`
    is auto, cpu, cuda or mps.

    Ctrl-C, or a notebook's stop, ends the training and returns what there is so far; a second one
    interrupts. Raises `GanvasError` on what cannot be, and on a loss that is not finite.
    """
    if isinstance(recipe, str):
        name, found = recipe, _of_params(recipe, dataset)
    elif isinstance(recipe, Recipe) and dataset is None:
        name, found = "model", recipe
    else:
        raise GanvasError(
            f"recipe: {type(recipe).__name__} with dataset={dataset!r} is not allowed; give a name "
            "in params.yaml, or ganvas.recipe(name, dataset) alone"
        )
    found = found.merged(changes | ({} if epochs is None else {"epochs": epochs}), name)
    told = found.classes != "none"
    data, held_out = _data(name, images, labels, told), None
    if validation is not None:
        pair = validation if isinstance(validation, tuple) else (validation, None)
        held_out = _data(name, *pair, told, "validation ", most=len(data["images"]))
        shapes = [tuple(each["images"].shape[1:]) for each in (held_out, data)]
        if len(set(shapes)) > 1:
            raise GanvasError(f"validation images: {shapes[0]}, where the others are {shapes[1]}")
    given.whole(seed, "seed", least=0)
    with given.computing(device) as there:
        engine = Engine(found, data, seed, there, longest=LONGEST)
        probe = None if held_out is None else overfitting.Probe(engine, data, held_out)
    model = Model(name, engine, probe)
    return model.train(found.epochs)


class Model:
    """A generator, and the discriminator that it learns from; made by `train`.

    In a notebook it shows what it draws.
    """

    def __init__(self, name: str, engine: Engine, probe: overfitting.Probe | None = None) -> None:
        self.name, self.engine, self.recipe = name, engine, engine.recipe
        self._probe, self._probed = probe, list[list[float]]()
        self._measured = torch.empty(0, len(engine.method.measures))

    @property
    def history(self) -> dict[str, np.ndarray]:
        """What each iteration measured, float32 (iterations,): generator_loss and so on."""
        return dict(zip(self.engine.method.measures, self._measured.numpy().T, strict=True))

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """The discriminator's mean output on training, held-out and generated images, by iteration.

        Measured every 100 iterations; nothing without held-out images.
        """
        columns = ("iteration", *overfitting.OUTPUTS)
        rows = np.array(self._probed).reshape(-1, len(columns))
        return dict(zip(columns, rows.T, strict=True))

    def train(self, epochs: int) -> Self:
        """Train for that many epochs more, as in one training of them all; see `ganvas.train`."""
        given.whole(epochs, "epochs", least=1)
        engine, step = self.engine, 1
        end = engine.iteration + epochs * engine.iterations_per_epoch
        if self.engine.recipe.lr_decay_from < 1:
            whole = self.engine.recipe.epochs
            if end > whole * engine.iterations_per_epoch:
                raise GanvasError(
                    f"epochs: after {whole} the rates of this recipe have fallen to 0 "
                    f"(lr_decay_from: {engine.recipe.lr_decay_from:g}); train a new one for longer"
                )
        with (
            given.computing(engine.device.type),
            _interrupts() as interrupts,
            progress.Progress(self.name, end, engine.iteration) as bar,
        ):
            while engine.iteration < end and not interrupts:
                began = time.monotonic()
                left = min(end, (engine.iteration // LONGEST + 1) * LONGEST) - engine.iteration
                rows = engine.advance(min(step, left))
                run.check_finite(engine, rows)
                self._measured = torch.cat([self._measured, rows])
                if self._probe and engine.iteration % LONGEST == 0:
                    self._probed.append([engine.iteration, *self._probe.measure()])
                bar.at(engine.iteration, **self._losses(len(rows)))
                if time.monotonic() - began < SECONDS:
                    step = min(2 * step, LONGEST)
        if interrupts:
            where = f"iteration {engine.iteration:,} of {end:,}"
            print(f"{self.name}: stopped at {where}; its method train goes on", file=sys.stderr)
        column = engine.method.measures.index("discriminator_loss")
        found = run.warnings(self._measured[:, column])
        if self._probed:
            found += overfitting.warnings([row[1:] for row in self._probed])
        for warning in found:
            warnings.warn(f"{self.name}: {warning}", stacklevel=2)
        return self

    def draw(self, count: int, seed: int = 0, label: int | None = None) -> np.ndarray:
        """`count` images, uint8 (count, H, W); the first n are the same for every count >= n.

        A generator that is told classes makes them of class `label`, else of those that `labels`
        says. Raises `GanvasError` on a class that it cannot be asked for.
        """
        given.whole(count, "count", least=1)
        with self._drawing(seed) as generator:
            asked = None
            if label is not None:
                given.whole(label, "label", least=0)
                conditional.check(generator, label)
                asked = torch.full((count,), label)
            return sampling.images(generator, count, seed, asked)

    def labels(self, count: int, seed: int = 0) -> Tensor | None:
        """The classes that `draw` asks for, int64 (count,); None where it is told none."""
        given.whole(count, "count", least=1)
        with self._drawing(seed) as generator:
            return sampling.asked(generator, count, seed)

    def picture(self, seed: int = 0) -> Image.Image:
        """A grid of what it draws; a row a class where it is told classes."""
        with self._drawing(seed) as generator:
            if generator.class_counts:
                images = sampling.of_each_class(generator, COLUMNS, seed)
            else:
                images = sampling.images(generator, COLUMNS**2, seed)
        return pictures.grid(images, COLUMNS)

    def save(self, folder: str | Path) -> None:
        """Write the generator as a folder, for `ganvas draw FOLDER --out grid.png`."""
        engine, folder = self.engine, Path(folder)
        epoch = engine.iteration // engine.iterations_per_epoch
        loss = self._losses(engine.iterations_per_epoch)["generator_loss"]
        facts = checkpoints.Facts(epoch, engine.iteration, loss)
        for name in engine.method.generators:
            path = folder / name / f"epoch-{epoch:04}.safetensors"
            checkpoints.save(path, engine.method.networks[name], engine.averages.get(name), facts)
            architecture = engine.method.architectures[name]
            files.write_json(path.with_name(checkpoints.ARCHITECTURE), architecture)

    def __repr__(self) -> str:
        epochs = self.engine.iteration / self.engine.iterations_per_epoch
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in self._losses(LONGEST).items())
        return f"<ganvas.Model {self.name} after {epochs:.4g} epochs: {losses}>"

    def _repr_png_(self) -> bytes | None:
        return self.picture()._repr_png_()

    def _losses(self, iterations: int) -> dict[str, float]:
        """Their means over the last iterations."""
        means = self._measured[-iterations:].double().mean(0).tolist()
        named = zip(self.engine.method.measures, means, strict=True)
        return {name: mean for name, mean in named if name.endswith("_loss")}

    @contextmanager
    def _drawing(self, seed: int) -> Iterator[Generator]:
        given.whole(seed, "seed", least=0)
        name = self.engine.method.generators[0]
        with given.computing(self.engine.device.type), self.engine.drawing(name) as generator:
            yield cast(Generator, generator)


def _data(
    name: str,
    images: Images,
    labels: Labels | None,
    told: bool,
    what: str = "",
    most: int | None = None,
) -> dict[str, Tensor]:
    """Checked, as an engine is given them."""
    pixels = given.images(images, f"{what}images")
    data = {"images": tensor(pixels)}
    if labels is not None:
        data["labels"] = given.labels(labels, len(pixels), f"{what}labels", most)
    elif told:
        raise GanvasError(
            f"{what}labels: {name} is told classes; give the class of each image, integers "
            f"({len(pixels)},) from 0"
        )
    return data


def _of_params(name: str, dataset: str | None = None) -> Recipe:
    params = given.params()
    params.check_names(dataset, name)
    found = params.recipe(dataset, name) if dataset else params.models[name]
    if not isinstance(found, Recipe):
        known = ", ".join(params.generating)
        raise GanvasError(f"{name}: turns images into others; what draws images: {known}")
    return found


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Ctrl-C noted instead of raised, once."""
    noted: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield noted  # signals reach the main thread alone
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
