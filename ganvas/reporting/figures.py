"""The report's charts as pictures, for MLflow and docs/: PNG bytes, the same for the same data."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganvas.reporting.report import running_mean, smoothing_window

GENERATOR, DISCRIMINATOR, REAL = "#1f6fb4", "#d1662d", "#8a8f98"
STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e6ea",
    "font.size": 9,
    "legend.edgecolor": "none",
}


def losses(
    title: str, history: Mapping[str, Sequence[float]], selection: Mapping[str, Any]
) -> bytes:
    """Both losses by iteration, with the epochs that selection.json names marked.

    `history` are the columns of history.csv. Only an epoch that ends in a checkpoint can be marked:
    the curve may have been lower elsewhere.
    """
    steps = history["iteration"]
    per_epoch = steps[-1] / history["epoch"][-1]

    def draw(axes: Axes) -> None:
        window = smoothing_window(len(steps))
        for name, colour in (("generator", GENERATOR), ("discriminator", DISCRIMINATOR)):
            values = history[f"{name}_loss"]
            if window > 1:
                axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            axes.plot(steps, running_mean(values, window), color=colour, label=f"{name} loss")
        for key, words, line in (
            ("lowest_generator_loss_epoch", "checkpoint of the lowest\ngenerator loss", ":"),
            ("best_epoch", "checkpoint of the best\nFID", "--"),
        ):
            epoch = selection[key]
            label = f"{words}: epoch {epoch}"
            axes.axvline(epoch * per_epoch, color="black", linewidth=1, linestyle=line, label=label)
        axes.set(title=title, xlabel="iteration", ylabel="loss")
        both = [*history["generator_loss"], *history["discriminator_loss"]]
        if any(value < 0 for value in both):  # a critic's, or the minimax game's
            axes.axhline(0, color=REAL, linewidth=0.8)
        else:
            axes.set_ylim(0, None)
        axes.locator_params(axis="x", nbins=5)  # more numbers of six figures would touch
        axes.xaxis.set_major_formatter("{x:,.0f}")
        _legend(axes)

    return _png(draw)


def checkpoints(title: str, scored: Mapping[str, Sequence[float]]) -> bytes:
    """FID of each checkpoint by epoch; `scored` are the columns of selection.csv."""

    def draw(axes: Axes) -> None:
        axes.plot(scored["epoch"], scored["fid"], color=GENERATOR, marker="o", markersize=3)
        if max(scored["fid"]) > 10 * min(scored["fid"]) > 0:
            axes.set_yscale("log")
        axes.set(title=title, xlabel="epoch", ylabel="FID, validation images")

    return _png(draw)


def classes(title: str, generated: Sequence[float], real: Sequence[float]) -> bytes:
    """Share of each class among generated and real images."""

    def draw(axes: Axes) -> None:
        for shift, shares, colour, label in (
            (-0.2, real, REAL, "real"),
            (0.2, generated, GENERATOR, "generated"),
        ):
            places = [place + shift for place in range(len(shares))]
            axes.bar(places, [100 * share for share in shares], 0.4, color=colour, label=label)
        axes.set(title=title, xlabel="class", ylabel="% of the images", xticks=range(len(real)))
        axes.grid(visible=False, axis="x")
        _legend(axes)

    return _png(draw)


def _legend(axes: Axes) -> None:
    """Beside the chart, where it hides nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _png(draw: Any) -> bytes:
    # The user's own settings of matplotlib would change the bytes.
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(6.4, 3.2), dpi=120, layout="constrained")
        draw(figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
