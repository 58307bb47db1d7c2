"""The main loss of sequence models: tell which item comes next, by the dot product of a step with the encoder's own items.

softmax: cross-entropy over all items (DuoRec; GRU4Rec and SASRec in later code). bce: the original SASRec, one drawn
negative a step,

    L = -1/k sum_t [ log sigma(s_t . e_next) + log(1 - sigma(s_t . e_negative)) ]

The two differ much in what they reach; say which one a figure belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views, observing, tags
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Histories
from sslplug_recsys.sequential.methods.softmax_over_items import softmax_over_items
from sslplug_recsys.sequential.ranks import weight_of_rank

REDRAWS = 4


class NextItemOptions(Options):
    """Options of the loss."""

    loss: Literal["softmax", "bce"] = Field("softmax", description="softmax over all items, or bce against one drawn item")


def item_vectors(encoder: nn.Module, items: int, device: torch.device) -> Tensor:
    """(items, d) the encoder's vectors of all items."""
    rows: Tensor = encoder(View(Entities(torch.arange(items, device=device)), role="item"))["item"]
    return rows


def strangers(histories: Histories, owner: Tensor, extra: Tensor, items: int, generator: torch.Generator) -> Tensor:
    """(k,) items drawn evenly among those that are neither in the history ``owner`` (k,) nor its ``extra`` (k,) item.

    A draw that hits is repeated up to REDRAWS times; the chance that a hit remains is (share of items in the history)^5.
    """
    had = torch.cat([histories.owner * items + histories.items, owner * items + extra])
    drawn = torch.randint(items, (len(owner),), generator=generator, device=owner.device)
    for _ in range(REDRAWS):
        again = torch.randint(items, (len(owner),), generator=generator, device=owner.device)
        drawn = torch.where(torch.isin(owner * items + drawn, had), again, drawn)
    return drawn


class NextItem(nn.Module):
    """Term: ``next``. Views bring the target ``next``; the encoder brings steps and items."""

    def __init__(self, options: NextItemOptions, views: Views, encoder: nn.Module, items: int) -> None:
        super().__init__()
        self.options, self.views, self.encoder, self.items = options, views, encoder, items

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The loss of one batch, from the first view."""
        view = self.views(batch, rng)[0]
        target = view.targets["next"]
        if not len(target.values):
            raise DataError("Method 'next-item': no sample of the batch has an item before its last one.")
        embedding = self.encoder(view)
        steps = embedding["step"] if target.rows is None else embedding["step"][target.rows]
        table = item_vectors(self.encoder, self.items, steps.device)
        if self.options.loss == "softmax":
            loss = softmax_over_items(steps, table, target.values)
        else:
            rows = torch.arange(len(steps), device=steps.device) if target.rows is None else target.rows
            owner = view.data.owner[rows]
            generator = rng.fork("negatives").torch(steps.device)
            negative = strangers(view.data, owner, target.values, self.items, generator)
            with torch.autocast(steps.device.type, enabled=False):
                steps = steps.float()
                good, bad = ((steps * table[chosen].float()).sum(1) for chosen in (target.values, negative))
                loss = (F.softplus(-good) + F.softplus(bad)).mean()
        return {"next": loss * weight_of_rank(len(steps), steps.device)}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Rows of the histories."""
        return {"view0": history_rows(self, batch, rng)}


def history_rows(method: Any, batch: Any, rng: Rng) -> Tensor:
    """(n, d) rows of the first view's histories, without dropout and gradients; the method's mode stays as it was."""
    with observing(method):
        rows: Tensor = method.encoder(method.views(batch, rng)[0])["history"]
    return rows


def build(options: NextItemOptions, assembly: Assembly) -> NextItem:
    """The method from finished parts."""
    return NextItem(options, assembly.views, assembly.encoder, assembly.spec.items)


NEXT_ITEM = Component(
    NextItemOptions,
    build,
    "Predict the next item by its dot product with each step: softmax over all items, or one negative (SASRec)",
    needs=tags("target:next", "level:step", "level:item"),
)
