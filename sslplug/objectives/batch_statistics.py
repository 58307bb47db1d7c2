"""Means and covariances over the rows of all ranks, with gradients. Without a process group: over the rows at hand."""

from __future__ import annotations

import torch
from torch import Tensor

from sslplug.distributed import sum_ranks, total_rows
from sslplug.errors import DataError


def joined_rows(name: str, n: int) -> int:
    """The number of rows of all ranks; DataError with fewer than 2, for which a variance is not defined."""
    total = total_rows(n)
    if total < 2:
        raise DataError(
            f"Objective {name!r} takes statistics over the batch and got {total} row; it is defined for 2 or more. "
            "Use a larger batch, or drop the last incomplete one."
        )
    return total


def centred(x: Tensor, total: int) -> Tensor:
    """(n, d) minus the mean over all ranks' ``total`` rows."""
    return x - sum_ranks(x.sum(0)) / total


def variance(zero_mean: Tensor, total: int, *, unbiased: bool) -> Tensor:
    """(d,) variance over all ranks' rows of an already centred (n, d)."""
    return sum_ranks(zero_mean.square().sum(0)) / (total - int(unbiased))


def standardised(x: Tensor, total: int, eps: float, *, unbiased: bool) -> Tensor:
    """(n, d) with mean 0 and variance 1 in every column over all ranks' rows; ``eps`` under the root keeps a dead column 0."""
    zero_mean = centred(x, total)
    return zero_mean * (variance(zero_mean, total, unbiased=unbiased) + eps).rsqrt()


def product(a: Tensor, b: Tensor) -> Tensor:
    """(d, d) sum over all ranks' rows of a_i b_i^T."""
    return sum_ranks(a.t() @ b)


def off_diagonal_square_sum(matrix: Tensor) -> Tensor:
    """Sum of the squares off the diagonal of (d, d).

    >>> float(off_diagonal_square_sum(torch.tensor([[5.0, 1.0], [2.0, 7.0]])))
    5.0
    """
    return (matrix - torch.diag(torch.diagonal(matrix))).square().sum()
