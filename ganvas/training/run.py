"""One training on disk: the state to go on from, and what it has made so far.

A run's folder is named after a hash of everything its result depends on, except how long it is
trained: the same recipe finds its state again, a longer one goes on from it (unless its rates
hang on how long it is), any other starts anew.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ganvas import files, layout, pictures
from ganvas.errors import GanvasError
from ganvas.training import checkpoints, overfitting
from ganvas.training.engine import PROCESSES, Engine
from ganvas.training.overfitting import Probe

log = logging.getLogger(__name__)

# A discriminator whose loss stays this low for this long tells the generator nothing any more.
WON_LOSS, WON_ITERATIONS = 1e-3, 1000
SHOWN = 16  # training images that a picture may be drawn from, where none are held out
KEPT_RUNS = 3  # of one model; older ones are deleted


class Plan(NamedTuple):
    """When the loop stops to write something. All but `save_seconds` shows in the result."""

    epochs: int
    checkpoint_every: int  # epochs
    pictures: list[int]  # iterations
    log_every: int  # iterations
    save_seconds: float


class Stop(NamedTuple):
    """Where the loop has paused: rows of history that are new, and a picture if one was drawn."""

    iteration: int
    history: list[tuple[float, ...]]
    picture: Path | None


def key(facts: dict[str, Any]) -> str:
    """Hash of all that a run depends on: any JSON values."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


class Run:
    """A training that goes on from the state in `folder`, if there is one that fits.

    With a `probe` history.csv has its outputs too. Hold the folder's `exclusive` lock meanwhile.
    """

    def __init__(
        self, folder: Path, engine: Engine, plan: Plan, probe: Probe | None = None
    ) -> None:
        self.folder, self.engine, self.plan, self.probe = folder, engine, plan, probe
        probed = overfitting.OUTPUTS if probe else ()
        self.columns = ("iteration", "epoch", *engine.method.measures, *probed)  # of history.csv
        self.measured = torch.empty(0, len(engine.method.measures))  # of every iteration so far
        # What the probe found where a row of history ends, each row after its iteration.
        self.probed = torch.empty(0, 1 + len(probed), dtype=torch.float64)
        self.interrupted = False
        folder.mkdir(parents=True, exist_ok=True)
        self._restore()

    @property
    def iterations(self) -> int:
        """How many the whole run has."""
        return self.plan.epochs * self.engine.iterations_per_epoch

    @property
    def ended(self) -> bool:
        return self.engine.iteration == self.iterations

    def go_on(self) -> Iterator[Stop]:
        """Train to the end, or until `interrupted`; yields at each point that is logged or drawn.

        Raises `GanvasError` on a loss that is not finite; the state of the last good moment stays.
        """
        engine = self.engine
        saved = epoch_began = time.monotonic()
        while engine.iteration < self.iterations and not self.interrupted:
            start = engine.iteration
            rows = engine.advance(self._next_stop() - start)
            check_finite(engine, rows)
            self.measured = torch.cat([self.measured, rows])
            self._probe()
            self._checkpoint()
            yield Stop(engine.iteration, self.history(start, complete=self.ended), self._draw())
            now = time.monotonic()
            epoch_ended = engine.iteration % engine.iterations_per_epoch == 0
            # Every save_seconds, and at each epoch's end where epochs take longer than that.
            long_epoch = epoch_ended and now - epoch_began > self.plan.save_seconds
            if now - saved >= self.plan.save_seconds or long_epoch:
                self.save()
                saved = now
            epoch_began = now if epoch_ended else epoch_began
        self.save()

    def interrupt(self) -> None:
        """Let the loop end, with its state written, at its next stop. Safe in a signal handler."""
        self.interrupted = True

    def save(self) -> None:
        """Write the state to go on from. Weights that are not finite are never written."""
        if finite(self.engine):
            state = self.engine.state() | {"measured": self.measured, "probed": self.probed}
            files.write_tensors(self.folder / "state.safetensors", state)

    def warnings(self) -> list[str]:
        """What a person should know about how the training went."""
        if getattr(self.engine.recipe, "adversarial_weight", 1) == 0:
            return []  # nothing has listened to the discriminator
        found = warnings(self._column("discriminator_loss"))
        if self.probe and len(self.measured):
            rows = self.history(0, complete=True)
            augmented = hasattr(self.engine.recipe, "augment")
            outputs = [row[-len(overfitting.OUTPUTS) :] for row in rows]
            found += overfitting.warnings(outputs, augmented)
        return found

    def export(self, target: Path, config: dict[str, Any]) -> None:
        """Write what the whole run gives below `target`: nothing that names a moment or place."""
        for path in self._made(self.iterations):
            files.write_bytes(target / path.relative_to(self.folder), path.read_bytes())
        frames = [Image.open(path) for path in sorted((target / "progress").glob("*.png"))]
        pictures.save_gif(target / "progress.gif", frames)
        for name, network in self.engine.method.networks.items():
            if name not in self.engine.method.generators:
                files.write_tensors(target / f"{name}.safetensors", network.state_dict())
        files.write_csv(target / "history.csv", self.columns, self.history(0, complete=True))
        for name, architecture in self.engine.method.architectures.items():
            files.write_json(target / name / checkpoints.ARCHITECTURE, architecture)
        files.write_json(target / "config.json", config | {"warnings": self.warnings()})

    def drawn(self) -> list[tuple[int, Path]]:
        """The pictures so far, with their iterations."""
        done = self.engine.iteration
        return [(i, self._picture_path(i)) for i in self._iterations_drawn() if i <= done]

    def _restore(self) -> None:
        path = self.folder / "state.safetensors"
        if not path.exists():
            return
        try:
            state = load_file(path)
            measured, probed = state.pop("measured"), state.pop("probed")
            done = int(state["iteration"])
            if done <= self.iterations and all(made.exists() for made in self._made(done)):
                self.engine.restore(state)
                self.measured, self.probed = measured, probed
        except (SafetensorError, KeyError, RuntimeError, OSError) as error:
            log.warning("%s cannot be read (%s): training starts anew", path, error)

    def _next_stop(self) -> int:
        """The next iteration at which something is written."""
        done, epoch = self.engine.iteration, self.engine.iterations_per_epoch
        stops = [self.iterations, (done // epoch + 1) * epoch]
        stops += [(done // self.plan.log_every + 1) * self.plan.log_every]
        stops += [iteration for iteration in self.plan.pictures if iteration > done]
        return min(stops)

    def history(self, start: int, complete: bool = False) -> list[tuple[float, ...]]:
        """Rows of history.csv since iteration `start`: each the mean over `log_every` iterations.

        With `complete`, a last row averages the iterations that are left over. What the probe found
        is of the last iteration alone.
        """
        every, done = self.plan.log_every, len(self.measured)
        ends = list(range((start // every + 1) * every, done + 1, every))
        if complete and done % every:
            ends.append(done)
        probed = {int(at): outputs for at, *outputs in self.probed.tolist()}
        rows = []
        for end in ends:
            window = self.measured[(end - 1) // every * every : end]
            means = window.double().mean(0).tolist()
            rows.append((end, end / self.engine.iterations_per_epoch, *means, *probed.get(end, ())))
        return rows

    def curves(self, rows: list[tuple[float, ...]]) -> list[tuple[int, dict[str, float]]]:
        """(iteration, values by name) of rows of history.csv; no chart has a use for the epoch."""
        return [(int(row[0]), dict(zip(self.columns[2:], row[2:], strict=True))) for row in rows]

    def _probe(self) -> None:
        done = self.engine.iteration
        if self.probe and (self.ended or done % self.plan.log_every == 0):
            row = torch.tensor([[done, *self.probe.measure()]], dtype=torch.float64)
            self.probed = torch.cat([self.probed, row])

    def _checkpoint(self) -> None:
        engine = self.engine
        epoch, rest = divmod(engine.iteration, engine.iterations_per_epoch)
        if rest or (epoch % self.plan.checkpoint_every and epoch != self.plan.epochs):
            return
        losses = self._column("generator_loss")[-engine.iterations_per_epoch :]
        facts = checkpoints.Facts(epoch, engine.iteration, losses.double().mean().item())
        for name in engine.method.generators:
            average = engine.averages.get(name)
            path = self._checkpoint_path(name, epoch)
            checkpoints.save(path, engine.method.networks[name], average, facts)

    def _draw(self) -> Path | None:
        if self.engine.iteration not in self._iterations_drawn():
            return None
        real = self.probe.held_out if self.probe else self.engine.first(SHOWN)
        rows = self.engine.method.draw(self.engine, real)
        path = self._picture_path(self.engine.iteration)
        images = layout.for_files(rows.flatten(0, 1).numpy())
        pictures.save_png(path, pictures.grid(images, rows.shape[1]))
        return path

    def _made(self, iteration: int) -> list[Path]:
        """The checkpoints and pictures that this plan has made up to `iteration`."""
        epochs = {*range(self.plan.checkpoint_every, self.plan.epochs, self.plan.checkpoint_every)}
        epochs.add(self.plan.epochs)
        per_epoch = self.engine.iterations_per_epoch
        return [
            self._checkpoint_path(name, epoch)
            for name in self.engine.method.generators
            for epoch in sorted(epochs)
            if epoch * per_epoch <= iteration
        ] + [self._picture_path(i) for i in self._iterations_drawn() if i <= iteration]

    def _iterations_drawn(self) -> list[int]:
        drawn = {*self.plan.pictures, self.iterations}
        return sorted(i for i in drawn if i <= self.iterations)

    def _checkpoint_path(self, name: str, epoch: int) -> Path:
        return self.folder / name / f"epoch-{epoch:04}.safetensors"

    def _picture_path(self, iteration: int) -> Path:
        return self.folder / "progress" / f"iteration-{iteration:07}.png"

    def _column(self, name: str) -> Tensor:
        return self.measured[:, self.engine.method.measures.index(name)]


def of_other_processes(runs: Path, current: Run) -> tuple[int, int] | None:
    """Of a training below `runs` that another number of processes shared, and that had not ended:
    how many, and its last iteration."""
    for path in runs.glob("*/state.safetensors"):
        try:
            with safe_open(path, "pt") as state:
                names = set(state.keys())
                shared = int(state.get_tensor(PROCESSES)) if PROCESSES in names else 1
                iteration = int(state.get_tensor("iteration"))
        except (SafetensorError, OSError):
            continue
        if shared != current.engine.sharing.processes and iteration < current.iterations:
            return shared, iteration
    return None


def warnings(losses: Tensor) -> list[str]:
    """What a discriminator's losses, of every iteration, say about how a training went."""
    lost = 0
    for iteration, loss in enumerate(losses.tolist(), start=1):
        lost = lost + 1 if 0 <= loss < WON_LOSS else 0  # one below 0 is Wasserstein's
        if lost == WON_ITERATIONS:
            return [
                f"the discriminator has won: its loss stayed under {WON_LOSS} for "
                f"{WON_ITERATIONS} iterations up to iteration {iteration}; the generator "
                "learns nothing from it. Lower lr_discriminator or raise lr_generator"
            ]
    return []


def check_finite(engine: Engine, rows: Tensor) -> None:
    """Raise `GanvasError` where a loss of the last iterations, or a weight now, is not finite.

    `rows` are their measures, as `Engine.advance` gave them.
    """
    measures = engine.method.measures
    losses = [column for column, name in enumerate(measures) if name.endswith("_loss")]
    bad = (~rows[:, losses].isfinite().all(1)).nonzero()
    if len(bad):
        first, what = int(bad[0]), "a loss is"
    elif not finite(engine):  # the losses are measured before the last update
        first, what = len(rows) - 1, "the weights are"
    else:
        return
    values = rows[first].tolist()
    shown = (f"{measures[column].removesuffix('_loss')} {values[column]}" for column in losses)
    raise GanvasError(
        f"iteration {engine.iteration - len(rows) + first + 1}: {what} not finite (losses: "
        f"{', '.join(shown)}); lower lr_generator and lr_discriminator, or set train.precision: "
        "float32"
    )


def finite(engine: Engine) -> bool:
    """Whether all that it would go on from is."""
    state = engine.state().values()
    found = [value.isfinite().all() for value in state if value.is_floating_point()]
    return bool(torch.stack(found).all())  # the processor waits for the device once


def forget_old_runs(folder: Path, keep: int = KEPT_RUNS) -> None:
    """Delete all but the newest runs below `folder`; one that is being trained is left alone."""
    runs = [path for path in folder.glob("*") if path.is_dir()]
    for path in sorted(runs, key=lambda path: path.stat().st_mtime, reverse=True)[keep:]:
        try:
            with FileLock(path.with_suffix(".lock"), timeout=0):
                shutil.rmtree(path, ignore_errors=True)
        except (Timeout, OSError):
            pass


@contextmanager
def exclusive(lock: Path, what: str) -> Iterator[None]:
    """Hold the lock file; the system lets go of it even when the process is killed.

    Raises `GanvasError` when another process holds it.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock)
        held.acquire(timeout=0)
    except Timeout:
        raise GanvasError(
            f"{what}: another process is training it; wait for it or stop it"
        ) from None
    except OSError as error:
        raise GanvasError(f"{lock}: {error.strerror}; make the folder writable") from None
    try:
        yield
    finally:
        held.release()
