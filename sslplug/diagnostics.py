"""Label-free health of embeddings during training: spectrum, alignment, uniformity, spread, and the verdict "collapsed".

Every function takes (n, d) tensors, computes in float32 at least and returns a number. All are of order n d^2 or less, on a
fixed subsample where n is large, so that logging them every few hundred steps costs little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

_MOST_PAIRED_ROWS = 4096
_MOST_SPECTRUM_ROWS = 25_600


def _subsample(z: Tensor, most: int) -> Tensor:
    """At most ``most`` rows, evenly spaced, always the same ones, in float32 or float64."""
    z = z.detach()
    z = z if z.dtype == torch.float64 else z.to(torch.float32)
    if len(z) <= most:
        return z
    return z[torch.linspace(0, len(z) - 1, most, device=z.device, dtype=torch.float64).round().to(torch.int64)]


def singular_values(z: Tensor, centred: bool = False) -> Tensor:
    """Singular values of (n, d) rows in descending order, float64, through the smaller Gram matrix.

    Squaring halves the digits: values below about 1e-8 of the largest are noise, which no measure here can see.
    """
    rows = _subsample(z, _MOST_SPECTRUM_ROWS).to(torch.float64)
    if centred:
        rows = rows - rows.mean(0)
    gram = rows.T @ rows if len(rows) >= rows.shape[1] else rows @ rows.T
    values: Tensor = torch.linalg.eigvalsh(gram).clamp_min(0.0).sqrt().flip(0)
    return torch.where(values > 1e-7 * values[0], values, 0.0) if len(values) else values


def rankme(z: Tensor, eps: float = 1e-7) -> float:
    """Effective rank of (n, d) embeddings: exp of the entropy of the normalised singular values; 1 = collapsed, d = white.

    Garrido et al. 2023, "RankMe" (arXiv:2210.02885), eq. 2, uncentred. 0 for embeddings that are all zero. It grows with n
    up to n >> d: compare at equal n and d alone.
    """
    return _effective_rank(singular_values(z), eps)


def _effective_rank(values: Tensor, eps: float = 1e-7) -> float:
    total = values.sum()
    if not float(total):
        return 0.0
    p = values / total + eps
    return float(torch.exp(-(p * p.log()).sum()))


def participation_ratio(z: Tensor) -> float:
    """(sum lambda)^2 / sum lambda^2 of the covariance eigenvalues: 1 = one direction, d = white, 0 = no variance."""
    power = singular_values(z, centred=True) ** 2
    square = float((power**2).sum())
    return float(power.sum() ** 2) / square if square else 0.0


def alignment(a: Tensor, b: Tensor) -> float:
    """Mean squared distance of matched rows on the unit sphere, 0 to 4, smaller is closer (Wang and Isola 2020, alpha 2)."""
    a, b = _subsample(a, _MOST_SPECTRUM_ROWS), _subsample(b, _MOST_SPECTRUM_ROWS)
    return float(((normalize(a, dim=1) - normalize(b, dim=1)) ** 2).sum(1).mean())


def uniformity(z: Tensor, t: float = 2.0) -> float:
    """ln E exp(-t |z_i - z_j|^2) over distinct pairs of unit rows; 0 = collapsed, near -2t = spread over a wide sphere.

    Wang and Isola 2020 (arXiv:2005.10242). At most 4,096 evenly spaced rows; 0 where there is one row alone.
    """
    unit = normalize(_subsample(z, _MOST_PAIRED_ROWS), dim=1)
    n = len(unit)
    if n < 2:
        return 0.0
    exponent = (2.0 * t) * (unit @ unit.T - 1.0)  # -t |a - b|^2 = 2 t (a.b - 1) on the sphere
    exponent.fill_diagonal_(float("-inf"))
    return float(torch.logsumexp(exponent.flatten(), 0)) - math.log(n * (n - 1))


def spread(z: Tensor) -> float:
    """Mean over dimensions of the standard deviation of unit rows, times sqrt(d): 1 = healthy, 0 = collapsed.

    Chen and He 2021 (SimSiam, arXiv:2011.10566), section 4.1.
    """
    unit = normalize(_subsample(z, _MOST_SPECTRUM_ROWS), dim=1)
    return float(unit.std(0, correction=0).mean()) * math.sqrt(unit.shape[1])


def mean_cosine(z: Tensor) -> float:
    """Mean cosine similarity of distinct rows, in one pass: (|sum of unit rows|^2 - n) / (n (n - 1)); 0 for one row."""
    unit = normalize(_subsample(z, _MOST_SPECTRUM_ROWS).to(torch.float64), dim=1)
    n = len(unit)
    return float((unit.sum(0) ** 2).sum() - (unit**2).sum()) / (n * (n - 1)) if n > 1 else 0.0


def health(views: Mapping[str, Tensor]) -> dict[str, float]:
    """The panel of one observation, from the method's ``observe``: {"diag/...": value}.

    Looks at "view0" (else the first entry by name) and, for alignment, at "view1" where it has as many rows and columns.
    Empty for no views or fewer than two rows. A view with NaN or infinity gives {"diag/finite": 0.0} alone.
    """
    if not views:
        return {}
    first = views["view0"] if "view0" in views else views[min(views)]
    if len(first) < 2:
        return {}
    with torch.no_grad():
        if not bool(torch.isfinite(first).all()):
            return {"diag/finite": 0.0}
        panel = {
            "diag/rankme": rankme(first),
            "diag/participation": participation_ratio(first),
            "diag/uniformity": uniformity(first),
            "diag/std": spread(first),
            "diag/mean_cosine": mean_cosine(first),
        }
        second = views.get("view1")
        if second is not None and second.shape == first.shape and bool(torch.isfinite(second).all()):
            panel["diag/alignment"] = alignment(first, second)
    return panel


def collapse(values: Mapping[str, float], dim: int) -> str | None:
    """A sentence that says how embeddings of width ``dim`` collapsed, by :func:`health`'s values; None for healthy ones.

    Rules: not finite; std < 0.1; RankMe < 0.05 min(dim, 64) (or 1.05, where that is more); mean cosine > 0.99. Wide codes of
    few things (all tokens of a row side by side) have the rank of these things, so the width counts up to 64 alone. A mean
    cosine of c is a std of about sqrt(1 - c): a constant added to healthy codes is no collapse. A width of one cannot be
    judged by its rank.
    """
    if values.get("diag/finite") == 0.0:
        return "Collapsed: embeddings are NaN or infinite."
    reasons = []
    std, rank, cosine = (values.get(f"diag/{name}") for name in ("std", "rankme", "mean_cosine"))
    if std is not None and std < 0.1:
        reasons.append(f"the spread of a dimension is {std:.3f} of a healthy one (below 0.1)")
    least = max(0.05 * min(dim, 64), 1.05)
    if rank is not None and dim > 1 and rank < least:
        reasons.append(f"the effective rank is {rank:.2f} of {dim} (below {least:.2f})")
    if cosine is not None and cosine > 0.99:
        reasons.append(f"two rows have a mean cosine of {cosine:.3f} (above 0.99)")
    return f"Collapsed: {'; '.join(reasons)}." if reasons else None
