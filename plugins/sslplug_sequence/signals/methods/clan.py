"""CLAN: augmented views as negatives, for anomaly detection (Wilkie et al. 2025, IEEE CSR). All windows of a batch are positives
of each other, corrupted windows are their negatives. With d(a, b) = (1 - cos(a, b)) / 2, in [0, 1]:

    L = alpha mean_{i != j} d(z_i, z_j)  +  (1 - alpha) mean_{i,j} max(0, m - d(z_i, z~_j))

each mean over its entries above 0 alone. Trained on normal windows only, a window is the more anomalous the further its
direction lies from the mean of the training windows: ``score``. Smaller is better. The first term alone collapses. Windows of
one rank are compared with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from sslplug.contracts import Assembly, Component, Options, Positive, Progress, Views, observing
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng

_ABOVE = 1e-6  # entries up to this count as zero: the cosine of a row with its copy is 1 up to rounding


class ClanOptions(Options):
    """Options of contrast with augmented negatives."""

    alpha: float = Field(0.5, ge=0, le=1, description="weight of the term that pulls windows together")
    margin: float = Field(0.5, gt=0, le=1, description="distance beyond which a negative is far enough; 1 is opposite")
    projector: tuple[Positive, ...] = Field(
        (64,), description="widths of the layers between encoder and loss; none: no head"
    )


def clan_terms(rows: Tensor, negatives: Tensor, alpha: float, margin: float) -> dict[str, Tensor]:
    """Terms ``together`` and ``apart`` of (n, d) windows and (k, d) corrupted windows."""
    unit, other = normalize(rows.float(), dim=1), normalize(negatives.float(), dim=1)
    near = 0.5 * (1 - unit @ unit.t())
    near = near.masked_fill(torch.eye(len(unit), dtype=torch.bool, device=unit.device), 0.0)
    far = margin - 0.5 * (1 - unit @ other.t())
    return {"together": alpha * _mean_above(near), "apart": (1 - alpha) * _mean_above(far)}


def _mean_above(values: Tensor) -> Tensor:
    """The mean of the entries above zero; zero, with a gradient of zeros, where there are none."""
    above = values > _ABOVE
    return (values * above).sum() / above.sum().clamp_min(1)


def score(train: Tensor, rows: Tensor) -> Tensor:
    """(n,) how anomalous (n, d) ``rows`` are: minus the cosine with the mean of the (k, d) normal training rows.

    -1 is the training mean's own direction, the least; +1 the opposite one.
    """
    return -normalize(rows, dim=1) @ normalize(train.mean(0), dim=0)


class Clan(nn.Module):
    """See the module. Terms: ``together``, ``apart``. Views of role "negative" are the corrupted ones."""

    def __init__(self, options: ClanOptions, views: Views, encoder: nn.Module, level: str, dim: int) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.options = options
        self.level = level
        layers: list[nn.Module] = []
        for number, (inputs, width) in enumerate(pairwise((dim, *options.projector))):
            layers += [nn.Linear(inputs, width)] if number == 0 else [nn.ReLU(), nn.Linear(inputs, width)]
        self.projector = nn.Sequential(*layers)

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch. Raises DataError for a batch of one window, UsageError for views without a corrupted one."""
        rows, negatives = self._sides(batch, rng)
        if not negatives:
            raise UsageError("Method 'clan' found no view of role 'negative'; choose views that bring corrupted windows.")
        joined = torch.cat(rows)
        if len(joined) < 2:
            raise DataError("Method 'clan' got one window; its windows are each other's positives. Use a larger batch.")
        with torch.autocast(joined.device.type, enabled=False):
            return clan_terms(joined, torch.cat(negatives), self.options.alpha, self.options.margin)

    def _sides(self, batch: Any, rng: Rng) -> tuple[list[Tensor], list[Tensor]]:
        sides: tuple[list[Tensor], list[Tensor]] = ([], [])
        for view in self.views(batch, rng):
            sides[view.role == "negative"].append(self.projector(self.encoder(view)[self.level]))
        return sides

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Projected windows as they are, {"view0": (n, d)}."""
        with observing(self):
            return {"view0": torch.cat(self._sides(batch, rng)[0])}


def build(options: ClanOptions, assembly: Assembly) -> Clan:
    """Contrast with augmented negatives from finished parts."""
    return Clan(options, assembly.views, assembly.encoder, assembly.level, assembly.dims[assembly.level])


CLAN = Component(
    ClanOptions,
    build,
    "Windows are pulled together and away from corrupted windows; distance from their mean is anomaly (CLAN).",
    needs=lambda options: frozenset({"negatives"}),
)
