"""Train one generator/discriminator pair. Stage `train` of dvc.yaml."""

import logging
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganvas import devices, progress
from ganvas.data import datasets
from ganvas.training import launching, overfitting, run
from ganvas.training.engine import Engine
from ganvas.training.sharing import PartedError, Sharing
from ganvas.workflow import mirror, paths, pipeline, program, provenance
from ganvas.workflow.instances import Instance


def main(instance: Instance) -> None:
    params, recipe, name = instance.params, instance.recipe, instance.name
    device = devices.choose(params.device)
    sharing = launching.place(params.train.processes, params.train.sync_batch_norm)
    launching.settle(sharing, device)
    if sharing.rank:
        return _follow(instance, device, sharing)
    plan = run.Plan(
        recipe.epochs,
        recipe.checkpoint_every,
        params.train.pictures,
        params.train.log_every,
        params.train.save_seconds,
    )
    runs = paths.CACHE / "runs" / name
    key = _key(instance, plan, device)
    with (
        run.exclusive(Path(".ganvas") / f"{name}.lock", name),
        run.exclusive(runs / f"{key}.lock", name),
        launching.others(sharing, device, [sys.executable, "-m", "stages.train", *sys.argv[1:]]),
    ):
        current = _begin(runs / key, instance, plan, device, sharing)
        if current.ended and pipeline.recorded("train", instance):
            # DVC has this very result: who runs the stage all the same wants it trained.
            print(f"{name}: this training had ended; it is trained anew", file=sys.stderr)
            shutil.rmtree(runs / key, ignore_errors=True)
            current = _begin(runs / key, instance, plan, device, sharing)
        engine = current.engine
        if current.ended:
            print(f"{name}: this training had ended; it writes its files", file=sys.stderr)
        elif engine.iteration:
            print(f"{name}: goes on from iteration {engine.iteration:,}", file=sys.stderr)
        elif other := run.of_other_processes(runs, current):
            print(
                f"{name}: the state at iteration {other[1]:,} is of train.processes: {other[0]}; "
                f"with {sharing.processes} the result is another, and this training starts anew",
                file=sys.stderr,
            )
        elif any(path.parent.name != key for path in runs.glob("*/mlflow_run")):
            print(
                f"{name}: a training that was stopped had other code, data or parameters; this one "
                "starts anew",
                file=sys.stderr,
            )
        signal.signal(signal.SIGINT, lambda *_: current.interrupt())
        began, first = time.monotonic(), engine.iteration
        mlflow_run = runs / key / "mlflow_run"  # only there while the training has not ended
        resumed = mlflow_run.exists()
        with (
            mirror.of_training(instance, mlflow_run) as tracker,
            mirror.events(instance, key, engine.iteration) as events,
            progress.Progress(name, current.iterations, engine.iteration) as bar,
        ):
            if first and not resumed:  # a longer run of a training that had ended
                tracker.curves(current.curves(current.history(0)))
                for iteration, picture in current.drawn():
                    tracker.picture("progress", picture, iteration)
            for stop in current.go_on():
                curves = current.curves(stop.history)
                for sink in (tracker, events):
                    sink.curves(curves)
                    if stop.picture:
                        sink.picture("progress", stop.picture, stop.iteration)
                latest = curves[-1][1] if curves else {}
                # All of them would be longer than a line.
                bar.at(stop.iteration, **{k: v for k, v in latest.items() if k.endswith("_loss")})
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if current.interrupted:
                print(
                    f"{name}: stopped at iteration {engine.iteration:,}; the same command goes on "
                    "from there",
                    file=sys.stderr,
                )
                sys.exit(program.INTERRUPTED)
            shutil.rmtree(instance.folder, ignore_errors=True)
            facts = instance.parameters | {"run": key} | _given(instance, engine)
            current.export(instance.folder, facts)
            mirror.trained(tracker, instance)
            mirror.lineage(tracker, "train", instance)
            if seconds := time.monotonic() - began:
                tracker.metrics({"iterations_per_second": (engine.iteration - first) / seconds})
            for warning in current.warnings():
                print(f"warning: {name}: {warning}", file=sys.stderr)
        mlflow_run.unlink(missing_ok=True)
        run.forget_old_runs(runs)


def _given(instance: Instance, engine: Engine) -> dict[str, Any]:
    """Of one that translates how images were brought to it, and what stands in its pictures."""
    if not instance.data.group:
        return {}
    settings, names = instance.data.settings, instance.data.domain_names
    form = {"fit": settings.fit, "background": settings.background}
    return {"given": {**form, "domains": names, "columns": engine.method.columns(names)}}


def _key(instance: Instance, plan: run.Plan, device: torch.device) -> str:
    """Changes with all that shows in the result; where one may go on with more epochs, not with
    their number."""
    longer = {"epochs": None} if instance.recipe.lr_decay_from == 1 else {}
    return run.key(
        {
            "parameters": instance.parameters | longer,
            "plan": plan._replace(epochs=0, save_seconds=0),
            "data": [provenance.dvc_hash(instance.data.split(s)) for s in ("train", "validation")],
            "device": devices.describe(device),
            "code": pipeline.code_hashes("train", instance),
        }
    )


def _follow(instance: Instance, device: torch.device, sharing: Sharing) -> None:
    """As process 0 does, without a word and without a file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("ganvas").setLevel(logging.ERROR)
    try:
        _engine(instance, _split(instance, "train"), device, sharing).follow()
    except PartedError:
        launching.wait_for_the_end()
        raise
    sharing.leave()


def _begin(
    folder: Path, instance: Instance, plan: run.Plan, device: torch.device, sharing: Sharing
) -> run.Run:
    train, validation = (_split(instance, name) for name in ("train", "validation"))
    engine = _engine(instance, train, device, sharing)
    return run.Run(folder, engine, plan, overfitting.Probe(engine, train, validation))


def _engine(
    instance: Instance, train: Mapping[str, Tensor], device: torch.device, sharing: Sharing
) -> Engine:
    params = instance.params
    return Engine(
        instance.recipe,
        train,
        params.seed,
        device,
        params.train.precision,
        params.train.log_every,
        sharing=sharing,
    )


def _split(instance: Instance, name: str) -> dict[str, Tensor]:
    return datasets.tensors(instance.data.normalized, name)


if __name__ == "__main__":
    program.run_stage(main)
