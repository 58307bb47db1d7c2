"""The contracts refuse what would leak, mislead or crash later, and say what was found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sslplug.contracts import (
    API,
    Choice,
    Component,
    DomainData,
    Embedding,
    Encoder,
    Options,
    Plugin,
    Progress,
    Split,
    Target,
    Task,
    View,
    Views,
    tags,
)
from sslplug.errors import DataError, RecipeError, SslplugError, UsageError
from sslplug.testing import toy_data, toy_encoder, toy_views
from sslplug.testing.toy import TOY


@dataclass(frozen=True)
class Batch:
    x: torch.Tensor

    def to(self, device: torch.device | str) -> Batch:
        return Batch(self.x.to(device))


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def task(**changes: Any) -> Task:
    good = Task("t", "classification", "row", np.array([0, 1, 0, 1, -1]), [Split(rows(0, 1), rows(2), rows(3))], "fixed")
    return replace(good, **changes)


# --- views ---


@pytest.mark.parametrize("ids", [torch.zeros(3), torch.zeros(3, dtype=torch.int32), torch.zeros(3, 1, dtype=torch.int64)])
def test_view_refuses_ids_of_another_type_or_shape(ids: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"View\.ids\['row'\].*expected \(n,\) int64"):
        View(Batch(torch.zeros(3)), ids={"row": ids})


@pytest.mark.parametrize("mask", [torch.zeros(3), torch.zeros(3, 1, dtype=torch.bool)])
def test_view_refuses_masks_of_another_type_or_shape(mask: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"View\.mask\['cell'\].*expected \(n,\) bool"):
        View(Batch(torch.zeros(3)), mask={"cell": mask})


@pytest.mark.parametrize("wrong", [torch.tensor([0.0, 1.0]), torch.tensor([0])])
def test_target_refuses_rows_of_another_type_or_length(wrong: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"Target at level 'row'.*for 2 values"):
        Target("row", torch.zeros(2, 3), wrong)


def test_target_takes_tuples_of_rows() -> None:
    pairs = torch.tensor([[0, 1], [1, 2]])
    assert Target("node", torch.zeros(2), pairs).rows is pairs


def test_view_moves_everything_it_holds() -> None:
    view = View(
        Batch(torch.zeros(2)),
        {"row": torch.arange(2)},
        {"row": torch.zeros(2, dtype=torch.bool)},
        {"t": Target("row", torch.zeros(1), torch.tensor([1]))},
        {"angle": torch.zeros(2)},
        "user",
    )
    moved = view.to("meta")
    assert moved.role == "user"
    held = [moved.data.x, moved.ids["row"], moved.mask["row"], moved.params["angle"]]
    held += [moved.targets["t"].values, moved.targets["t"].rows]
    assert {tensor.device.type for tensor in held} == {"meta"}
    assert view.data.x.device.type == "cpu"


def test_views_are_immutable_and_default_to_nothing() -> None:
    view = View(Batch(torch.zeros(1)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        view.role = "x"  # type: ignore[misc]
    assert (dict(view.ids), dict(view.mask), dict(view.targets), dict(view.params), view.role) == ({}, {}, {}, {}, "")


# --- tasks ---


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"splits": [Split(rows(0, 1), rows(1), rows(3))]}, "1 rows are in both train and val, first row 1"),
        ({"splits": [Split(rows(0, 1), rows(2), rows(0))]}, "in both train and test"),
        ({"splits": [Split(rows(0, 1), rows(2), rows(2))]}, "in both val and test"),
        ({"splits": [Split(rows(0, 9), rows(2), rows(3))]}, r"train holds row 9, but there are 5 instances \(0..4\)"),
        ({"splits": [Split(rows(0, 0), rows(2), rows(3))]}, "names 1 rows twice"),
        ({"splits": [Split(rows(0, 4), rows(2), rows(3))]}, "without a usable label, first row 4"),
        ({"splits": [Split(rows(), rows(2), rows(3))]}, "train is empty"),
        ({"splits": [Split(rows(0), rows(2), rows())]}, "test is empty"),
        ({"splits": [Split(np.array([0.0]), rows(2), rows(3))]}, "expected .* int64"),
        ({"splits": []}, "no split"),
        ({"kind": "ranking"}, "kind 'ranking'; expected one of"),
        ({"labels": np.zeros((5, 2))}, r"labels are \(5, 2\)"),
        ({"groups": np.array([1, 2, 1, 3])}, "4 groups for 5 labels"),
        ({"groups": np.array([1, 2, 1, 3, 4])}, "group 1 is in both train and val"),
        ({"members": np.zeros((4, 2), dtype=np.int64)}, "4 members for 5 labels"),
        ({"kind": "regression", "labels": np.array([0.5, np.nan, 1, 2, 3])}, "without a usable label, first row 1"),
    ],
)
def test_task_refuses_leaks_and_nonsense(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        task(**changes)
    assert "'t'" in str(caught.value)


def test_task_accepts_an_empty_validation_part_and_counts_classes() -> None:
    good = task(splits=[Split(rows(0, 1), rows(), rows(2, 3))])
    assert good.num_classes == 2


def test_the_second_split_is_checked_too() -> None:
    splits = [Split(rows(0, 1), rows(2), rows(3)), Split(rows(0), rows(0), rows(3))]
    with pytest.raises(DataError, match="split 1"):
        task(splits=splits)


# --- embeddings, options, progress, errors ---


def test_embedding_names_the_levels_it_has() -> None:
    embedding = Embedding({"cell": torch.zeros(2, 1), "row": torch.ones(1, 1)})
    assert torch.equal(embedding["row"], torch.ones(1, 1))
    with pytest.raises(UsageError, match="no embedding of level 'graph'; it made cell, row"):
        embedding["graph"]


def test_options_are_frozen_and_refuse_unknown_keys_and_infinities() -> None:
    options = toy_views.CropsOptions()
    with pytest.raises(ValidationError):
        options.noise = 1.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="extra"):
        toy_views.CropsOptions.model_validate({"noize": 1})
    with pytest.raises(ValidationError, match="finite"):
        toy_views.CropsOptions(noise=float("inf"))


def test_a_choice_keeps_the_other_keys_as_given() -> None:
    choice = Choice.model_validate({"name": "mlp", "width": 64})
    assert (choice.name, choice.given()) == ("mlp", {"width": 64})


def test_component_tags_default_to_nothing() -> None:
    component = Component(Options, lambda: None, "x")
    assert component.provides(Options()) == component.needs(Options()) == frozenset()
    assert tags("a", "b")(None) == {"a", "b"}


def test_progress_runs_from_zero_to_one() -> None:
    assert [Progress(0, 1, step, 4).share for step in (0, 2, 4)] == [0.0, 0.5, 1.0]
    assert Progress(0, 0, 0, 0).share == 0.0


def test_a_plugin_is_a_frozen_table() -> None:
    assert TOY.api == API
    assert isinstance(TOY, Plugin)
    with pytest.raises(dataclasses.FrozenInstanceError):
        TOY.name = "other"  # type: ignore[misc]


def test_the_toy_satisfies_the_protocols(tmp_path: Any) -> None:
    from sslplug.contracts import DataContext

    data = toy_data.Clusters(toy_data.ClustersOptions(), DataContext(None, tmp_path, 0))
    assert isinstance(data, DomainData)
    assert isinstance(toy_views.Crops(toy_views.CropsOptions()), Views)
    assert isinstance(toy_encoder.CellsEncoder(toy_encoder.CellsOptions(), data.spec), Encoder)


def test_errors_say_how_the_command_line_ends() -> None:
    error = RecipeError("a.yaml", [("optim.lr", "too big"), ("views", "missing")])
    assert str(error) == "a.yaml: 2 problems\n  optim.lr: too big\n  views: missing"
    assert (SslplugError("x").exit_code, error.exit_code, UsageError("x").exit_code) == (1, 2, 2)
