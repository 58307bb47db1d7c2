"""Aggregates against pandas, and what an event may know of itself."""

import numpy as np
import pandas as pd
import pytest

from sslplug.randomness import Rng
from sslplug_sequence.events.data.shoppers import shoppers
from sslplug_sequence.events.data.table import Encoding, EventTable, fit, make_table
from sslplug_sequence.events.raw_features import entity_table, event_table


@pytest.fixture(scope="module")
def made() -> tuple[EventTable, Encoding, pd.DataFrame]:
    source = shoppers(30, 15.0, Rng.root(5))
    rows = np.repeat(np.arange(30), source.lengths)
    words = {name: np.array([*source.values[name], ""])[source.codes[:, c]] for c, name in enumerate(source.values)}
    # An entity without events and one with a single event come last.
    table = make_table(
        "t",
        np.arange(32),
        np.r_[rows, 31],
        np.r_[source.time, 3.0],
        {name: np.r_[column, column[:1]] for name, column in words.items()},
        {"amount": np.r_[source.numbers[:, 0], 7.0]},
        "days",
    )
    encoding = fit(table, np.arange(32), (), 100)
    lookups = encoding.lookups(table)
    frame = pd.DataFrame(
        {
            "entity": np.r_[rows, 31],
            "time": table.time,
            "amount": table.numbers[:, 0].astype(float),
            "department": lookups[0][table.codes[:, 0] + 1],
            "channel": lookups[1][table.codes[:, 1] + 1],
        }
    )
    return table, encoding, frame


def test_entity_aggregates_are_those_of_pandas(made: tuple[EventTable, Encoding, pd.DataFrame]) -> None:
    table, encoding, frame = made
    raw = entity_table(table, encoding, table.offsets[:-1], 0)
    by = frame.groupby("entity")
    everyone = pd.RangeIndex(32)

    def expect(columns: slice, wanted: pd.DataFrame) -> None:
        np.testing.assert_allclose(raw.values[:, columns], wanted.reindex(everyone).to_numpy(), rtol=2e-4, atol=1e-4)

    np.testing.assert_array_equal(raw.values[:, 0], by.size().reindex(everyone, fill_value=0))
    gap = by["time"].diff()
    gaps = gap.groupby(frame["entity"]).agg(["mean", lambda g: g.std(ddof=0), "min", "max", "last"])
    expect(slice(1, 3), by["time"].agg(["first", "last"]))
    expect(slice(4, 9), gaps)
    count = by["amount"].count().reindex(everyone, fill_value=0)
    np.testing.assert_array_equal(raw.values[:, 10], count)
    amounts = by["amount"].agg(["sum", "mean", lambda a: a.std(ddof=0), "min", "max", "first", "last"])
    expect(slice(12, 18), amounts.iloc[:, 1:])
    np.testing.assert_allclose(raw.values[:, 11], amounts["sum"].reindex(everyone, fill_value=0), rtol=1e-5)
    for entity in (0, 7):
        own = frame[(frame["entity"] == entity) & frame["amount"].notna()]
        assert raw.values[entity, 18] == pytest.approx(np.polyfit(own["time"], own["amount"], 1)[0], rel=1e-3)
    # department: counts of codes 1..11, distinct, then sum, mean and deviation of the amount in each
    counts = pd.crosstab(frame["entity"], frame["department"]).reindex(index=everyone, columns=range(1, 12), fill_value=0)
    np.testing.assert_array_equal(raw.values[:, 19:30], counts)
    np.testing.assert_array_equal(raw.values[:, 30], by["department"].nunique().reindex(everyone, fill_value=0))
    mean = frame.pivot_table(index="entity", columns="department", values="amount", aggfunc="mean")
    np.testing.assert_allclose(raw.values[:, 42:53], mean.reindex(index=everyone, columns=range(1, 12)), rtol=1e-4)
    assert raw.categorical[0] == 19 + 11 + 1 + 33
    np.testing.assert_array_equal(raw.values[:, raw.categorical[0]], by["department"].last().reindex(everyone))


def test_pairs_of_successive_categories_are_counted(made: tuple[EventTable, Encoding, pd.DataFrame]) -> None:
    table, encoding, frame = made
    without, with_pairs = (entity_table(table, encoding, table.offsets[:-1], k).values for k in (0, 5))
    extra = with_pairs[:, 65:70]
    assert with_pairs.shape[1] == without.shape[1] + 5
    frame = frame.assign(after=frame.groupby("entity")["department"].shift(-1)).dropna(subset=["after"])
    pairs = frame.groupby(["department", "after"]).size().sort_values(ascending=False)
    assert sorted(extra.sum(0).tolist(), reverse=True) == pairs.head(5).tolist()


def test_events_know_their_past_alone(made: tuple[EventTable, Encoding, pd.DataFrame]) -> None:
    table, encoding, frame = made
    raw = event_table(table, encoding, table.offsets[:-1])
    assert raw.categorical == tuple(range(8))
    by = frame.groupby("entity")
    for lag in range(4):
        np.testing.assert_array_equal(raw.values[:, lag], by["department"].shift(lag))
        np.testing.assert_array_equal(raw.values[:, 4 + lag], by["channel"].shift(lag))
        np.testing.assert_allclose(raw.values[:, 8 + lag], by["time"].diff().groupby(frame["entity"]).shift(lag), rtol=1e-4)
    np.testing.assert_array_equal(raw.values[:, 12], by.cumcount())
    second = (frame["department"] == 2).groupby(frame["entity"]).cumsum() / (by.cumcount() + 1)
    np.testing.assert_allclose(raw.values[:, 17], second, rtol=1e-5)
    # Cutting off the future changes no row.
    short = event_table(table, encoding, table.offsets[:-1]).values
    keep = frame["entity"] < 5
    shorter = make_table(
        "t", np.arange(5), frame["entity"][keep].to_numpy(), table.time[keep],
        {n: np.array([*table.values[n], ""])[table.codes[keep, c]] for c, n in enumerate(table.values)},
        {"amount": table.numbers[keep, 0]}, "days",
    )  # fmt: skip
    np.testing.assert_array_equal(event_table(shorter, encoding, shorter.offsets[:-1]).values, short[keep])
