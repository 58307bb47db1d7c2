"""A hand-made descriptor of each point: fast point feature histograms (Rusu, Blodow and Beetz 2009). No learning, no pose.

For a point p with normal n and a neighbour q with normal n_q, at distance d in direction v = (q - p) / d:

    u = n,   w = u x v (unit),   y = u x w
    alpha = w' . n_q,   phi = u . v,   theta = atan2(w . n_q, u . n_q)            (w' = y)

Each is counted in 11 bins over the neighbours; 33 numbers. The fast form adds the neighbours' own histograms, weighted by 1 / d.
Invariant to rigid motion, because normals look towards the sensor.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sslplug_lidar.registration.icp import nearest_in, tangent_normals

BINS = 11


def histograms(xyz: Tensor, neighbours: int = 32, normal_neighbours: int = 10) -> Tensor:
    """(m, 33) fast point feature histograms of one cloud (m, 3) seen from its origin; each third sums to 2, or 1 alone."""
    normals = tangent_normals(xyz, normal_neighbours)
    normals = torch.where((normals * xyz).sum(1, keepdim=True) > 0, -normals, normals)
    place, squared = nearest_in(xyz, xyz, neighbours + 1)
    place, distance = place[:, 1:], squared[:, 1:].sqrt().clamp(min=1e-9)
    ahead = (xyz[place] - xyz[:, None]) / distance[:, :, None]
    u = normals[:, None].expand_as(ahead)
    cross = torch.linalg.cross(u, ahead)
    w = cross / cross.norm(dim=2, keepdim=True).clamp(min=1e-9)
    other = normals[place]
    angles = [
        (torch.linalg.cross(u, w) * other).sum(2),
        (u * ahead).sum(2),
        torch.atan2((w * other).sum(2), (u * other).sum(2)) / math.pi,
    ]
    parts = []
    for angle in angles:
        bins = ((angle + 1) / 2 * BINS).long().clamp(0, BINS - 1)
        counts = angle.new_zeros(len(xyz), BINS).scatter_add_(1, bins, torch.ones_like(angle))
        parts.append(counts / place.shape[1])
    simple = torch.cat(parts, 1)
    near = 1 / distance.clamp(min=1e-3)
    return simple + (near[:, :, None] * simple[place]).sum(1) / near.sum(1, keepdim=True)
