"""SCOOP: features whose correspondence by optimal transport is a smooth flow onto the next sweep (Lang et al. 2023).

    y^(x), p(x) of :mod:`sslplug_lidar.flow.correspondence`, with eps = exp(e) + 0.03 and gamma = exp(g) learned;   F = y^ - x
    L = mean_x p(x) min_y |y^(x) - y|^2  [+ backward * mean_y min_x |y - y^(x)|^2]
        + sure * (1 - mean p) + smooth * mean_x mean_{x' near x} |F(x) - F(x')|_1

There is no network for flow: the flow of a pair is its correspondence, refined at run time (:mod:`sslplug_lidar.flow.refine`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Options, Progress, View, Views
from sslplug.randomness import Rng
from sslplug_lidar.flow.correspondence import Transport, soft_flow
from sslplug_lidar.flow.just_go import consecutive, point_rows
from sslplug_lidar.flow.refine import around, roughness
from sslplug_lidar.registration.icp import nearest_in


class ScoopOptions(Options):
    """Options of SCOOP."""

    backward: float = Field(0.0, ge=0, description="Weight of the distance from the sweep to the matched points.")
    sure: float = Field(0.1, ge=0, description="Weight of being sure.")
    smooth: float = Field(10.0, ge=0, description="Weight of smoothness.")
    neighbours: int = Field(32, ge=1, description="Points around each that shall move alike.")
    reach: float = Field(10.0, gt=0, description="Metres: nothing moves further between two sweeps.")
    targets: int = Field(64, ge=1, description="Matched points that share in a point's flow.")
    eps: float = Field(1.0, gt=0, description="First value of exp(e): softness of the transport above 0.03.")
    gamma: float = Field(1.0, gt=0, description="First value of exp(g): how strictly mass is kept.")


class Scoop(nn.Module):
    """Terms ``match``, ``sure`` and ``smooth``. The encoder needs a level "point"."""

    def __init__(self, options: ScoopOptions, views: Views, encoder: nn.Module) -> None:
        super().__init__()
        self.options, self.views, self.encoder = options, views, encoder
        self.log_eps = nn.Parameter(torch.tensor(math.log(options.eps)))
        self.log_gamma = nn.Parameter(torch.tensor(math.log(options.gamma)))

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The terms of one batch: means over its pairs."""
        before, now = consecutive(self.views(batch, rng)[0].data)
        here, there = self.encoder(View(now))["point"], self.encoder(View(before))["point"]
        terms = [
            self.pair(before.xyz[a:b], now.xyz[c:d], there[a:b], here[c:d])
            for a, b, c, d in zip(
                before.offsets[:-1].tolist(),
                before.offsets[1:].tolist(),
                now.offsets[:-1].tolist(),
                now.offsets[1:].tolist(),
            )
        ]
        return {name: torch.stack([term[name] for term in terms]).mean() for name in terms[0]}

    def pair(self, source: Tensor, target: Tensor, source_rows: Tensor, target_rows: Tensor) -> dict[str, Tensor]:
        """The terms of one pair: points (m, 3), (k, 3) and their embeddings."""
        options = self.options
        transport = Transport(self.log_eps.exp() + 0.03, self.log_gamma.exp(), options.reach, options.targets)
        flow, sure = soft_flow(source, target, source_rows, target_rows, transport)
        matched = source + flow
        match = (sure * nearest_in(matched, target, 1)[1][:, 0]).mean()
        if options.backward:
            match = match + options.backward * nearest_in(target, matched, 1)[1].mean()
        return {
            "match": match,
            "sure": options.sure * (1 - sure.mean()),
            "smooth": options.smooth * roughness(flow, around(source, options.neighbours)),
        }

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Point rows of the view."""
        return {"view0": point_rows(self, batch, rng)}


def build(options: ScoopOptions, assembly: Assembly) -> Scoop:
    """SCOOP from finished parts."""
    return Scoop(options, assembly.views, assembly.encoder)
