"""Two altered copies of every history: cropped, masked or reordered, one of the three drawn for each copy (CL4SRec).

Xie et al. 2022, arXiv:2010.14395, section 3.3: a crop keeps a contiguous part, a mask hides items anywhere, a reordering
shuffles a contiguous part. Shares are of the history's length n, rounded down for what is hidden and shuffled, and for what
a crop keeps; a crop keeps at least two items where there are two, for one item alone is no view of a taste.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Component, Options, View, tags
from sslplug.randomness import Rng
from sslplug_recsys.batch import Histories
from sslplug_recsys.sequential.views.histories import (
    inputs,
    need_histories,
    part,
    places,
    random_prefixes,
    sample_numbers,
    step_numbers,
)
from sslplug_recsys.spec import RecSpec

CROP, MASK, REORDER = range(3)
_ROUNDING = 1e-6
"""0.7 * 10 is not quite 7 in binary."""


class AugmentedOptions(Options):
    """How much is changed."""

    crop_rate: float = Field(0.4, ge=0, le=1, description="share of the history that a crop takes away")
    mask_rate: float = Field(0.3, ge=0, le=1, description="share of the items that a mask hides")
    reorder_rate: float = Field(0.6, ge=0, le=1, description="share of the history that is shuffled")
    cut: bool = Field(False, description="alter a prefix that ends at a random item, not the whole sample")


class Augmented:
    """Two views, each sample of each altered in a way of its own."""

    def __init__(self, options: AugmentedOptions) -> None:
        self.options = options

    @property
    def rates(self) -> Mapping[str, float]:
        """What each of the three ways changes of the histories that it meets."""
        o = self.options
        return {"crop": o.crop_rate, "mask": o.mask_rate, "reorder": o.reorder_rate}

    def __call__(self, batch: Histories, rng: Rng) -> list[View]:
        """The two views; row i of both is sample i."""
        shown = inputs(random_prefixes(batch, rng.fork("cut")) if self.options.cut else batch)
        return [self._view(shown, rng.fork("view", number)) for number in range(2)]

    def _view(self, shown: Histories, rng: Rng) -> View:
        way = (rng.fork("way").uniform(sample_numbers(shown))[:, 0] * 3).long().clamp(max=2)
        kept = cropped(shown, torch.where(way == CROP, self.options.crop_rate, 0.0), rng.fork("crop"))
        moved = reordered(kept, torch.where(way == REORDER, self.options.reorder_rate, 0.0), rng.fork("reorder"))
        mask = masked(moved, torch.where(way == MASK, self.options.mask_rate, 0.0), rng.fork("mask"))
        return View(moved, mask={"step": mask})


def cropped(shown: Histories, rate: Tensor, rng: Rng) -> Histories:
    """A random contiguous part of each history; ``rate`` (n,) is the share taken away."""
    length = shown.lengths
    kept = _share(1.0 - rate.double(), length)
    kept = torch.maximum(kept, length.clamp(max=2))
    start = (rng.uniform(sample_numbers(shown))[:, 0].double() * (length - kept + 1)).long()
    rows = torch.arange(len(shown), device=length.device)
    return part(shown, rows, start, start + kept)


def reordered(shown: Histories, rate: Tensor, rng: Rng) -> Histories:
    """Each history with a random contiguous part shuffled; ``rate`` (n,) is the share that is."""
    owner, place, length = shown.owner, places(shown), shown.lengths
    size = _share(rate.double(), length)
    start = (rng.fork("start").uniform(sample_numbers(shown))[:, 0].double() * (length - size + 1)).long()
    inside = (place >= start[owner]) & (place < (start + size)[owner])
    drawn = start[owner] + size[owner] * rng.fork("order").uniform(step_numbers(shown))[:, 0].double()
    # Places outside are in the middle of their slots, those inside are drawn anew within the part.
    key = torch.where(inside, drawn, place + 0.5)
    order = torch.argsort(owner * (float(length.max()) + 1.0 if len(length) else 1.0) + key, stable=True)
    return Histories(shown.offsets, shown.items[order], shown.users)


def masked(shown: Histories, rate: Tensor, rng: Rng) -> Tensor:
    """(m,) bool: ``rate`` (n,) of each history's items, anywhere."""
    owner = shown.owner
    key = owner.double() + rng.uniform(step_numbers(shown))[:, 0].double()
    rank = torch.empty_like(owner)
    rank[torch.argsort(key, stable=True)] = places(shown)
    return rank < _share(rate.double(), shown.lengths)[owner]


def _share(share: Tensor, length: Tensor) -> Tensor:
    """(n,) int64: the share of each length, rounded down."""
    return (share * length + _ROUNDING).floor().long()


def build(options: AugmentedOptions, spec: RecSpec) -> Augmented:
    """The views."""
    need_histories(spec, "augmented")
    return Augmented(options)


AUGMENTED = Component(
    AugmentedOptions,
    build,
    "Two copies of a history, each cropped, masked or reordered (CL4SRec, ICLRec)",
    provides=tags("pair", "masks"),
)
