"""SwAV: predict one view's cluster assignment from another (Caron et al. 2020, arXiv:2006.09882, eq. 1-5).

    scores_v = z_v C^T (unit rows z, unit prototypes C),   Q = Sinkhorn(scores / eps) with equal shares for all prototypes
    L = mean over assigning views a and other views v of  - mean_i sum_k Q^a_ik log softmax(scores_v / tau)_ik

Sinkhorn runs in log space over the rows of all ranks, without gradient: exp(1 / 0.05) alone is 5e8. Prototypes are put back
on the sphere before use, outside autograd, as in the authors' release. ``negatives`` is a queue of earlier embeddings that
joins the assignment (not the prediction), for batches smaller than the number of prototypes.
Smaller is better; never below 0. Distribution: "statistic".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import max_ranks, rank_weight, sum_ranks, total_rows
from sslplug.errors import UsageError
from sslplug.objectives.embeddings import checked, exactly, matched_by_row, wide


class SwavOptions(Options):
    """Options of SwAV."""

    prototypes: int = Field(300, ge=2, description="number of prototypes; a few times the number of expected clusters")
    temperature: float = Field(0.1, gt=0, description="tau of the predicted assignment")
    eps: float = Field(0.05, gt=0, description="entropy of the target assignment: smaller is harder")
    iterations: int = Field(3, ge=1, description="Sinkhorn iterations")
    assigning: int = Field(2, ge=1, description="how many of the first views (the large crops) give assignments")


def _logsumexp_rows(x: Tensor) -> Tensor:
    """(k,) log-sum-exp over the rows of all ranks of (n, k)."""
    largest = max_ranks(x.amax(0) if len(x) else x.new_full((x.shape[1],), -math.inf))
    return sum_ranks((x - largest).exp().sum(0)).log() + largest


@torch.no_grad()
def sinkhorn(scores: Tensor, eps: float, iterations: int) -> Tensor:
    """(n, k) assignment probabilities: rows sum to 1, columns share the rows of all ranks about equally. No gradient."""
    total, count = total_rows(len(scores)), scores.shape[1]
    log_q = scores / eps
    for _ in range(iterations):
        log_q = log_q - _logsumexp_rows(log_q) - math.log(count)
        log_q = log_q - log_q.logsumexp(1, keepdim=True) - math.log(total)
    return (log_q + math.log(total)).exp()


class Swav(nn.Module):
    """SwAV with its prototypes. Term: ``swav``."""

    distribution: Distribution = "statistic"
    most_views: int | None = None

    def __init__(self, options: SwavOptions, dim: int) -> None:
        super().__init__()
        self.options = options
        self.prototypes = nn.Parameter(F.normalize(torch.randn(options.prototypes, dim), dim=1))

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: two or more (n_v, d). See the contract ``Objective``."""
        options = self.options
        with exactly(views[0]):
            rows = matched_by_row("swav", checked("swav", views, matched=ids is None), ids)
            # .data: a second forward before backward must not look like an edit of what the first one saved.
            self.prototypes.data.copy_(F.normalize(self.prototypes.data, dim=1))
            prototypes = self.prototypes.to(rows[0].dtype)
            unit = [F.normalize(view, dim=1) for view in rows]
            scores = [view @ prototypes.t() for view in unit]
            losses = []
            for a in range(min(options.assigning, len(scores))):
                known = scores[a].detach()
                if negatives is not None:
                    queue = F.normalize(wide(negatives).to(known.dtype), dim=1) @ prototypes.detach().t()
                    known = torch.cat([known, queue])
                wanted = sinkhorn(known, options.eps, options.iterations)[: len(scores[a])]
                for v in range(len(scores)):
                    if v != a:
                        losses.append(-(wanted * F.log_softmax(scores[v] / options.temperature, 1)).sum(1).mean())
            return {"swav": torch.stack(losses).mean() * rank_weight(len(unit[0]))}


def build(options: SwavOptions, dim: int) -> Swav:
    """SwAV for embeddings of width ``dim``."""
    if dim < 1:
        raise UsageError(
            f"Objective 'swav' holds prototypes and needs the embedding's width, but got {dim}. Use it on embeddings."
        )
    return Swav(options, dim)


SWAV = Component(
    SwavOptions,
    build,
    "SwAV: predict one view's balanced cluster assignment from the other view; learns prototypes",
    provides=tags("score:views", "queue"),
    needs=tags("pair"),
    refuses=tags("uneven"),
)
