"""Tables of multi-valued categorical features of users or items, packed without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sslplug.errors import DataError

MISSING = 0
"""The code of a value that is missing or was never seen."""


def spans(offsets: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Where the values of ``rows`` lie in a packed array: (k + 1,) offsets of the result, (values,) places in the source."""
    length = offsets.diff()[rows]
    found = torch.cat([length.new_zeros(1), length.cumsum(0)])
    within = torch.arange(int(found[-1]), device=offsets.device)
    return found, within + (offsets[rows] - found[:-1]).repeat_interleave(length, output_size=len(within))


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Multi-valued categorical features of n entities (users or items).

    fields   names
    sizes    vocabulary sizes: codes are below them; code 0 = missing or unseen, 1.. by frequency rank
    offsets  a field: (n + 1,) int64; entity i has the values ``codes[offsets[i]:offsets[i + 1]]``, at least one
    codes    a field: (values,) int64
    """

    fields: tuple[str, ...]
    sizes: tuple[int, ...]
    offsets: tuple[Tensor, ...]
    codes: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        if not len(self.fields) == len(self.sizes) == len(self.offsets) == len(self.codes):
            raise DataError(
                f"FeatureTable: {len(self.fields)} fields, {len(self.sizes)} sizes, {len(self.offsets)} offsets and "
                f"{len(self.codes)} arrays of codes; expected as many of each."
            )
        # Compared, not gathered in a set: a program that is being traced (torch.export) keeps its lengths open.
        if any(len(one) != len(self.offsets[0]) for one in self.offsets):
            raise DataError(
                f"FeatureTable: the fields have {sorted({len(one) - 1 for one in self.offsets})} entities; expected one number."
            )
        for field, offsets, codes in zip(self.fields, self.offsets, self.codes, strict=True):
            if offsets.dtype != torch.int64 or codes.dtype != torch.int64:
                raise DataError(
                    f"FeatureTable, field {field!r}: offsets {offsets.dtype}, codes {codes.dtype}; expected int64."
                )

    def __len__(self) -> int:
        return len(self.offsets[0]) - 1 if self.offsets else 0

    def take(self, rows: Tensor) -> FeatureTable:
        """The features of the named entities, in that order; the memory is new."""
        made = [spans(offsets, rows) for offsets in self.offsets]
        codes = tuple(values[places] for values, (_, places) in zip(self.codes, made, strict=True))
        return replace(self, offsets=tuple(offsets for offsets, _ in made), codes=codes)

    def keep(self, kept: Sequence[Tensor]) -> FeatureTable:
        """Only the values with True in ``kept`` ((values,) bool a field); an entity left without one gets :data:`MISSING`."""
        offsets, codes = [], []
        for start, values, stays in zip(self.offsets, self.codes, kept, strict=True):
            count = torch.zeros(len(start) - 1, dtype=torch.int64, device=start.device)
            owner = torch.arange(len(count), device=start.device).repeat_interleave(start.diff(), output_size=len(values))
            count = count.index_add(0, owner, stays.long())
            # The first value of an entity that loses all of its values becomes the missing code.
            bare = (count == 0) & (start.diff() > 0)
            first = start[:-1][bare]
            stays = stays.index_fill(0, first, True)
            codes.append(values.index_fill(0, first, MISSING)[stays])
            count = count + bare.long()
            offsets.append(torch.cat([count.new_zeros(1), count.cumsum(0)]))
        return replace(self, offsets=tuple(offsets), codes=tuple(codes))

    def to(self, device: torch.device | str) -> FeatureTable:
        """The same table on ``device``."""
        return replace(
            self,
            offsets=tuple(one.to(device) for one in self.offsets),
            codes=tuple(one.to(device) for one in self.codes),
        )
