"""Readings: who trains is refused with the first fault that matters, who checks is told all; nothing is told before it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sslplug.contracts import Faults, Reading, Refused, attempt, finished, listed
from sslplug.contracts.cells import ids, numbers, times
from sslplug.contracts.tables import read_table
from sslplug.errors import DataError


def faults(kind: str, *rows: int, harmless: bool = False) -> Faults:
    return Faults(kind, "a.csv", lambda k: f"cell {k}", "another", "Mend it.", np.array(rows), "x", harmless)


def some(*groups: Faults, refused: Faults | None = None) -> Reading[int]:
    yield from groups
    if refused is not None:
        raise Refused(refused)
    return 7


def test_who_trains_is_refused_with_the_first_fault_that_is_not_harmless() -> None:
    notes: list[str] = []
    groups = (faults("odd", 3, harmless=True), faults("bad", 5, 9), faults("worse", 1))
    with pytest.raises(
        DataError, match=r"a\.csv, row 5, column 'x': found cell 0; expected another\. Mend it\. \(2 such rows\)"
    ):
        finished(some(*groups), notes)
    assert notes == ["a.csv, row 3, column 'x': found cell 0; expected another. Mend it."]


def test_who_trains_goes_on_with_what_is_harmless_or_empty() -> None:
    notes: list[str] = []
    assert finished(some(faults("none"), faults("odd", 1, 2, harmless=True)), notes) == 7
    assert len(notes) == 1


def test_who_checks_is_told_every_row_even_of_what_ends_the_reading() -> None:
    found = list(listed(some(faults("odd", 3, harmless=True), faults("bad", 5, 9), refused=faults("end", 2))))
    assert [(fault.kind, fault.row, fault.harmless) for fault in found] == [
        ("odd", 3, True),
        ("bad", 5, False),
        ("bad", 9, False),
        ("end", 2, False),
    ]


def test_a_larger_reading_goes_on_behind_a_part_that_was_refused() -> None:
    def two() -> Reading[tuple[int | None, int | None]]:
        first = yield from attempt(some(refused=faults("end", 2)))
        second = yield from attempt(some(faults("bad", 4)))
        return first, second

    assert [fault.kind for fault in listed(two())] == ["end", "bad"]
    with pytest.raises(Refused):
        finished(two())


def test_rows_are_put_into_words_only_when_asked_for() -> None:
    asked: list[int] = []

    def found(k: int) -> str:
        asked.append(k)
        return str(k)

    many = Faults("bad", "a.csv", found, "another", "Mend it.", np.arange(1, 1_000_001))
    told = listed(some(many))
    assert [next(told).row for _ in range(3)] == [1, 2, 3]
    assert asked == [0, 1, 2]


def returned(reading: Reading[object]) -> object:
    """What a reading returns, whatever it tells."""
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value


def column(tmp_path: Path, cells: list[str]) -> Path:
    file = tmp_path / "a.csv"
    file.write_text("x,y\n" + "".join(f"{cell},1\n" for cell in cells), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["7", "007", "-1"], ["7", "007", "-1"]),  # as written
        (["7", "8.0", "9"], ["7", "8", "9"]),  # what tools write beside empty cells
        (["7", "8.5", "nan"], ["7", None, None]),
        (["NA", "FR", "nan"], ["NA", "FR", "nan"]),  # words stay words: Namibia
        ([" a", "b ", "c"], ["a", "b", "c"]),
    ],
)
def test_ids_stay_as_they_are_written(tmp_path: Path, cells: list[str], expected: list[str | None]) -> None:
    def read() -> Reading[list[str | None]]:
        table = yield from read_table(column(tmp_path, cells))
        return (yield from ids(table, "x")).to_pylist()

    assert returned(read()) == expected


def test_numbers_and_times_of_words(tmp_path: Path) -> None:
    def read(cells: list[str]) -> Reading[tuple[np.ndarray, np.ndarray]]:
        table = yield from read_table(column(tmp_path, cells))
        return (yield from numbers(table, "x", None)), (yield from times(table, "x"))

    values, moments = finished(read(["1", " 2.5", "-3e2", ".5"]))
    np.testing.assert_array_equal(values, [1, 2.5, -300, 0.5])
    np.testing.assert_array_equal(moments, values)

    def dates(cells: list[str]) -> Reading[np.ndarray]:
        table = yield from read_table(column(tmp_path, cells))
        return (yield from times(table, "x"))

    days = finished(
        dates(["1970-01-02", "1970-01-02 12:00", "1970-01-02T12:00:00Z", "1970-01-02T14:00:00+02:00", "2999-01-01"])
    )
    np.testing.assert_allclose(days, [1, 1.5, 1.5, 1.5, 375_835])
