"""SupReMix: supervised contrast for numbers, with hard pairs made by mixing embeddings (Wu et al. 2023, arXiv:2309.16633).

For M unit rows z with labels y (all views of a batch), anchor i, temperature t, all mixtures without gradient:

    negatives   a z_i + (1 - a) z_k      label a y_i + (1 - a) y_k,  for every k with another label, a ~ Beta
    positives   a z_j + (1 - a) z_k      label y_i,  for y_j < y_i < y_k no further than a window, a = (y_k - y_i) / (y_k - y_j)
    L = mean_i 1/|P_i| sum_{p in P_i} [ log sum_{u != i} (|y_i - y_u| + 1) exp(z_i z_u / t) - z_i z_p / t ]

P_i are the rows with i's label (up to a tolerance) and i's mixed positives; u runs over all rows, i's mixed negatives and i's
mixed positives. A mixture's product with the anchor is the mixture of two products, so no mixture is ever formed: memory is
M^2 plus one number a mixed positive, not M^3 d. One shift serves all exponentials of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Options, Progress, Views, observing
from sslplug.errors import DataError
from sslplug.randomness import Rng


class SupReMixOptions(Options):
    """Options of SupReMix; label distances are counted in ``unit``."""

    level: str | None = Field(None, description="Embedding level to compare; default: the data's instances.")
    projector: tuple[int, ...] = Field((128, 128), description="Widths of the head between encoder and loss; none: no head.")
    temperature: float = Field(0.3, gt=0, description="Divides the products.")
    unit: float = Field(0.1, gt=0, description="The label difference that counts as 1 (labels are standardised).")
    window: float = Field(5.0, gt=0, description="Furthest label, in units, that mixed positives are made from.")
    tolerance: float = Field(0.5, ge=0, description="Labels no further apart than this, in units, are the same.")
    beta: tuple[float, float] = Field((2.0, 8.0), description="Beta distribution of the anchor's share in mixed negatives.")
    mixtures: int = Field(256, ge=0, description="Most mixed positives an anchor; more are sampled. 0: none.")


@dataclass(frozen=True)
class Triples:
    """Mixed positives: ``share`` z_j + (1 - share) z_k has the label of ``anchor``; (t,) each."""

    anchor: Tensor
    below: Tensor
    above: Tensor
    share: Tensor


def triples(labels: Tensor, window: float, tolerance: float, most: int, rng: Rng) -> Triples:
    """All mixed positives of (m,) labels, or ``most`` an anchor drawn with replacement where there are more.

    Sorted labels make each anchor's candidates two runs, found by bisection: no row is compared with all others.
    """
    order = labels.argsort()
    line, rows = labels[order].contiguous(), torch.arange(len(labels), device=labels.device)
    low = torch.searchsorted(line, labels - window, right=True)
    below = (torch.searchsorted(line, labels - tolerance) - low).clamp_min(0)
    high = torch.searchsorted(line, labels + tolerance, right=True)
    above = (torch.searchsorted(line, labels + window) - high).clamp_min(0)
    pairs = below * above
    counts = pairs.clamp(max=most)
    anchor = rows.repeat_interleave(counts)
    slot = torch.arange(len(anchor), device=labels.device) - (counts.cumsum(0) - counts)[anchor]
    drawn = torch.rand(len(anchor), generator=rng.torch(labels.device), device=labels.device, dtype=torch.float64)
    found = pairs[anchor]
    slot = torch.where(found > most, (drawn * found).long().clamp(max=found - 1), slot)
    j = order[low[anchor] + slot // above[anchor]]
    k = order[high[anchor] + slot % above[anchor]]
    return Triples(anchor, j, k, (labels[k] - labels[anchor]) / (labels[k] - labels[j]))


def supremix(rows: Tensor, labels: Tensor, share: Tensor, mixed: Triples, temperature: float, tolerance: float) -> Tensor:
    """The loss of (m, d) unit rows with (m,) labels in units.

    share  (m, m): the anchor's share in the mixed negative of anchor i and row k
    mixed  the mixed positives

    Anchors without any positive say nothing and are left out of the mean; DataError where no anchor has one.
    """
    m = len(rows)
    real = rows @ rows.T / temperature
    fixed = rows @ rows.detach().T / temperature  # gradient to the anchor alone
    apart = (labels[:, None] - labels[None, :]).abs()
    same = apart <= tolerance
    alone = torch.eye(m, dtype=torch.bool, device=rows.device)
    weighted = (real + (apart + 1).log()).masked_fill(alone, -torch.inf)
    negative = share * fixed.diagonal()[:, None] + (1 - share) * fixed + ((1 - share) * apart + 1).log()
    negative = negative.masked_fill(same, -torch.inf)
    positive = mixed.share * fixed[mixed.anchor, mixed.below] + (1 - mixed.share) * fixed[mixed.anchor, mixed.above]
    shift = torch.maximum(weighted.detach().amax(1), negative.detach().amax(1))
    shift = shift.scatter_reduce(0, mixed.anchor, positive.detach(), "amax")
    total = (weighted - shift[:, None]).exp().sum(1) + (negative - shift[:, None]).exp().sum(1)
    total = total.index_add(0, mixed.anchor, (positive - shift[mixed.anchor]).exp())
    alike = same & ~alone
    agreed = torch.where(alike, real, 0.0).sum(1).index_add(0, mixed.anchor, positive)
    count = alike.sum(1) + torch.bincount(mixed.anchor, minlength=m)
    speaks = count > 0
    if not bool(speaks.any()):
        raise DataError(
            f"SupReMix: none of {m} rows has a positive; expected rows with labels at most method.tolerance apart, or "
            "with labels on both sides within method.window. Raise one of them, or train.batch_size."
        )
    loss = total.log() + shift - agreed / count.clamp_min(1)
    return loss[speaks].mean()


class SupReMix(nn.Module):
    """The loss over all views of the labelled rows. Rows of other ranks are not compared: ranks average their losses."""

    def __init__(self, views: Views, encoder: nn.Module, head: nn.Module, options: SupReMixOptions, level: str) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.head = head
        self.options = options
        self.level = level

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch: ``supremix``."""
        rows: list[Tensor] = []
        labels: list[Tensor] = []
        for view in self.views(batch, rng.fork("views")):
            target = view.targets.get("label")
            if view.role == "negative" or target is None:
                continue
            if not target.values.is_floating_point():
                raise DataError(
                    f"SupReMix mixes labels that are numbers; train.labels names a task with {target.values.dtype} classes. "
                    "Name a regression task, or use the objective metric_learning for classes."
                )
            projected = self.head(self.encoder(view)[self.level])
            rows.append(projected if target.rows is None else projected[target.rows])
            labels.append(target.values.flatten())
        if not labels or not len(labels[0]):
            raise DataError("SupReMix: the batch carries no label; set train.labels to a regression task's name.")
        options, device = self.options, labels[0].device
        # Statistics in float32 at least, whatever autocast does around it.
        with torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext():
            z = torch.cat(rows)
            z = F.normalize(z if z.dtype == torch.float64 else z.float(), dim=1)
            y = torch.cat(labels).to(z.dtype) / options.unit
            mixed = triples(y, options.window, options.tolerance, options.mixtures, rng.fork("positives"))
            drawn = rng.fork("negatives").numpy().beta(*options.beta, size=(len(y), len(y)))
            share = torch.from_numpy(drawn).to(device, z.dtype)
            return {"supremix": supremix(z, y, share, mixed, options.temperature, options.tolerance)}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Projected embeddings of every view, {"view0": (n, d), ...}."""
        with observing(self):
            views = [view for view in self.views(batch, rng.fork("views")) if view.role != "negative"]
            return {f"view{n}": self.head(self.encoder(view)[self.level]) for n, view in enumerate(views)}


def build(options: SupReMixOptions, assembly: Assembly) -> SupReMix:
    """The method from finished parts."""
    level = options.level or assembly.level
    layers: list[nn.Module] = []
    width = assembly.dims[level]
    for number, out in enumerate(options.projector):
        layers += [nn.ReLU()] * (number > 0) + [nn.Linear(width, out)]
        width = out
    return SupReMix(assembly.views, assembly.encoder, nn.Sequential(*layers), options, level)
