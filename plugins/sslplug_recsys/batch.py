"""The plugin's batch types: logged pairs, one side's entities, histories of items.

Letters: n users, m items or rows of one side, b pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslplug.errors import DataError
from sslplug_recsys.feature_table import FeatureTable, spans
from sslplug_recsys.graph import Graph


@dataclass(frozen=True, eq=False)
class Pairs:
    """A training batch of pair data: logged (user, item) pairs.

    users, items  (b,) int64 numbers of the whole data
    index         (b,) int64 numbers of the training pairs
    """

    users: Tensor
    items: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.users)

    def to(self, device: torch.device | str) -> Pairs:
        """The same batch on ``device``."""
        return Pairs(self.users.to(device), self.items.to(device), self.index.to(device))


@dataclass(frozen=True, eq=False)
class Entities:
    """``View.data`` of one side; ``View.role`` says which ("user", "item", "negative"). Rows are entity numbers.

    rows      (m,) int64
    features  of these rows, in order (perhaps masked by a view)
    hidden    (m, fields) bool: fields that the encoder replaces by its learned default vector
    graph     an augmented graph of the view; None = the clean one of ``spec``
    """

    rows: Tensor
    features: FeatureTable | None = None
    hidden: Tensor | None = None
    graph: Graph | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> Entities:
        """The same rows on ``device``."""
        return Entities(
            self.rows.to(device),
            None if self.features is None else self.features.to(device),
            None if self.hidden is None else self.hidden.to(device),
            None if self.graph is None else self.graph.to(device),
        )


@dataclass(frozen=True, eq=False)
class Histories:
    """Item sequences in time order, packed without padding: a training batch of sequence data, or a view of level "history".

    offsets  (n + 1,) int64: history i holds ``items[offsets[i]:offsets[i + 1]]``; it may be empty
    items    (m,) int64 item numbers
    users    (n,) int64 user (or history) numbers of the whole data
    """

    offsets: Tensor
    items: Tensor
    users: Tensor

    def __post_init__(self) -> None:
        if len(self.offsets) != len(self.users) + 1:
            raise DataError(
                f"Histories: {len(self.offsets)} offsets for {len(self.users)} histories; expected one more offset."
            )

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> Tensor:
        """(n,) int64: items of each history."""
        return self.offsets.diff()

    @property
    def owner(self) -> Tensor:
        """(m,) int64: the history of each item."""
        rows = torch.arange(len(self.users), device=self.items.device)
        return rows.repeat_interleave(self.lengths, output_size=len(self.items))

    def take(self, rows: Tensor) -> Histories:
        """The named histories, whole, in that order; the memory is new."""
        offsets, places = spans(self.offsets, rows)
        return Histories(offsets, self.items[places], self.users[rows])

    def to(self, device: torch.device | str) -> Histories:
        """The same histories on ``device``."""
        return Histories(self.offsets.to(device), self.items.to(device), self.users.to(device))
