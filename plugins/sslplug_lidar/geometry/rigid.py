"""Rigid motions as 4 x 4 matrices: applying, inverting, and the best one between matched points."""

from __future__ import annotations

import torch
from torch import Tensor

from sslplug.errors import DataError


def apply(motion: Tensor, xyz: Tensor) -> Tensor:
    """(m, 3) points moved by one (4, 4) motion, or each by its own (m, 4, 4), in the points' type."""
    motion = motion.to(xyz.device)
    if motion.ndim == 2:
        return (xyz.to(motion.dtype) @ motion[:3, :3].T + motion[:3, 3]).to(xyz.dtype)
    moved = (motion[:, :3, :3] @ xyz.to(motion.dtype)[:, :, None])[:, :, 0] + motion[:, :3, 3]
    return moved.to(xyz.dtype)


def compose(rotation: Tensor, translation: Tensor) -> Tensor:
    """(..., 4, 4) motions x -> R x + t of (..., 3, 3) rotations and (..., 3) translations."""
    top = torch.cat([rotation, translation[..., None]], -1)
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], -2)


def inverse(motion: Tensor) -> Tensor:
    """(..., 4, 4) inverses of rigid motions: x -> R^T (x - t)."""
    turned = motion[..., :3, :3].transpose(-1, -2)
    return compose(turned, -(turned @ motion[..., :3, 3:])[..., 0])


def rotation_z(angle: Tensor) -> Tensor:
    """(..., 3, 3) rotations about the z axis by angles in radians, counter-clockwise seen from above."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], -1).view(*angle.shape, 3, 3)


def kabsch(a: Tensor, b: Tensor, weights: Tensor | None = None) -> Tensor:
    """(..., 4, 4) the rigid motion T of least sum w |T a - b|^2 over matched points (..., m, 3) (Kabsch 1976).

    Reflections are excluded (Umeyama 1991). ``weights`` (..., m) are not negative. Computed in float64 and returned so.

    Raises:
        DataError: no matches, different shapes, or weights that sum to nothing.
    """
    if a.shape != b.shape or a.ndim < 2 or a.shape[-1] != 3 or not a.shape[-2]:
        raise DataError(f"Kabsch: matches are {tuple(a.shape)} and {tuple(b.shape)}; expected the same (..., m, 3), m > 0.")
    a, b = a.double(), b.double()
    w = a.new_ones(a.shape[:-1]) if weights is None else weights.to(a)
    total = w.sum(-1, keepdim=True)
    if not bool((total > 0).all()):
        raise DataError("Kabsch: the weights of a set of matches sum to nothing; leave such sets out.")
    w = (w / total)[..., None]
    centre_a, centre_b = (w * a).sum(-2), (w * b).sum(-2)
    covariance = (w * (a - centre_a[..., None, :])).transpose(-1, -2) @ (b - centre_b[..., None, :])
    u, _, vt = torch.linalg.svd(covariance)
    v, ut = vt.transpose(-1, -2), u.transpose(-1, -2)
    sign = torch.linalg.det(v @ ut).sign()
    flip = torch.diag_embed(torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1))
    rotation = v @ flip @ ut
    return compose(rotation, centre_b - (rotation @ centre_a[..., None])[..., 0])
