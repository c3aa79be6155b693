"""A search for a recipe: the steps that clones of this repository keep as experiments of DVC.

    python -m benchmarks.search CLONE [CLONE …]

Writes docs/search.json: a row per experiment, data set and model whose checkpoints it scored on
validation images: what differs in params.yaml from the commit that it started from, which of our
recipes that commit's is nearest to, and the FIDs. Minutes are those of its training's run in
MLflow. A row takes the place of an older one of the same name; `ganvas publish` shows the table
(ganvas/reporting/search.py).
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks import clones
from benchmarks.clones import Row, State
from ganvas.config import Params
from ganvas.workflow import cluster, paths, pipeline, provenance

STAGES = ("train", "select")
BY, ORDER = ("name", "dataset", "model"), ("date", "name", "dataset", "model")


def rows(params: Params) -> Iterator[Row]:
    """Of the clone that is the working directory; its recipes are compared with `params`."""
    for state in clones.experiments():
        if state.name.startswith(cluster.EXPERIMENT.format("")):
            continue
        base = pipeline.locked((provenance.at(state.commit, "dvc.lock") or b"").decode())
        for stage, entry in state.entries.items():
            if not stage.startswith("select@") or entry == base.get(stage):
                continue  # as it was when the experiment began
            dataset, model = stage.partition("@")[2].split("-")
            of_model = state.of_model(dataset, model, STAGES)
            why = "it has no training" if len(of_model) < 2 else clones.doubt(state, of_model)
            if why:
                clones.left_out(f"{state.name}, {dataset}-{model}", why)
            else:
                yield row(state, dataset, model, params)


def row(state: State, dataset: str, model: str, params: Params) -> Row:
    """What is known of a model whose files dvc.lock vouches for."""
    of_model = state.of_model(dataset, model, STAGES)
    path, generator = f"results/{dataset}/{model}/selection.csv", clones.generator(of_model)
    table = state.columns(path)
    best = table["fid"].index(min(table["fid"]))
    return {
        "name": state.name,
        "date": state.date,
        "commit": state.commit,
        "dataset": dataset,
        "model": model,
        "changed": changed(state, dataset, model),
        "origin": origin(state, dataset, model, params),
        "epochs": int(max(table["epoch"])),
        "iterations": int(max(table["iteration"])),
        "generator": generator,
        "fid": table["fid"][best],
        "epoch": int(table["epoch"][best]),
        "last_fid": table["fid"][-1],
        **clones.noted(state, path, dataset, generator),
    }


def changed(state: State, dataset: str, model: str) -> dict[str, Any]:
    """The parameters that are not those of the commit it started from; null where they are gone.

    Keys of the recipe stand as in a recipe. Those of other recipes, which may take it over, do not.
    """
    before, after = _began(state), clones.params(state)
    found = {key: after.get(key) for key in [*after, *before] if after.get(key) != before.get(key)}
    recipe, of_dataset = f"models.{model}.", f"datasets.{dataset}.models.{model}."
    return {
        key.removeprefix(of_dataset).removeprefix(recipe): value
        for key, value in found.items()
        if key.startswith((recipe, of_dataset)) or not key.startswith("models.")
    }


def origin(state: State, dataset: str, model: str, params: Params) -> dict[str, Any]:
    """Which other recipe of `params` the search began nearest to, and what was different."""
    before, began = _began(state), {}
    for own in (f"models.{model}.", f"datasets.{dataset}.models.{model}."):
        began |= {k.removeprefix(own): v for k, v in before.items() if k.startswith(own)}
    of_recipes = {}
    for name, recipe in params.generating.items():
        ours = dict(pipeline.leaves(recipe.model_dump()))
        if name != model:  # which may be what the search has found
            of_recipes[name] = {k: v for k, v in began.items() if ours.get(k) != v}
    nearest = min(of_recipes, key=lambda name: len(of_recipes[name]))
    return {"model": nearest, "changed": of_recipes[nearest]}


def _began(state: State) -> dict[str, Any]:
    """params.yaml of the commit that an experiment started from."""
    return clones.params(state._replace(read=partial(provenance.at, state.commit)))


def main() -> None:
    clones.collect(__doc__, paths.SEARCH, BY, ORDER, rows)


if __name__ == "__main__":
    main()
