"""Histories with items hidden one by one, and with a segment hidden: what S3-Rec's pretraining looks at (Zhou et al. 2020).

Four views, all seen both ways. "both-ways" 0: a share of the items is hidden; target ``item``: which. 1: a random segment
is hidden. 2: all but that segment is hidden. 3: as 2, with the items of a segment of as many from anywhere in the training
sequences.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field

from sslplug.contracts import Component, Options, Target, View, tags
from sslplug.randomness import Rng
from sslplug_recsys.batch import Histories
from sslplug_recsys.sequential.views.augmented import masked
from sslplug_recsys.sequential.views.histories import need_histories, part, places, sample_numbers
from sslplug_recsys.spec import RecSpec

ROLE = "both-ways"


class HiddenPartsOptions(Options):
    """How much is hidden."""

    mask_rate: float = Field(0.2, ge=0, le=1, description="share of each history's items that the first view hides")


class HiddenParts:
    """The four views. A segment has 1 to half of a history's items; of a history of one item nothing is cut out."""

    def __init__(self, options: HiddenPartsOptions, training: Histories) -> None:
        self.options, self.training = options, training
        self.longest = int(training.lengths.max())

    @property
    def rates(self) -> Mapping[str, float]:
        """What the first view hides of histories, short ones rounded down."""
        return {"hidden": self.options.mask_rate}

    def __call__(self, batch: Histories, rng: Rng) -> list[View]:
        """The views of whole samples: pretraining predicts no next item. A sample may be longer than a history by its first."""
        rows = torch.arange(len(batch), device=batch.items.device)
        batch = part(batch, rows, (batch.lengths - self.longest).clamp(min=0), batch.lengths)
        device, length = batch.items.device, batch.lengths
        rate = torch.full((len(batch),), self.options.mask_rate, device=device)
        hidden = masked(batch, rate, rng.fork("view", 0))
        rows = hidden.nonzero()[:, 0]
        uniform = rng.fork("view", 1).uniform(sample_numbers(batch), 3).double()
        size = torch.where(length > 1, 1 + (uniform[:, 0] * (length // 2)).long(), 0)
        start = (uniform[:, 1] * (length - size + 1)).long()
        place, owner = places(batch), batch.owner
        inside = (place >= start[owner]) & (place < (start + size)[owner])
        elsewhere = self.training.items.to(device)
        # A stranger's segment: as many items from a random place of all training sequences laid end to end.
        base = (uniform[:, 2] * (len(elsewhere) - size + 1).clamp(min=1)).long()
        strange = (base[owner] + place - start[owner]).clamp(0, len(elsewhere) - 1)
        other = Histories(batch.offsets, torch.where(inside, elsewhere[strange], batch.items), batch.users)
        return [
            View(batch, mask={"step": hidden}, targets={"item": Target("step", batch.items[rows], rows)}, role=ROLE),
            View(batch, mask={"step": inside}, role=ROLE),
            View(batch, mask={"step": ~inside}, role=ROLE),
            View(other, mask={"step": ~inside}, role=ROLE),
        ]


def build(options: HiddenPartsOptions, spec: RecSpec) -> HiddenParts:
    """The views."""
    return HiddenParts(options, need_histories(spec, "hidden-parts"))


HIDDEN_PARTS = Component(
    HiddenPartsOptions,
    build,
    "Histories with hidden items, and with a hidden segment beside the true and a strange one (S3-Rec)",
    provides=tags("pair", "masks", "target:item"),
    outputs=lambda options, spec: {"item": spec.items},
)
