"""The zoo: the results of every recipe that clones of this repository have made, in docs/zoo.json.

    python -m benchmarks.zoo CLONE [CLONE …]

A row per data set, model and seed: of each clone's workspace, and of its experiments
`cluster-seed-…`, which `ganvas cluster` makes. Only what dvc.lock vouches for, made by the code of
the commit that the row names; the rest is left out with a line that says why. A row takes the place
of an older one, and where several clones have the same, the last one's counts. `ganvas publish`
shows the tables and the chart (ganvas/reporting/zoo.py).
"""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from benchmarks import clones
from benchmarks.clones import Row, State
from ganvas import config
from ganvas.config import Params
from ganvas.reporting import zoo as tables
from ganvas.workflow import cluster, mirror, paths, pipeline
from ganvas.workflow.pipeline import Entry

BY = ("dataset", "model", "seed")


def rows(params: Params) -> Iterator[Row]:
    """Of the clone that is the working directory; its recipes are compared with `params`."""
    for state in [*clones.experiments(), clones.workspace()]:
        for dataset, model in scored(state):
            of_model = state.of_model(dataset, model, mirror.OF_A_MODEL)
            seed = of_model[0].params["seed"]
            if state.name and state.name != cluster.EXPERIMENT.format(seed):
                continue  # another experiment, or what this one began with
            why = (
                clones.doubt(state, of_model)
                or _other_floor(state, dataset, of_model)
                or _earlier(of_model)
            )
            if why:
                clones.left_out(f"{dataset}-{model}, seed {seed}", why)
            else:
                yield row(state, dataset, model, params)


def scored(state: State) -> list[tuple[str, str]]:
    """Data set and model of each instance that draws from noise and has all its stages."""
    names = [each.partition("@")[2] for each in state.entries if each.startswith("evaluate@")]
    found = [(dataset, model) for dataset, _, model in (name.partition("-") for name in names)]
    return [
        each
        for each in found
        if len(state.of_model(*each, mirror.OF_A_MODEL)) == len(mirror.OF_A_MODEL)
    ]


def row(state: State, dataset: str, model: str, params: Params) -> Row:
    """What is known of a model whose files dvc.lock vouches for."""
    of_model = state.of_model(dataset, model, mirror.OF_A_MODEL)
    results, generator = f"results/{dataset}/{model}", clones.generator(of_model)
    selection, metrics = (state.json(f"{results}/{n}.json") for n in ("selection", "metrics"))
    path = f"{results}/selection.csv"
    table = state.columns(path)
    return {
        "dataset": dataset,
        "model": model,
        "seed": of_model[0].params["seed"],
        "commit": state.commit,
        "alike": pipeline.all_but_the_seed(state.entries, of_model),
        "changed": changed(of_model, params, dataset, model),
        "epochs": int(max(table["epoch"])),
        "epoch": selection["epoch"],
        "iterations": int(max(table["iteration"])),
        "generator": generator,
        "images": metrics["images"],
        "extractor": selection["extractor"],
        "scores": numbers(metrics),
        "floor": numbers(state.json(f"results/{dataset}/floor.json")),
        **clones.noted(state, path, dataset, generator),
    }


def changed(of_model: list[Entry], params: Params, dataset: str, model: str) -> dict[str, Any]:
    """The parameters that are not those of params.yaml, by their keys; null where it alone has one.

    Keys of the recipe stand as in a recipe; where params.yaml has none of that name, all of them.
    """
    then = config.recipe(clones.recipe(of_model)).model_dump(exclude_none=True)
    now: dict[str, Any] = {}
    if model in params.models:
        known = dataset in params.datasets
        ours = params.recipe(dataset, model) if known else params.models[model]
        now = ours.model_dump(exclude_none=True)
    own, committed = dict(pipeline.leaves(then)), dict(pipeline.leaves(now))
    found = {key: own.get(key) for key in [*own, *committed] if own.get(key) != committed.get(key)}
    others = dict(pipeline.leaves(params.model_dump()))
    for key, value in (leaf for entry in of_model for leaf in pipeline.leaves(entry.params)):
        of_recipe = key.startswith(("models.", "datasets."))
        if not of_recipe and key != "seed" and others.get(key) != value:
            found[key] = value
    return found


def numbers(metrics: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The scores by extractor and measure, without those of single classes."""
    return {
        extractor: {key: value for key, value in scores.items() if not isinstance(value, list)}
        for extractor, scores in metrics.items()
        if isinstance(scores, dict)
    }


def _other_floor(state: State, dataset: str, of_model: list[Entry]) -> str | None:
    floor = f"results/{dataset}/floor.json"
    there, used = state.md5(floor), of_model[-1].deps[floor]
    return None if there == used else f"{floor} is not the one that {of_model[-1].stage} knew"


def _earlier(of_model: list[Entry]) -> str | None:
    try:
        config.recipe(clones.recipe(of_model))
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"][1:]))
        return f"made by another version, for which {key} of a recipe was otherwise"
    return None


def main() -> None:
    for each in tables.apart(clones.collect(__doc__, paths.ZOO, BY, BY, rows)):
        what = f"{each['dataset']}-{each['model']}, seed {each['seed']}"
        clones.left_out(what, "code, data or parameters are not those of the first seed there")


if __name__ == "__main__":
    main()
