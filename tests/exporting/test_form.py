"""Views taken apart into named tensors: what is an input, what follows its length, what is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug.errors import DataError, UsageError
from sslplug.exporting.form import Form, forms_of
from sslplug.exporting.leaves import leaves, rebuilt


class Edges:
    """An object with attributes, as a plugin may have one, and a cache."""

    def __init__(self, index: Tensor, count: int) -> None:
        self.index, self.count = index, count

    @cached_property
    def degree(self) -> Tensor:
        return torch.bincount(self.index, minlength=self.count)


@dataclass(frozen=True, eq=False)
class Batch:
    values: Tensor
    index: Tensor
    edges: Edges
    count: int
    words: tuple[str, ...] = ("a", "b")
    extra: Tensor | None = None

    def __post_init__(self) -> None:
        if len(self.values) != self.count:
            raise DataError("a value each")

    def to(self, device: torch.device | str) -> Batch:
        return self


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 2)

    def forward(self, view: View) -> Embedding:
        batch: Batch = view.data
        degree = batch.edges.degree[:, None].to(torch.float32)
        return Embedding({"row": self.map(batch.values) * degree + len(batch.index)})


def view(rows: int, edges: int, **changes: Any) -> View:
    index = torch.arange(edges) % rows
    batch = Batch(torch.randn(rows, 3), torch.arange(edges), Edges(index, rows), rows, **changes)
    return View(batch, ids={"row": torch.arange(rows)}, role="left")


def form(*views: View) -> Form:
    (found,) = forms_of(Net().eval(), views)
    return found


def test_inputs_are_what_the_encoder_reads() -> None:
    found = form(view(5, 9), view(4, 6), view(7, 20))
    assert dict(found.inputs) == {"values": True, "index": False, "edges_index": True}  # ids are not read
    assert dict(found.lengths) == {"data.edges.count": ("values", 0), "data.count": ("values", 0)}
    assert dict(found.fixed) == {"data.words.0": "a", "data.words.1": "b", "role": "left"}
    assert found.open == {"values": {0}, "index": {0}, "edges_index": {0}}
    assert [len(sample.data.values) for sample in found.samples] == [7, 5, 4]  # the largest, the first, the smallest
    assert found.views == 3


def test_one_view_leaves_every_axis_open() -> None:
    found = form(view(5, 9))
    assert found.open == {"values": {0, 1}, "index": {0}, "edges_index": {0}}
    assert found.lengths["data.count"] == ("values", 0)


def test_a_view_is_put_together_again() -> None:
    found, other = form(view(5, 9), view(4, 6)), view(6, 8)
    tensors = found.tensors(other)
    made = found.view(tensors, found.empty)
    assert made.data.values is other.data.values
    assert (made.data.count, made.data.edges.count, made.role) == (6, 6, "left")
    torch.testing.assert_close(made.data.edges.degree, other.data.edges.degree)
    assert made.ids["row"].device.type == "meta"  # no row of the data can come to lie in a program
    with pytest.raises(DataError, match="a value each"):
        rebuilt(replace(other.data), lambda path, value: 3 if path == "count" else value, checked=True)


def test_a_cache_is_no_content() -> None:
    one = view(5, 9)
    before = set(leaves(one))
    assert one.data.edges.degree.sum() == 9
    assert set(leaves(one)) == before


def test_names_are_words_of_their_own() -> None:
    class Named(nn.Module):
        def forward(self, view: View) -> Embedding:
            data: Mapping[str, Tensor] = view.data
            return Embedding({"row": data["row"] + data["a/b"] + data["lambda"]})

    shared = torch.ones(2, 1)
    data = {"row": shared, "a/b": torch.ones(2, 1), "lambda": torch.ones(2, 1), "again": shared}
    (found,) = forms_of(Named(), [View(data)])
    assert list(found.inputs) == ["row_", "a_b", "lambda_"]  # "row" is a level, lambda a keyword
    assert found.names["data.again"] == "row_"


def test_views_of_two_forms_are_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.extra is torch\.float32 of 1 axes in one and None in another"):
        form(view(5, 9), view(5, 9, extra=torch.ones(3)))
    with pytest.raises(UsageError, match=r"data\.words\.1 is 'c' in one and 'b' in another"):
        form(view(5, 9), view(5, 9, words=("a", "c")))


def test_a_number_that_is_no_length_is_refused() -> None:
    odd = view(4, 6)
    object.__setattr__(odd.data, "count", 17)
    with pytest.raises(UsageError, match=r"number data\.count differs between views and is no tensor's length"):
        form(view(5, 9), odd)


def test_roles_have_forms_of_their_own() -> None:
    left, right = view(5, 9), replace(view(3, 4), role="right")
    assert [one.role for one in forms_of(Net(), [left, right, left])] == ["left", "right"]
