"""The tables of scores and how their numbers are shown."""

from typing import Any

import pytest

from ganvas.reporting import scoreboard

NAN = float("nan")


def rows(floor: dict[str, Any], **metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of one extractor's table, by measure."""
    models = {model: {"classifier": scores} for model, scores in metrics.items()}
    (section,) = scoreboard.tables({"classifier": floor}, models)
    return {row["key"]: row for row in section["rows"]}


def best(row: dict[str, Any]) -> list[str]:
    return [model for model, cell in row["cells"].items() if cell["best"]]


@pytest.mark.parametrize(
    ("measure", "a", "b", "expected"),
    [
        ("fid", 1.0, 2.0, ["a"]),
        ("recall", 0.1, 0.2, ["b"]),
        ("fid", 1.0, 1.0, []),
        ("memorisation", 0.0, 0.1, []),
        ("unheard_of", 1.0, 2.0, []),
        ("fid", NAN, 2.0, []),
    ],
)
def test_the_best_is_marked_where_there_is_one(
    measure: str, a: float, b: float, expected: list[str]
) -> None:
    assert best(rows({}, a={measure: a}, b={measure: b})[measure]) == expected


@pytest.mark.parametrize(
    ("fids", "expected"),
    [
        ({"a": 3.0, "b": 1.0, "c": 2.0}, ["b", "c", "a"]),
        ({"a": NAN, "b": 2.0, "c": None, "d": 1.0}, ["d", "b", "a", "c"]),
        ({"b": None, "a": None}, ["b", "a"]),
    ],
)
def test_models_are_ranked_by_fid_and_those_without_one_come_last(
    fids: dict[str, float | None], expected: list[str]
) -> None:
    metrics = {
        m: {"images": 9, "pixels": {"x": 1.0}, "classifier": {"fid": fid}}
        for m, fid in fids.items()
    }
    assert scoreboard.ranked(metrics) == expected


def test_models_are_ranked_by_the_first_extractor() -> None:
    found = {"a": (1.0, 20.0), "b": (2.0, 10.0)}
    metrics = {
        model: {"classifier": {"fid": ours}, "inception": {"fid": theirs}}
        for model, (ours, theirs) in found.items()
    }
    assert scoreboard.ranked(metrics) == ["a", "b"]


def test_the_fid_within_each_class_is_that_of_models_that_are_told_classes() -> None:
    metrics = {
        "gan": {"classifier": {"fid": 9.0}},
        "cgan": {"classifier": {"class_fids": [3.0, 4.0, None]}},
        "acgan": {"classifier": {"class_fids": [5.0, 2.0, NAN]}},
    }
    floor = {"classifier": {"class_fids": [1.0, None, 0.5]}}
    (section,) = scoreboard.within(floor, metrics, "class_fids", ["zero", "one", "two"])
    assert section["models"] == ["cgan", "acgan"]
    shown = [
        [row["name"], *(cell["text"] for cell in row["cells"].values()), row["floor"]]
        for row in section["rows"]
    ]
    assert shown == [
        ["zero", "3.000", "5.000", "1.000"],
        ["one", "4.000", "2.000", "–"],
        ["two", "–", "–", "0.5000"],
    ]
    assert [best(row) for row in section["rows"]] == [["cgan"], ["acgan"], []]
    assert scoreboard.within(floor, {"gan": metrics["gan"]}, "class_fids", ["zero"]) == []


def test_parameters_have_dotted_keys_and_leave_out_what_is_said_elsewhere() -> None:
    config = {
        "dataset": "mnist",
        "warnings": [],
        "generator_widths": [128, 64],
        "penalties": {"r1": 1.0, "r2": 0.5},
        "augment": [],
        "lr": 0.1,
        "rule": None,
    }
    assert scoreboard.parameters(config) == {
        "generator_widths": "128, 64",
        "penalties.r1": "1.0",
        "penalties.r2": "0.5",
        "augment": "none",
        "lr": "0.1",
        "rule": "–",
    }


def test_names_are_listed_as_in_a_sentence() -> None:
    listed = [scoreboard.joined(["a", "b", "c"][:count], " và ") for count in (1, 2, 3)]
    assert listed == ["a", "a và b", "a, b và c"]


@pytest.mark.parametrize(
    ("deviation", "expected"),
    # Two standard deviations of a difference of 10 and 13 are 0.1 x 2 x 16.4.
    [(0.0, ["a"]), (0.09, ["a"]), (0.092, ["a", "b"]), (0.4, ["a", "b", "c"])],
)
def test_what_seeds_might_turn_is_alike(deviation: float, expected: list[str]) -> None:
    fids = {"b": 13.0, "a": 10.0, "c": 30.0}
    assert sorted(scoreboard.alike(fids, deviation)) == expected


def test_no_best_fid_is_marked_where_seeds_might_turn_it() -> None:
    scores = {model: {"fid": fid, "kid": fid} for model, fid in (("a", 10.0), ("b", 13.0))}
    models = {model: {"classifier": values} for model, values in scores.items()}
    for deviation, expected in ((0.09, ["a"]), (0.1, [])):
        (section,) = scoreboard.tables({}, models, deviation)
        fid, kid = section["rows"]
        assert (best(fid), best(kid)) == (expected, ["a"])


def test_a_deviation_stands_in_its_measures_row_with_as_many_decimals() -> None:
    table = rows({"fid": 2.5, "fid_std": 0.25}, a={"fid": 531.389, "fid_std": 4.321})
    assert list(table) == ["fid"]
    cell, floor = table["fid"]["cells"]["a"], table["fid"]["floor"]
    assert (cell["text"], cell["deviation"]) == ("531.4", "4.3")
    assert (floor["text"], floor["deviation"]) == ("2.500", "0.250")


def test_what_is_missing_or_not_finite_is_a_dash_and_what_nobody_has_no_row() -> None:
    table = rows({"kid": 1.0}, a={"fid": NAN, "recall": 0.5}, b={"fid": 2.0, "density": NAN})
    assert list(table) == ["fid", "recall"]
    assert table["fid"]["cells"]["a"]["text"] == table["recall"]["cells"]["b"]["text"] == "–"
    assert table["recall"]["cells"]["a"]["text"] == "50.0 %"
    assert table["fid"]["floor"] == {"value": None, "text": "–", "deviation": ""}


def test_the_measures_stand_in_one_order_and_unknown_ones_last() -> None:
    scores = dict.fromkeys(["unheard_of", *reversed(scoreboard.MEASURES)], 1.0)
    assert list(rows({}, a=scores)) == [*scoreboard.MEASURES, "unheard_of"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (531.389, "531.4"),
        (75.4597, "75.46"),
        (0.06977, "0.0698"),
        (-2.698, "−2.698"),
        (12345.6, "12,346"),
        (0, "0.00"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers_have_about_four_digits(value: float | None, text: str) -> None:
    assert scoreboard.number(value) == text
