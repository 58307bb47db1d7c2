"""Farthest-point sampling (Eldar et al. 1997): each new point is the farthest one from all points chosen before."""

from __future__ import annotations

import torch
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.geometry.packing import like_sized, offsets_of, owner_of, padded_rows, place_of
from sslplug_lidar.geometry.segments import segment_mean


def farthest_points(
    xyz: Tensor, offsets: Tensor, count: int | float, rng: Rng | None = None, spacing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Row numbers of the chosen points, cloud by cloud in the order of choice, and their (n + 1,) offsets.

    ``count``: points of a cloud (int; smaller clouds give all they have), or a share in (0, 1] of each cloud's points (float),
    rounded up. The first point is drawn by ``rng``; without one it is the point farthest from the cloud's mean, which does not
    depend on the order of the points (ties apart). No row is chosen twice, even where points coincide. With ``spacing``, a
    cloud's choice ends when no point is as far as that from all chosen ones. Chosen by float32 distances; (m, 3) xyz of any
    unit. Time is points x count, memory linear.
    """
    if torch.compiler.is_exporting():
        raise UsageError("farthest-point sampling, a loop as long as the clouds ask for, is no operator of torch")
    lengths = offsets.diff()
    if isinstance(count, float):
        if not 0 < count <= 1:
            raise UsageError(f"Farthest points: a share of {count}; expected a share in (0, 1] or a whole number of points.")
        wanted = (lengths * count).ceil().to(torch.int64)
    else:
        if count < 1:
            raise UsageError(f"Farthest points: {count} points a cloud; expected at least 1.")
        wanted = lengths.clamp(max=count)
    xyz = xyz.detach().float()
    first = _first(xyz, offsets, rng)
    found: list[tuple[Tensor, Tensor]] = []
    counts = torch.zeros_like(lengths)
    for group in like_sized(lengths):
        rows, real = padded_rows(offsets, group)
        steps = int(wanted[group].max())
        places, counts[group] = _choose(xyz[rows].permute(2, 0, 1).contiguous(), real, first[group], steps, spacing**2)
        counts[group] = torch.minimum(counts[group], wanted[group])
        found.append((group, offsets[:-1][group][:, None] + places))
    out_offsets = offsets_of(counts)
    chosen = torch.empty(int(out_offsets[-1]), dtype=torch.int64, device=xyz.device)
    for group, rows in found:
        column = torch.arange(rows.shape[1], device=xyz.device)
        kept = column < counts[group][:, None]
        chosen[(out_offsets[:-1][group][:, None] + column)[kept]] = rows[kept]
    return chosen, out_offsets


def _first(xyz: Tensor, offsets: Tensor, rng: Rng | None) -> Tensor:
    """(n,) the place in its cloud of each cloud's first point; 0 for empty clouds."""
    lengths, n = offsets.diff(), len(offsets) - 1
    if rng is not None:
        drawn = rng.uniform(torch.arange(n, device=offsets.device))[:, 0]
        return (drawn * lengths).long().clamp(max=(lengths - 1).clamp(min=0))
    owner = owner_of(offsets)
    away = (xyz - segment_mean(xyz, owner, n)[owner]).square().sum(1)
    most = away.new_full((n,), -1.0).scatter_reduce(0, owner, away, "amax")
    place = torch.where(away == most[owner], place_of(offsets), lengths[owner])
    return lengths.scatter_reduce(0, owner, place, "amin")


def _choose(xyz: Tensor, real: Tensor, first: Tensor, steps: int, least: float) -> tuple[Tensor, Tensor]:
    """Places of the chosen points of g padded clouds, coordinates (3, g, longest), and how many of each are ``least`` apart.

    (g, steps) int64, or fewer steps where every cloud has ended, and (g,) int64. ``least`` is a squared distance.
    """
    distance = torch.where(real, torch.inf, -1.0)
    counts = torch.full_like(first, steps)
    chosen = [first[:, None]]
    offset = torch.empty_like(xyz)  # written again at every step: fresh memory would cost more than the arithmetic
    x, y, z = offset
    for step in range(1, steps):
        current = chosen[-1]
        torch.sub(xyz, xyz.gather(2, current.expand(3, -1, 1)), out=offset).square_()
        torch.minimum(distance, x.add_(y).add_(z), out=distance)
        distance.scatter_(1, current, -1.0)  # never again, though other points may lie at the same spot
        chosen.append(_argmax(distance))
        if least > 0:
            counts = counts.where(distance.gather(1, chosen[-1])[:, 0] >= least, counts.clamp(max=step))
            if bool((counts <= step).all()):
                break
    return torch.cat(chosen, 1), counts


def _argmax(rows: Tensor) -> Tensor:
    """(g, 1) the place of each row's first maximum. On a CPU numpy's search is ten times as fast as torch's."""
    if rows.device.type == "cpu":
        return torch.from_numpy(rows.numpy().argmax(1, keepdims=True))
    return rows.argmax(1, keepdim=True)
