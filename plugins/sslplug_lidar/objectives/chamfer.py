"""Chamfer distance of drawn and true points, and the error of what was measured at the true ones.

For a row's drawn points a (p, c) and its true points b (q, c):

    L = mean_a min_b |a - b|^2 + mean_b min_a |b - a|^2                     (Point-MAE, Pang et al. 2022; squared metres)

With ``attributes`` e > 0, further k e numbers of the prediction are the last e channels as predicted at the true points
themselves, and their mean squared error is a second term (PoLAr-MAE, Young et al. 2025).

Targets are (m, k c), NaN where a row has fewer than k points: these count nowhere. Smaller is better; 0 is perfect.
Distribution: "mean".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.errors import DataError

PIECE = 1 << 24
"""At most about this many coordinate differences are held at once while nearest points are sought."""


class ChamferOptions(Options):
    """Options of the Chamfer objective."""

    channels: int = Field(3, ge=1, description="numbers of a point: 3 coordinates, and features if the target has them")
    attributes: int = Field(0, ge=0, description="last channels that are also predicted at the true points; 0: none")
    weight: float = Field(1.0, ge=0, description="weight of their error")


class Chamfer(nn.Module):
    """See the module. Terms: ``chamfer``, and ``attributes`` where there are any."""

    distribution: Distribution = "mean"
    most_views: int | None = 2

    def __init__(self, options: ChamferOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: prediction (m, k c + k e) and target (m, k c). See the contract ``Objective``.

        Raises DataError where widths do not fit, no row is there, or a row has no true point.
        """
        prediction, target = views
        c, e = self.options.channels, self.options.attributes
        points = target.shape[1] // c
        if target.shape[1] % c or not len(target) or prediction.shape != (len(target), points * (c + e)):
            raise DataError(
                f"Objective 'chamfer' with channels {c} and attributes {e}: prediction {tuple(prediction.shape)}, target "
                f"{tuple(target.shape)}; expected rows of k x {c} numbers to draw, at least one, and k x {c + e} predicted. Set "
                "objective.channels and attributes to what views and decoder bring."
            )
        with torch.autocast(prediction.device.type, enabled=False):
            drawn = prediction[:, : points * c].float().reshape(-1, points, c)
            true = target.to(drawn.dtype).reshape(-1, points, c)
            there = true.isfinite().all(2)
            if not bool(there.any(1).all()):
                row = int((~there.any(1)).nonzero()[0, 0])
                raise DataError(f"Objective 'chamfer': row {row} of the target has no point at all; leave empty rows out.")
            weight = _weight_of_rank(true)
            terms = {"chamfer": distance(drawn, true.nan_to_num(), there).mean() * weight}
            if e:
                told = prediction[:, points * c :].float().reshape(-1, points, e)
                error = (told - true[:, :, c - e :].nan_to_num()).square().mean(2)
                each = (error * there).sum(1) / there.sum(1)
                terms["attributes"] = self.options.weight * each.mean() * weight
            return terms


def distance(a: Tensor, b: Tensor, there: Tensor) -> Tensor:
    """(g,) Chamfer distances of (g, p, c) points ``a`` and the points of ``b`` (g, q, c) that are ``there`` (g, q) bool."""
    to_b, to_a = (torch.cat(parts) for parts in zip(*_nearest(a.detach(), b, there), strict=True))
    width = a.shape[2]
    forth = (a - b.gather(1, to_b[:, :, None].expand(-1, -1, width))).square().sum(2)
    back = (b - a.gather(1, to_a[:, :, None].expand(-1, -1, width))).square().sum(2)
    return forth.mean(1) + (back * there).sum(1) / there.sum(1)


def _nearest(a: Tensor, b: Tensor, there: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Nearest real point of b for each of a, and nearest point of a for each of b, pieces of the rows at a time."""
    found = []
    rows = max(1, PIECE // (a.shape[1] * b.shape[1]))
    with torch.no_grad():
        for left, right, real in zip(*(torch.split(part, rows) for part in (a, b, there)), strict=True):
            away = torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")
            found.append((away.masked_fill(~real[:, None], torch.inf).argmin(2), away.argmin(1)))
    return found


def _weight_of_rank(rows: Tensor) -> float:
    """The weight w that makes the average over ranks of w * (mean of the local rows) the mean of all rows."""
    if not (dist.is_available() and dist.is_initialized()):
        return 1.0
    count = torch.tensor([float(len(rows))], device=rows.device)
    dist.all_reduce(count)
    return len(rows) * dist.get_world_size() / float(count)


def build(options: ChamferOptions, dim: int) -> Chamfer:
    """The Chamfer objective; it takes any number of points."""
    return Chamfer(options)


CHAMFER = Component(ChamferOptions, build, "Chamfer distance of drawn and true points", provides=tags("score:prediction"))
