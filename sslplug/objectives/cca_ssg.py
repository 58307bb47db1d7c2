"""CCA-SSG: agree, and decorrelate each view (Zhang et al. 2021, arXiv:2106.12484, eq. 4-5).

    L = -tr(Z1^T Z2) / N + w ( ||Z1^T Z1 / N - I||_F^2 + ||Z2^T Z2 / N - I||_F^2 )

Columns are standardised over the rows with the unbiased standard deviation (plus eps, so that a dead column gives 0 rather
than NaN), then divided by N, as in the authors' release. The invariance term is the trace, -d (N-1)/N at best; the other
form, ||Z1 - Z2||_F^2 / (2N), differs by a constant and has the same gradient. Smaller is better. Distribution: "statistic".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import sum_ranks
from sslplug.objectives.batch_statistics import joined_rows, product, standardised
from sslplug.objectives.embeddings import checked, exactly, matched_by_row


class CcaSsgOptions(Options):
    """Options of CCA-SSG."""

    decorrelation: float = Field(1e-3, ge=0, description="weight of the decorrelation of each view; scales with the width")
    eps: float = Field(1e-8, gt=0, description="added to the variance under the square root")


def decorrelation_term(z: Tensor, total: int) -> Tensor:
    """||Z^T Z / N - I||_F^2 of standardised (n, d)."""
    eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    return (product(z, z) / total - eye).square().sum()


class CcaSsg(nn.Module):
    """CCA-SSG. Terms: ``invariance``, ``decorrelation`` (weighted)."""

    distribution: Distribution = "statistic"
    most_views: int | None = 2

    def __init__(self, options: CcaSsgOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: two (n_v, d). See the contract ``Objective``."""
        with exactly(views[0]):
            a, b = matched_by_row("cca_ssg", checked("cca_ssg", views, most=2, matched=ids is None), ids)
            total = joined_rows("cca_ssg", len(a))
            a, b = (standardised(view, total, self.options.eps, unbiased=True) for view in (a, b))
            agreement = sum_ranks((a * b).sum()) / total
            tangle = decorrelation_term(a, total) + decorrelation_term(b, total)
        return {"invariance": -agreement, "decorrelation": self.options.decorrelation * tangle}


def build(options: CcaSsgOptions, dim: int) -> CcaSsg:
    """CCA-SSG; it takes embeddings of any width."""
    return CcaSsg(options)


CCA_SSG = Component(
    CcaSsgOptions,
    build,
    "CCA-SSG: standardised views agree and each is decorrelated; no negatives, no projector",
    provides=tags("score:views"),
    needs=tags("pair"),
    refuses=tags("uneven"),
)
