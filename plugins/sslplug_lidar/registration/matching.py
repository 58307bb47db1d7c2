"""Rigid motion from matched descriptors: mutual nearest neighbours, then random sample consensus (Fischler and Bolles 1981)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sslplug.randomness import Rng
from sslplug_lidar.geometry import kabsch


@dataclass(frozen=True)
class Consensus:
    """How a motion is agreed upon.

    trials  motions through three drawn matches each
    within  metres: a match agrees with a motion that brings its two points this near
    length  three matches are tried only if the sides of both triangles agree to this share
    refits  times the motion is fitted anew to all matches that agree
    """

    trials: int = 4000
    within: float = 0.5
    length: float = 0.9
    refits: int = 5


def mutual_matches(source: Tensor, target: Tensor) -> Tensor:
    """(p, 2) int64 pairs (i, j): j's descriptor is the most similar one to i's by cosine, and i's to j's.

    source (m, d), target (k, d) descriptors. Pieces of 2048 rows bound the memory.
    """
    a, b = F.normalize(source, dim=1), F.normalize(target, dim=1)
    there = torch.cat([(part @ b.T).argmax(1) for part in torch.split(a, 2048)])
    back = torch.cat([(part @ a.T).argmax(1) for part in torch.split(b, 2048)])
    rows = torch.arange(len(a), device=a.device)
    kept = back[there] == rows
    return torch.stack([rows[kept], there[kept]], 1)


def agreed_motion(source: Tensor, target: Tensor, how: Consensus, rng: Rng) -> Tensor:
    """(4, 4) float64 motion that most matches agree with; row i of source (p, 3) is matched with row i of target (p, 3).

    No motion (the identity) where there are fewer than three matches or no triangle fits another.
    """
    source, target = source.double(), target.double()
    still = torch.eye(4, dtype=torch.float64, device=source.device)
    if len(source) < 3:
        return still
    drawn = torch.randint(len(source), (how.trials, 3), generator=rng.torch(source.device), device=source.device)
    a, b = source[drawn], target[drawn]
    sides_a, sides_b = ((x - x.roll(1, dims=1)).norm(dim=2) for x in (a, b))
    alike = torch.minimum(sides_a, sides_b) >= how.length * torch.maximum(sides_a, sides_b)
    usable = alike.all(1) & (sides_a.amin(1) > how.within)
    if not bool(usable.any()):
        return still
    motions = kabsch(a[usable], b[usable])
    counts = torch.cat([agreeing(part, source, target, how.within).sum(1) for part in torch.split(motions, 256)])
    motion = motions[counts.argmax()]
    for _ in range(how.refits):
        agree = agreeing(motion[None], source, target, how.within)[0]
        if int(agree.sum()) < 3:
            break
        motion = kabsch(source[agree], target[agree])
    return motion


def agreeing(motions: Tensor, source: Tensor, target: Tensor, within: float) -> Tensor:
    """(h, p) bool: which matches each of h motions brings within ``within`` metres."""
    ahead = source @ motions[:, :3, :3].transpose(1, 2) + motions[:, None, :3, 3]
    return (ahead - target).square().sum(2) < within**2


def motion_error(found: Tensor, true: Tensor) -> tuple[float, float]:
    """Degrees and metres between two (4, 4) motions: the angle of R' R_true, and |t - t_true|."""
    turn = found[:3, :3].T @ true[:3, :3]
    # The chord stays exact at small angles, where the arc cosine of the trace does not.
    chord = float((turn - torch.eye(3, dtype=turn.dtype)).norm()) / 8**0.5
    angle = 2 * torch.asin(torch.tensor(min(chord, 1.0), dtype=torch.float64))
    return float(torch.rad2deg(angle)), float((found[:3, 3] - true[:3, 3]).norm())
