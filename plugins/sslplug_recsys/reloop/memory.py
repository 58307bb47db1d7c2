"""The error memory: hashed buckets of what happened beside what the model said.

K independent SimHash functions of L bits, h_k(x) = the signs of L random projections of x - c (Charikar 2002); bucket
h_k(x) of array k holds [sum of labels, sum of base predictions, count]. Written with K additions an event, read as the
average of the K buckets' means; empty buckets take no part. Size K * 2^L * 3 whatever the stream's length.

With the read means ybar of labels and yhat of base predictions, and the base prediction y,

    error = gamma (ybar - y) + (1 - gamma) (ybar - yhat),        y' = clamp(y + lambda error, 0, 1)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng

MOST_BITS = 24


@dataclass(frozen=True)
class Blend:
    """How far a prediction follows the memory.

    strength  lambda in [0, 1]: 0 leaves the base prediction
    direct    gamma in [0, 1]: 1 pulls towards the remembered labels, 0 adds the remembered residual
    """

    strength: float = 0.4
    direct: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("strength", self.strength), ("direct", self.direct)):
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"Blend.{name} is {value}; expected a number from 0 to 1.")

    def correct(self, base: Tensor, labels: Tensor, predictions: Tensor, known: Tensor) -> Tensor:
        """(n,) corrected probabilities; those of unknown places are the base's own."""
        error = self.direct * (labels - base) + (1.0 - self.direct) * (labels - predictions)
        return torch.where(known, (base + self.strength * error).clamp(0.0, 1.0), base)


class ErrorMemory:
    """See the module's text. Sums are float64: counts never saturate, and order hardly matters.

    width   of the keys;  tables  K;  bits  L;  centre  c (width,): keys that are all positive differ little in angle
    """

    def __init__(self, width: int, tables: int, bits: int, rng: Rng, centre: Tensor | None = None) -> None:
        if tables < 1 or not 1 <= bits <= MOST_BITS:
            raise UsageError(f"ErrorMemory: {tables} tables of {bits} bits; expected 1 or more, of 1 to {MOST_BITS} bits.")
        self.planes = torch.randn(width, tables * bits, generator=rng.fork("planes").torch(), dtype=torch.float64)
        self.centre = torch.zeros(width, dtype=torch.float64) if centre is None else centre.double()
        self.tables, self.bits = tables, bits
        self.sums = torch.zeros(tables << bits, 3, dtype=torch.float64)

    def buckets(self, keys: Tensor) -> Tensor:
        """(n, K) int64 rows of ``sums`` of (n, width) keys."""
        if keys.ndim != 2 or keys.shape[1] != len(self.planes):
            raise DataError(f"ErrorMemory: keys are {tuple(keys.shape)}; expected (n, {len(self.planes)}).")
        signs = ((keys.double() - self.centre) @ self.planes > 0).view(len(keys), self.tables, self.bits).long()
        value = (signs << torch.arange(self.bits)).sum(2)
        return value + (torch.arange(self.tables) << self.bits)

    def write(self, keys: Tensor, labels: Tensor, base: Tensor) -> None:
        """Remember what happened: ``labels`` (n,) 0 or 1, and what the base model had said, ``base`` (n,)."""
        rows = self.buckets(keys)
        event = torch.stack([labels.double(), base.double(), torch.ones(len(rows), dtype=torch.float64)], 1)
        self.sums.index_add_(0, rows.reshape(-1), event.repeat_interleave(self.tables, 0))

    def read(self, keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n,) remembered means of labels and of base predictions, and whether anything is remembered there."""
        sums = self.sums[self.buckets(keys)]
        count = sums[:, :, 2]
        filled = count > 0
        means = torch.where(filled[:, :, None], sums[:, :, :2] / count.clamp(min=1.0)[:, :, None], 0.0).sum(1)
        means = means / filled.sum(1).clamp(min=1)[:, None]
        return means[:, 0], means[:, 1], filled.any(1)

    def clear(self) -> None:
        """Forget all: needed where the model that makes the keys was trained anew."""
        self.sums.zero_()
