"""What has moved since the results were made."""

EXAMPLES = """\
  ganvas freshness"""


def freshness() -> None:
    """Name the commit of the results, and the stages that code has moved past.

    Needs nothing but what git holds: no data, no MLflow.
    """
    from pathlib import Path

    from ganvas import config
    from ganvas.workflow import freshness as library
    from ganvas.workflow import pipeline, provenance

    params = config.load()
    entries, stages = pipeline.locked(), pipeline.plan(params)
    if not entries:
        print("no results yet: `dvc repro` makes them")
        return
    about = library.published()
    if about.get("dvc_lock") == provenance.dvc_hash(Path("dvc.lock")):
        print(f"results made at commit {about['commit']}, {about['date']}")
    else:
        print("results not published: `make publish` says at which commit dvc.lock was made")
    moved = library.moved(entries, stages)
    for stage, what in moved.items():
        print(f"{stage}: {', '.join(what)}")
    if moved:
        print("`dvc repro` makes these again, and what is made from them")
    else:
        print(f"all {len(stages)} stages are as they were made")
