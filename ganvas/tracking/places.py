"""Where artifacts lie: relative to their store, so that a folder with both can be moved or copied.

MLflow itself notes absolute places and would go on in the old folder. A relative one it takes as
from the working directory: `mlflow ui` opens the mlflow.db that is there, so the two agree.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

STORE, ARTIFACTS = "mlflow.db", "mlruns"
NOTED = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def make_relative(root: Path) -> None:
    """Make the places in the store of `root` relative, those of a folder it was moved from too.

    What lies elsewhere stays as it is. Raises `sqlite3.Error` where the store cannot be written.
    """
    with closing(sqlite3.connect(root / STORE)) as store, store:
        noted = [where for (where,) in store.execute("SELECT artifact_location FROM experiments")]
        # Only this project notes the bare folder: MLflow adds the number of the experiment.
        ours = [where for where in noted if where.startswith("file:///")]
        folders = {Path(unquote(urlsplit(where).path)) for where in ours}
        folders = {root / ARTIFACTS, *(each for each in folders if each.name == ARTIFACTS)}
        prefixes = [prefix for each in folders for prefix in (each.as_uri(), str(each))]
        if not any(f"{where}/".startswith(f"{prefix}/") for where in noted for prefix in prefixes):
            return
        for table, column in NOTED:
            for prefix in prefixes:
                store.execute(
                    f"UPDATE {table} SET {column} = :to || substr({column}, length(:prefix) + 1) "
                    f"WHERE substr({column} || '/', 1, length(:prefix) + 1) = :prefix || '/'",
                    {"prefix": prefix, "to": ARTIFACTS},
                )


def find_beside_store() -> None:
    """Have this process find relative places beside their store, whatever its working directory.

    An experiment of DVC runs in a copy of the repository, with the store of the real one.
    """
    from mlflow.store.artifact import artifact_repository_registry as registry
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    def local(uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
        _, is_file, store = (tracking_uri or "").partition("sqlite:///")
        if is_file and not Path(uri).is_absolute():
            uri = f"{Path(unquote(store)).resolve().parent.as_uri()}/{uri}"
        return LocalArtifactRepository(uri, tracking_uri, registry_uri)

    registry.get_registered_artifact_repositories()[""] = local  # type: ignore[assignment]
