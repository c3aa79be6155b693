"""The model card: what a registered generator is, made of, worth, and not fit for. Markdown.

It holds no date and no run, so the same files give the same text.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from ganvas.reporting.scoreboard import is_told, measure, parameters, percent
from ganvas.tracking import registry

TEMPLATE = Path(__file__).parent / "templates" / "card.md.j2"

# Where the images come from, and under which terms; without an entry they are nobody's we know.
DATA = {
    "digits": "The 1,797 handwritten digits inside scikit-learn, enlarged from 8 × 8 pixels: the "
    "test part of UCI's Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998, "
    "https://doi.org/10.24432/C50P49), CC BY 4.0.",
    "mnist": "MNIST (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/), 70,000 "
    "handwritten digits made from NIST's collections. Its page names no licence; Keras, which "
    "hands it out, gives CC BY-SA 3.0.",
    "fashion_mnist": "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747, "
    "https://github.com/zalandoresearch/fashion-mnist), 70,000 product photographs of Zalando, "
    "MIT licence.",
}
ELSEWHERE = "Somebody's own images, from the folder that params.yaml names."
KINDS = {1: "grey", 3: "in colour"}
MADE = "Made of {of}, by stage normalize: {made}. {data}"


def about(dataset: str, of: str | None = None, made: str | Sequence[str] | None = None) -> str:
    """What a data set is: published, made `of` a published one, or somebody's own."""
    if made is None:
        return DATA.get(dataset, ELSEWHERE)
    how = f"pairs ({made})" if isinstance(made, str) else f"domains ({', '.join(made)})"
    source = of or "the images of a folder"
    return MADE.format(of=source, made=how, data=DATA.get(source, ELSEWHERE))


def page(
    dataset: str,
    model: str,
    *,
    config: Mapping[str, Any],
    scores: Sequence[Mapping[str, str]],
    selection: Mapping[str, Any],
    classifier: Mapping[str, Any],
    warnings: Sequence[str] = (),
    data: str | None = None,
    baselines: Mapping[str, Any] | None = None,
    domains: Sequence[str] = (),
    architecture: Mapping[str, Any] | None = None,
) -> str:
    """The card of the generator that `model` made of `dataset`, of which `data` says more.

    `config` is the training's config.json, `scores` the rows of scores.csv as `csv.DictReader`
    gives them, `selection` selection.json, `classifier` the data set's classifier.json, `warnings`
    those of metrics.json. Of one that translates `baselines` are those of floor.json, and `domains`
    the names of those that it is told; `architecture` is its architecture.json.
    """
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"measure": measure, "percent": percent}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        name=registry.name_of(dataset),
        dataset=dataset,
        model=model,
        data=DATA.get(dataset, ELSEWHERE) if data is None else data,
        translates="generator" in config,
        baselines=baselines or {},
        domains=domains,
        kinds=[
            KINDS.get((architecture or {}).get(f"{side}_channels", 0)) for side in ("in", "out")
        ],
        config=config,
        parameters=parameters(config),
        told=is_told(config),
        sections=[list(rows) for _, rows in groupby(scores, key=lambda row: row["extractor"])],
        selection=selection,
        classifier=classifier,
        warnings=warnings,
    )
