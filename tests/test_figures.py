"""What the charts show, and that they are readable."""

import itertools
from collections.abc import Callable

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganvas.reporting import figures

EPOCHS, PER_EPOCH = 200, 859  # gan on MNIST
HISTORY = {
    "iteration": [PER_EPOCH * epoch for epoch in range(1, EPOCHS + 1)],
    "epoch": list(range(1, EPOCHS + 1)),
    "generator_loss": [6 / epoch for epoch in range(1, EPOCHS + 1)],
    "discriminator_loss": [0.5] * EPOCHS,
}
CHOSEN = {"lowest_generator_loss_epoch": 120, "best_epoch": 190}


def drawn(monkeypatch: pytest.MonkeyPatch, history: dict[str, list[float]]) -> Axes:
    """The loss chart before it becomes PNG bytes, drawn at its size."""
    kept: list[Axes] = []
    to_png = figures._png

    def keep(draw: Callable[[Axes], None]) -> bytes:
        def draw_and_keep(axes: Axes) -> None:
            draw(axes)
            kept.append(axes)

        return to_png(draw_and_keep)

    monkeypatch.setattr(figures, "_png", keep)
    figures.losses("gan on mnist", history, CHOSEN)
    return kept[0]


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> Axes:
    return drawn(monkeypatch, HISTORY)


def test_both_epochs_of_the_selection_are_marked_where_they_end(losses: Axes) -> None:
    marked = {
        str(line.get_label()).replace("\n", " "): set(line.get_xdata())
        for line in losses.lines
        if line.get_color() == "black"
    }
    assert marked == {
        "checkpoint of the lowest generator loss: epoch 120": {120 * PER_EPOCH},
        "checkpoint of the best FID: epoch 190": {190 * PER_EPOCH},
    }


def test_each_curve_is_named_and_its_points_are_the_historys(losses: Axes) -> None:
    curves = [line for line in losses.lines if line.get_color() != "black"]
    # Each twice: as it is, pale, and smoothed, with the name.
    assert [line.get_label() for line in curves[1::2]] == ["generator loss", "discriminator loss"]
    assert [list(line.get_ydata()) for line in curves[::2]] == [
        HISTORY["generator_loss"],
        HISTORY["discriminator_loss"],
    ]


def test_nothing_hides_the_curves_and_the_numbers_do_not_touch(losses: Axes) -> None:
    figure = losses.figure
    assert isinstance(figure, Figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    legend = losses.get_legend()
    assert legend is not None
    assert legend.get_window_extent(renderer).x0 >= losses.get_window_extent(renderer).x1
    assert legend.get_window_extent(renderer).x1 <= figure.bbox.x1
    low, high = losses.get_xlim()
    shown = [
        label.get_window_extent(renderer)
        for place, label in zip(losses.get_xticks(), losses.get_xticklabels(), strict=True)
        if low <= place <= high
    ]
    assert len(shown) > 2
    assert all(left.x1 + 5 < right.x0 for left, right in itertools.pairwise(shown))


def test_losses_below_zero_are_shown_and_zero_is_marked(
    losses: Axes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert losses.get_ylim()[0] == 0
    below = HISTORY | {"discriminator_loss": [-12.0 / epoch for epoch in range(1, EPOCHS + 1)]}
    critic = drawn(monkeypatch, below)
    low, high = critic.get_ylim()
    assert low < -12 and high > 6
    assert [0, 0] in [list(line.get_ydata()) for line in critic.lines]


def test_the_users_own_style_changes_no_byte() -> None:
    before = figures.losses("gan on mnist", HISTORY, CHOSEN)
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 20, "axes.facecolor": "red"}):
        assert figures.losses("gan on mnist", HISTORY, CHOSEN) == before
