"""Flow from point embeddings by optimal transport: each point goes to the mean of the points that look like it.

    C = 1 - cos(f_x, f_y),   K = exp(-C / eps) where |x - y| < reach, else 0
    one step of unbalanced Sinkhorn:   b = (1/m / K' a)^p,   a = (1/n / K b)^p,   p = gamma / (gamma + eps),   T = a K b
    y^(x) = sum T y / sum T  over the `most` targets with the largest T;   confidence p(x) = relu(sum T cos / sum T)

Puy, Boulch and Marlet 2020 (FLOT); Lang et al. 2023 (SCOOP), equations 2-6. Computed on logarithms, so that small eps do not
underflow. Memory: n x m for one pair of clouds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Transport:
    """What correspondence needs to know.

    eps    softness; small values leave the most similar point alone
    gamma  how strictly every point's mass must be kept: infinite is balanced transport
    reach  metres; nothing moves further between two sweeps
    most   targets a point that share in its flow
    steps  Sinkhorn iterations
    """

    eps: Tensor | float = 0.03
    gamma: Tensor | float = 1.0
    reach: float = 10.0
    most: int = 64
    steps: int = 1


def log_transport(score: Tensor, within: Tensor, transport: Transport) -> Tensor:
    """(n, m) logarithm of the mass that goes from each of n points to each of m, -inf where ``within`` is False.

    score  (n, m) cosine similarity of the two points' features
    """
    n, m = score.shape
    kernel = ((score - 1) / transport.eps).masked_fill(~within, -math.inf)
    power = transport.gamma / (transport.gamma + transport.eps) if transport.gamma != math.inf else 1.0
    a = score.new_zeros(n)
    b = score.new_zeros(m)
    for _ in range(transport.steps):
        b = power * (-math.log(m) - _total(kernel + a[:, None], 0))
        a = power * (-math.log(n) - _total(kernel + b[None, :], 1))
    return a[:, None] + kernel + b[None, :]


def _total(logs: Tensor, dim: int) -> Tensor:
    """logsumexp, 0 where every entry is -inf: such a point has no partner, and its gradient would be NaN."""
    alone = torch.isneginf(logs).all(dim)
    return logs.masked_fill(alone.unsqueeze(dim), 0.0).logsumexp(dim).masked_fill(alone, 0.0)


def soft_flow(
    source: Tensor, target: Tensor, source_features: Tensor, target_features: Tensor, transport: Transport
) -> tuple[Tensor, Tensor]:
    """Flow (n, 3) of the source points and how sure each is, (n,) in [0, 1].

    source (n, 3), target (m, 3) metres; features (n, d), (m, d). A point without any target in reach stays, confidence 0.
    """
    if not len(source) or not len(target):
        return torch.zeros_like(source), source.new_zeros(len(source))
    score = F.normalize(source_features, dim=1) @ F.normalize(target_features, dim=1).T
    with torch.no_grad():
        within = torch.cdist(source, target, compute_mode="donot_use_mm_for_euclid_dist") < transport.reach
    logs = log_transport(score, within, transport)
    best, place = logs.topk(min(transport.most, logs.shape[1]), dim=1)
    alone = torch.isneginf(best[:, 0])
    share = best.masked_fill(alone[:, None], 0.0).softmax(1)
    partner = (share[:, :, None] * target[place]).sum(1)
    sure = torch.relu((share * score.gather(1, place)).sum(1)).clamp(max=1.0)
    return (partner - source).masked_fill(alone[:, None], 0.0), sure.masked_fill(alone, 0.0)
