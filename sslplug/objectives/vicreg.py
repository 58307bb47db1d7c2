"""VICReg: variance, invariance, covariance (Bardes, Ponce and LeCun 2022, arXiv:2105.04906, eq. 1-6).

    L = w_inv * mean over pairs of views of mean((a - b)^2)
      + w_var * mean over views of mean_j relu(1 - sqrt(Var_j + eps))
      + w_cov * 2 * mean over views of 1/d sum_{i != j} Cov_ij^2

With two views the last line is the paper's sum over views. Var and Cov are unbiased (n - 1). Embeddings are not normalised.
Smaller is better; 0 is perfect. Distribution: "statistic".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import sum_ranks
from sslplug.objectives.batch_statistics import centred, joined_rows, off_diagonal_square_sum, product, variance
from sslplug.objectives.embeddings import checked, exactly, matched_by_row


class VICRegOptions(Options):
    """Options of VICReg."""

    invariance: float = Field(25.0, ge=0, description="weight of the squared distance of paired rows")
    variance: float = Field(25.0, ge=0, description="weight of the hinge that keeps each dimension's deviation at 1 or more")
    covariance: float = Field(1.0, ge=0, description="weight of the squared covariances between dimensions")
    eps: float = Field(1e-4, gt=0, description="added to the variance under the square root")


def invariance_term(a: Tensor, b: Tensor, total: int) -> Tensor:
    """Mean squared difference over all ranks' ``total`` rows and d columns."""
    return sum_ranks((a - b).square().sum()) / (total * a.shape[1])


def variance_term(zero_mean: Tensor, total: int, eps: float) -> Tensor:
    """mean_j relu(1 - sqrt(Var_j + eps)) of a centred (n, d): 1 - sqrt(eps) for a constant batch, 0 at deviation 1."""
    return torch.relu(1 - (variance(zero_mean, total, unbiased=True) + eps).sqrt()).mean()


def covariance_term(zero_mean: Tensor, total: int) -> Tensor:
    """1/d sum of squared off-diagonal covariances of a centred (n, d)."""
    return off_diagonal_square_sum(product(zero_mean, zero_mean) / (total - 1)) / zero_mean.shape[1]


class VICReg(nn.Module):
    """VICReg over two or more views. Terms: ``invariance``, ``variance``, ``covariance``, each weighted."""

    distribution: Distribution = "statistic"
    most_views: int | None = None

    def __init__(self, options: VICRegOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: two or more (n_v, d). See the contract ``Objective``."""
        options = self.options
        with exactly(views[0]):
            rows = matched_by_row("vicreg", checked("vicreg", views, matched=ids is None), ids)
            total = joined_rows("vicreg", len(rows[0]))
            zero_mean = [centred(view, total) for view in rows]
            near = torch.stack([invariance_term(a, b, total) for a, b in combinations(rows, 2)]).mean()
            spread = torch.stack([variance_term(view, total, options.eps) for view in zero_mean]).mean()
            tangle = 2 * torch.stack([covariance_term(view, total) for view in zero_mean]).mean()
        return {
            "invariance": options.invariance * near,
            "variance": options.variance * spread,
            "covariance": options.covariance * tangle,
        }


def build(options: VICRegOptions, dim: int) -> VICReg:
    """VICReg; it takes embeddings of any width."""
    return VICReg(options)


VICREG = Component(
    VICRegOptions,
    build,
    "VICReg: pull pairs together, keep every dimension's spread, decorrelate dimensions; no negatives",
    provides=tags("score:views"),
    needs=tags("pair"),
    refuses=tags("uneven"),
)
