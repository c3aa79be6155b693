"""Train one generator/discriminator pair. Stage `train` of dvc.yaml."""

import shutil
import signal
import sys
import time
from pathlib import Path

import ganvas
from ganvas import config, datasets, devices, progress, run, training
from stages import cli, mirror, paths, provenance

# A state is only picked up by the code that wrote it: the modules that dvc.yaml lists.
MODULES = (
    "adam.py",
    "checkpoints.py",
    "datasets.py",
    "devices.py",
    "files.py",
    "networks/__init__.py",
    "networks/dcgan.py",
    "networks/gan.py",
    "objectives.py",
    "pictures.py",
    "run.py",
    "seeds.py",
    "training.py",
)


def main(dataset: str, model: str) -> None:
    params = config.load()
    recipe, settings = params.recipe(dataset, model), params.train
    device = devices.choose(params.device)
    images = datasets.load(paths.normalized(dataset), "train").images
    plan = run.Plan(
        recipe.epochs,
        recipe.checkpoint_every,
        settings.pictures,
        settings.log_every,
        settings.save_seconds,
    )
    target, name = paths.model(dataset, model), f"{dataset}-{model}"
    runs = paths.CACHE / "runs" / name
    key = run.key(
        {
            "parameters": mirror.parameters(params, dataset, model) | {"epochs": None},
            "plan": plan._replace(epochs=0, save_seconds=0),
            "data": provenance.dvc_hash(paths.normalized(dataset) / "train.safetensors"),
            "device": devices.describe(device),
        },
        [Path(ganvas.__file__).parent / module for module in MODULES],
    )
    with (
        run.exclusive(Path(".ganvas") / f"{name}.lock", name),
        run.exclusive(runs / f"{key}.lock", name),
    ):
        networks = training.Training(
            recipe, images, params.seed, device, settings.precision, settings.log_every
        )
        current = run.Run(runs / key, networks, plan)
        if networks.iteration:
            print(f"{name}: goes on from iteration {networks.iteration:,}", file=sys.stderr)
        signal.signal(signal.SIGINT, lambda *_: current.interrupt())
        began, first = time.monotonic(), networks.iteration
        mlflow_run = runs / key / "mlflow_run"  # only there while the training has not ended
        resumed = mlflow_run.exists()
        with (
            mirror.of_training(dataset, model, params, mlflow_run) as tracker,
            mirror.events(dataset, model, params, key, networks.iteration) as events,
            progress.Progress(name, current.iterations, networks.iteration) as bar,
        ):
            if first and not resumed:  # a longer run of a training that had ended
                tracker.curves(_curves(current.history(0)))
                for iteration, picture in current.drawn():
                    tracker.picture("progress", picture, iteration)
            for stop in current.go_on():
                curves = _curves(stop.history)
                for sink in (tracker, events):
                    sink.curves(curves)
                    if stop.picture:
                        sink.picture("progress", stop.picture, stop.iteration)
                bar.at(stop.iteration, **(curves[-1][1] if curves else {}))
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if current.interrupted:
                print(
                    f"{name}: stopped at iteration {networks.iteration:,}; the same command "
                    "goes on from there",
                    file=sys.stderr,
                )
                sys.exit(cli.INTERRUPTED)
            shutil.rmtree(target, ignore_errors=True)
            current.export(target, mirror.parameters(params, dataset, model) | {"run": key})
            mirror.trained(tracker, dataset, model)
            mirror.lineage(tracker, "train", dataset, model)
            if seconds := time.monotonic() - began:
                tracker.metrics({"iterations_per_second": (networks.iteration - first) / seconds})
            for warning in current.warnings():
                print(f"warning: {name}: {warning}", file=sys.stderr)
        mlflow_run.unlink(missing_ok=True)
        run.forget_old_runs(runs)


def _curves(history: list[tuple[float, ...]]) -> list[tuple[int, dict[str, float]]]:
    """(iteration, values by name) of rows of HISTORY; what a chart has no use for is left out."""
    return [(int(row[0]), dict(zip(run.HISTORY[2:], row[2:], strict=True))) for row in history]


if __name__ == "__main__":
    cli.run(main)
