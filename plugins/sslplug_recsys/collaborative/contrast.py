"""What a contrastive term of the collaborative method is: what it reads of the step's propagation, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Options, Progress, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.collaborative.graph_table import GraphTable
from sslplug_recsys.collaborative.lightgcn import LightGcn
from sslplug_recsys.propagation import Branch, Reading


class ContrastOptions(Options):
    """What all terms share."""

    weight: float = Field(0.1, ge=0, description="lambda: factor of this term")
    item_weight: float = Field(1.0, ge=0, description="further factor of the item side")
    reduction: Literal["mean", "sum"] = Field(
        "mean", description="over the rows that are told apart (NCL's weights are of sums)"
    )


@dataclass(frozen=True, eq=False)
class Sides:
    """A batch in node numbers.

    user, item  (b,) int64, repeats as they come;  negative: likewise, or None
    users, items  the distinct ones among them, increasing
    """

    user: Tensor
    item: Tensor
    negative: Tensor | None
    users: Tensor
    items: Tensor

    @classmethod
    def of(cls, user: Tensor, item: Tensor, negative: Tensor | None) -> Sides:
        """With the distinct nodes found."""
        return cls(user, item, negative, torch.unique(user), torch.unique(item))


def sides_of(views: Sequence[View], encoder: GraphTable) -> Sides:
    """A batch's views as rows by role. Raises UsageError where a side is missing."""
    rows = {view.role: encoder.nodes(view) for view in views}
    if not {"user", "item"} <= rows.keys():
        raise UsageError(
            f"Collaborative methods need views of roles user and item; they got {', '.join(rows) or 'none'}. "
            "Choose views: triples."
        )
    return Sides.of(rows["user"], rows["item"], rows.get("negative"))


@dataclass(frozen=True, eq=False)
class Wants:
    """What a term reads: of the pass that ranks, and of passes of its own over the clean graph."""

    main: tuple[Reading, ...] = ()
    branches: tuple[Branch, ...] = ()


class Contrast(nn.Module):
    """A term. ``objective`` is the recipe's, of the engine's tables; None for terms with a loss of their own."""

    def wants(self, sides: Sides, encoder: LightGcn, rng: Rng) -> Wants:
        """What the term reads; by default nothing."""
        return Wants()

    def loss(self, sides: Sides, read: Sequence[Tensor], encoder: LightGcn) -> Tensor:
        """The unweighted value; ``read`` are the main readings it asked for, then those of its branches."""
        raise TypeError(f"{type(self).__name__} computes no loss.")

    def on_epoch_start(self, progress: Progress, encoder: LightGcn) -> None:
        """Before the first step of an epoch; by default nothing changes."""


def compared(
    objective: nn.Module, rows: Tensor, keys: Tensor, row_ids: Tensor, key_ids: Tensor, options: ContrastOptions
) -> Tensor:
    """The objective's value of (b, d) rows against (m, d) keys, matched by ids; every row has its key."""
    value: Tensor = torch.stack(list(objective([rows, keys], [row_ids, key_ids]).values())).sum()
    return value * len(rows) if options.reduction == "sum" else value
