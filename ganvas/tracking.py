"""The mirror in MLflow: one run per trained model. The only module that imports mlflow.

Everything is written by a thread of its own, so that a slow, locked or absent store costs a line
in the log and never a training run; the results are the same without it.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

PATIENCE = 60  # seconds that a stage waits, at its end, for a slow store
GENERATOR_TAG = "ganvas.generator"  # the DVC hash of the generator that a run trained

Job = Callable[["MlflowClient", str], None]


class Tracker:
    """One MLflow run, written behind the caller's back: no method waits, none raises.

    The run is found by `run_id` or by the hash of the generator it trained; failing that, a new
    one is opened in the experiment `experiment`. Use as a context; leaving it waits `PATIENCE`
    seconds at most for what is still unwritten.
    """

    def __init__(
        self,
        root: Path,
        experiment: str,
        name: str,
        *,
        enabled: bool = True,
        run_id: str | None = None,
        generator: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._root, self._experiment, self._name = root, experiment, name
        self._run_id, self._generator, self._tags = run_id, generator, dict(tags or {})
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._failed = not enabled
        self._thread = threading.Thread(target=self._work, daemon=True, name="mlflow")
        if enabled:
            self._thread.start()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # A later stage that fails says nothing about the training that the run is of.
        good = kind is None or self._generator is not None
        status = "FINISHED" if good else "KILLED" if kind is SystemExit else "FAILED"
        self._jobs.put(lambda client, run: client.set_terminated(run, status))
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._fail(f"no answer within {PATIENCE} s")

    def params(self, values: Mapping[str, Any]) -> None:
        """Parameters by their names in params.yaml."""
        from_values = [(key, str(value)) for key, value in values.items()]

        def job(client: "MlflowClient", run: str) -> None:
            from mlflow.entities import Param

            known = client.get_run(run).data.params  # a run that goes on has them already
            new = [Param(key, value) for key, value in from_values if known.get(key) != value]
            client.log_batch(run, params=new)

        self._jobs.put(job)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.curves([(step, values)])

    def curves(self, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Points of several curves at once: (step, values by name)."""
        now = int(time.time() * 1000)
        points = [(key, float(y), now, step) for step, row in rows for key, y in row.items()]

        def job(client: "MlflowClient", run: str) -> None:
            from mlflow.entities import Metric

            for start in range(0, len(points), 1000):  # the most that one call takes
                metrics = [Metric(*point) for point in points[start : start + 1000]]
                client.log_batch(run, metrics=metrics)

        if points:
            self._jobs.put(job)

    def tags(self, values: Mapping[str, str]) -> None:
        def job(client: "MlflowClient", run: str) -> None:
            from mlflow.entities import RunTag

            client.log_batch(run, tags=[RunTag(key, value) for key, value in values.items()])

        self._jobs.put(job)

    def picture(self, name: str, path: Path, step: int) -> None:
        """A picture among others of that name; mlflow ui shows them by step. No slash in `name`."""

        def job(client: "MlflowClient", run: str) -> None:
            from PIL import Image

            with Image.open(path) as image:
                client.log_image(run, image, key=name, step=step)

        self._jobs.put(job)

    def file(self, path: Path, folder: str | None = None) -> None:
        self._jobs.put(lambda client, run: client.log_artifact(run, str(path), folder))

    def keep_run_id(self, path: Path) -> None:
        """Write the run's id to `path`, so that a killed training goes on in the same run."""

        def job(client: "MlflowClient", run: str) -> None:
            path.write_text(run)

        self._jobs.put(job)

    def _work(self) -> None:
        try:
            client, run = self._open()
        except Exception as error:  # whatever the store's driver raises
            self._fail(_reason(error))
            return
        while (job := self._jobs.get()) is not None:
            try:
                job(client, run)
            except Exception as error:
                self._fail(_reason(error))
                return

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            log.warning("MLflow: %s; %s is not tracked from here on", reason, self._name)

    def _open(self) -> tuple["MlflowClient", str]:
        # A server that does not answer is given up on within seconds, not mlflow's minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        client, experiment = connect(self._root, self._experiment)
        run = self._find(client, experiment)
        client.update_run(run, "RUNNING")
        return client, run

    def _find(self, client: "MlflowClient", experiment: str) -> str:
        if self._run_id:
            try:
                return str(client.get_run(self._run_id).info.run_id)
            except Exception:
                log.info("MLflow: the earlier run %s is gone; a new one is opened", self._run_id)
        if self._generator:
            runs = client.search_runs(
                [experiment],
                f"tags.`{GENERATOR_TAG}` = '{self._generator}'",
                max_results=1,
                order_by=["attributes.start_time DESC"],
            )
            if runs:
                return str(runs[0].info.run_id)
            self._tags[GENERATOR_TAG] = self._generator
        run = client.create_run(experiment, run_name=self._name, tags=self._tags)
        return str(run.info.run_id)


def connect(root: Path, experiment: str) -> tuple["MlflowClient", str]:
    """A client, and the id of the experiment, made if it is not there.

    The store is MLFLOW_TRACKING_URI, else mlflow.db in `root`, the file that a bare `mlflow ui`
    opens there. Processes that start on a fresh database at once take turns.
    """
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # its import sets INFO
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"
    artifacts = None if "MLFLOW_TRACKING_URI" in os.environ else (root / "mlruns").as_uri()
    (root / ".ganvas").mkdir(exist_ok=True)
    with FileLock(root / ".ganvas" / "mlflow.lock", timeout=120):
        client = mlflow.MlflowClient(uri)
        known = client.get_experiment_by_name(experiment)
        if known:
            return client, str(known.experiment_id)
        # Tells mlflow ui to open on runs and curves, not on its pages for language models.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        made = client.create_experiment(experiment, artifact_location=artifacts, tags=kind)
        return client, str(made)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
