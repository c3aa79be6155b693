"""Many runs on a Ray cluster."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ganvas.workflow.cluster import Plan, Status

EXAMPLES = """\
  ganvas cluster --seeds 0,1,2,3,4 --dry-run
  ganvas cluster --address auto --seeds 0,1,2,3,4
  ganvas cluster mnist-gan mnist-dcgan --seeds 0,1,2"""


def cluster(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Of the matrix these alone, as mnist-gan; else all.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="0,1,…", help="Each a run of its own; else that of params.yaml."),
    ] = None,
    address: Annotated[
        str, typer.Option(help="Of the Ray cluster; auto: the one of this machine.")
    ] = "auto",
    git: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where workers take the commit from; else a remote that has it, or this folder.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, and for how long.")
    ] = False,
) -> bool:
    """Make every data set with every model and seed, or some, on the machines of a Ray cluster.

    What the DVC remote knows is not made again. In the end this repository has every result, other
    seeds as DVC's experiments.
    """
    from ganvas import config
    from ganvas.workflow import cluster as library
    from ganvas.workflow import remote

    params = config.load()
    wanted = _numbers(seeds) if seeds else [params.seed]
    source = library.source()
    plan = library.plan(params, wanted, remote.of_project(), names or ())
    _print_plan(plan)
    if dry_run:
        return True
    status = {name: library.Status("done") for name, missing in plan.missing.items() if not missing}
    if any(plan.missing.values()):
        with _view() as show:
            for status in library.work(plan, params, git or source, address):
                show(status)
    library.collect(plan, params, [t for t in plan.tasks if status[t.name].state == "done"])
    failed = {name: each for name, each in status.items() if each.state == "failed"}
    for name, each in failed.items():
        print(f"\n{name} failed {each.host and 'on ' + each.host}:\n{each.said}")
    if failed:
        print(f"\n{len(failed)} of {len(status)} failed; the same command tries them again")
    return not failed


def _numbers(text: str) -> list[int]:
    from ganvas.errors import GanvasError

    numbers = text.split(",")
    if not all(number.strip().isdecimal() for number in numbers):
        raise GanvasError(f"cluster: --seeds {text}: give whole numbers, as 0,1,2")
    return list(dict.fromkeys(map(int, numbers)))


def _print_plan(plan: "Plan") -> None:
    from ganvas.workflow import cluster as library

    known, unknown, width = 0.0, 0, max(len(task.name) for task in plan.tasks)
    for task in plan.tasks:
        missing = plan.missing[task.name]
        words = ", ".join(stage.partition("@")[0] for stage in missing) or "cached"
        if task.instance and task.instance.stage("train") in missing:
            hours = library.hours(task.instance)
            words += f": about {hours:.2f} h" if hours else ": unknown time"
            known, unknown = known + (hours or 0), unknown + (not hours)
        print(f"{task.name:<{width}}  {words}")
    run = sum(map(bool, plan.missing.values()))
    beside = f", and {unknown} of unknown time" if unknown else ""
    print(f"{run} of {len(plan.tasks)} to run, {known:.2f} h of training{beside}", flush=True)


@contextmanager
def _view() -> Iterator[Callable[[dict[str, "Status"]], None]]:
    """A table for whoever watches; else a line when something has changed."""
    if sys.stdout.isatty():
        from rich.live import Live

        with Live() as live:
            yield lambda status: live.update(_table(status))
        return
    shown: dict[str, Status] = {}

    def show(status: dict[str, "Status"]) -> None:
        for name, each in status.items():
            before = shown.get(name)
            told = "/s, " in each.said or "goes on" in each.said
            moved = before and each.said != before.said and told
            if before is None or each.state != before.state or moved:
                said = f"{each.host}: {each.said}" if each.state == "running" else ""
                print(f"{each.state:<8} {name:<44} {said}".rstrip(), flush=True)
        shown.update(status)

    yield show


def _table(status: dict[str, "Status"]) -> "Table":
    """What runs, what failed, a line each, and how much waits or has ended."""
    from rich.table import Table
    from rich.text import Text

    count = Counter(each.state for each in status.values())
    states = ("queued", "running", "done", "failed")
    title = ", ".join(f"{count[state]} {state}" for state in states)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, expand=True)
    for heading in ("run", "machine", "says"):
        # What is too long for the terminal ends in "…", and only there.
        table.add_column(heading, no_wrap=True, ratio=1 if heading == "says" else None)
    for name, each in status.items():
        run, lines = name.partition("@")[2], each.said.splitlines() or [""]
        if each.state == "running":
            # A line of a training begins with its name, too.
            said = lines[-1].removeprefix(f"{run.partition(' ')[0]}: ")
            table.add_row(run, each.host, Text(said))
        elif each.state == "failed":
            ours = [line for line in lines if line.startswith("error: ")]  # the last line is DVC's
            said = (ours or lines)[-1].removeprefix("error: ")
            table.add_row(run, each.host, Text(f"failed: {said}", "red"))
    return table
