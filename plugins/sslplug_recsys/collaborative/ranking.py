"""What is learned from observed pairs: BPR, or alignment and uniformity; and the penalties of embedding size that go with them."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options
from sslplug.errors import UsageError


class BprOptions(Options):
    """Bayesian personalised ranking (Rendle et al. 2009): the item above a uniform unseen one."""

    name: Literal["bpr"] = Field("bpr", description="mean softplus(s(u, j) - s(u, i))")


class AlignmentUniformityOptions(Options):
    """DirectAU (Wang et al. 2022, arXiv:2206.12811): no negatives; scores stay dot products of the rows as they are."""

    name: Literal["alignment_uniformity"] = Field(
        "alignment_uniformity", description="mean |u - i|^2 + gamma (unif(users) + unif(items)) / 2 on unit rows"
    )
    gamma: float = Field(1.0, ge=0, description="weight of uniformity; the paper: .5 Beauty, 5 Gowalla, 1 Yelp2018")


RankingOptions = BprOptions | AlignmentUniformityOptions


def ranking(options: RankingOptions, user: Tensor, item: Tensor, negative: Tensor | None) -> dict[str, Tensor]:
    """The terms of (b, d) rows matched by position. Raises UsageError where negatives are missing."""
    if isinstance(options, AlignmentUniformityOptions):
        u, i = F.normalize(user, dim=1), F.normalize(item, dim=1)
        spread = (uniformity(u) + uniformity(i)) / 2
        return {"alignment": alignment(u, i), "uniformity": options.gamma * spread}
    if negative is None:
        raise UsageError("method.ranking 'bpr' got no view of role negative; set views: {name: triples, negatives: true}.")
    return {"bpr": bpr(user, item, negative)}


def bpr(user: Tensor, item: Tensor, negative: Tensor) -> Tensor:
    """Mean softplus(s(u, j) - s(u, i)) of (b, d) rows."""
    return F.softplus((user * (negative - item)).sum(1)).mean()


def alignment(user: Tensor, item: Tensor) -> Tensor:
    """Mean squared distance of matched unit rows (b, d): 0 for equal, 4 for opposite ones (Wang and Isola 2020)."""
    return (user - item).square().sum(1).mean()


def uniformity(rows: Tensor) -> Tensor:
    """log mean over pairs of exp(-2 |x - x'|^2), unit rows (b, d): 0 where all are equal, -8 for two opposite ones.

    Rows that repeat are pairs like others. One row alone has no pair: 0.
    """
    n = len(rows)
    if n < 2:
        return rows.sum() * 0.0
    kernel = (4.0 * (rows @ rows.t()) - 4.0).exp()
    kernel = kernel - torch.diag_embed(kernel.diagonal())
    return (kernel.sum() / (n * (n - 1))).log()


class PenaltyOptions(Options):
    """A penalty of the ego embeddings; papers mean different things by L2."""

    weight: float = Field(1e-4, ge=0, description="lambda")
    form: Literal["squares", "norm", "sum", "all"] = Field(
        "squares",
        description=(
            "squares: lambda / (2 b) sum |row|^2 over the batch (LightGCN, SGL); norm: lambda / b times the norm of each side's "
            "rows (SELFRec, RecBole); sum: lambda sum |row|^2 (DCCF); all: lambda |table|^2 (LightGCL)"
        ),
    )


def penalty(options: PenaltyOptions, sides: list[Tensor], table: Tensor) -> Tensor:
    """The penalty of the ego rows of users, items and negatives, (b, d) each."""
    if options.form == "all":
        return options.weight * table.square().sum()
    if options.form == "norm":
        return options.weight / len(sides[0]) * torch.stack([torch.linalg.vector_norm(rows) for rows in sides]).sum()
    squares = torch.stack([rows.square().sum() for rows in sides]).sum()
    return options.weight * squares / (2.0 * len(sides[0]) if options.form == "squares" else 1.0)
