"""The history as it is, and after each of its items the next one: what SASRec learns to predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field

from sslplug.contracts import Component, Options, Target, View, tags
from sslplug.randomness import Rng
from sslplug_recsys.batch import Histories
from sslplug_recsys.sequential.views.histories import inputs, need_histories
from sslplug_recsys.spec import RecSpec


class NextItemsOptions(Options):
    """What is asked."""

    ask: Literal["every", "last"] = Field(
        "every", description="every: the next item at each step; last: at the end alone (data.samples: prefixes)"
    )


class NextItems:
    """One view with the target ``next``, the number of the item that follows a step."""

    rates: Mapping[str, float] = {}

    def __init__(self, options: NextItemsOptions) -> None:
        self.options = options

    def __call__(self, batch: Histories, rng: Rng) -> list[View]:
        """One causal view of the samples without their last items."""
        shown = inputs(batch)
        if self.options.ask == "last":
            asked = (shown.lengths > 0).nonzero()[:, 0]
            rows, following = shown.offsets[1:][asked] - 1, batch.offsets[1:][asked] - 1
        else:
            rows = torch.arange(len(shown.items), device=shown.items.device)
            # Every sample before this one had one item more than its inputs have.
            following = rows + shown.owner + 1 - _empty_before(batch)[shown.owner]
        return [View(shown, targets={"next": Target("step", batch.items[following], rows)})]


def _empty_before(batch: Histories) -> torch.Tensor:
    """(n,) int64: samples without any item before each sample; such a one has no last item to be left out."""
    empty = (batch.lengths == 0).long()
    return empty.cumsum(0) - empty


def build(options: NextItemsOptions, spec: RecSpec) -> NextItems:
    """The view."""
    need_histories(spec, "next")
    return NextItems(options)


NEXT_ITEMS = Component(
    NextItemsOptions,
    build,
    "A history, and the item that follows each of its steps (SASRec)",
    provides=tags("target:next"),
    outputs=lambda options, spec: {"next": spec.items},
)
