"""Just Go with the Flow: flow without labels, from nearest points and a cycle (Mittal, Okorn and Held 2020).

    x' = x + d(x),   y = the point of Y nearest to x'                     L_nearest = mean 1/2 |x' - y|^2
    a = lambda x' + (1 - lambda) y,   x'' = a + d_b(a), the flow from A to X    L_cycle = mean 1/2 |x'' - x|^2

Nearest points alone draw many points to the densest; a cycle alone is content with no motion. The anchor a, half-way between the
prediction and its nearest point, keeps the cycle honest. Gradients flow through both passes. Unlike the paper, nothing is
pretrained with labels on synthetic scenes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Options, Progress, View, Views, observing
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import nearest


class JustGoOptions(Options):
    """Options of Just Go with the Flow."""

    nearest: float = Field(1.0, ge=0, description="Weight of the distance to the nearest point.")
    cycle: float = Field(1.0, ge=0, description="Weight of the anchored cycle.")
    anchor: float = Field(0.5, ge=0, le=1, description="Share of the prediction in the anchor; 1: an unanchored cycle.")


def consecutive(now: Clouds) -> tuple[Clouds, Clouds]:
    """The sweeps before and the sweeps themselves. UsageError where a batch has no pair of different sweeps."""
    before = now.previous
    if before is None or not len(before.xyz) or bool((before.index == now.index).all()):
        raise UsageError(
            "Flow cannot be learned from this batch, which holds no pair of consecutive sweeps; choose data with consecutive "
            "sweeps (data.pairs) and views sweep_pairs."
        )
    return before, now


def nearest_points(moved: Tensor, before: Clouds, now: Clouds) -> Tensor:
    """(m, 3) the point of this sweep nearest to each moved point (m, 3) of the sweep before."""
    place, _ = nearest(moved, before.offsets, now.xyz, now.offsets, 1)
    return now.xyz[place[:, 0]]


def half_square(a: Tensor, b: Tensor) -> Tensor:
    """Half the mean squared distance of matched points (m, 3)."""
    return (a - b).square().sum(1).mean() / 2


class JustGo(nn.Module):
    """Terms ``nearest`` and ``cycle``. The encoder has a level "flow" (see :mod:`sslplug_lidar.flow.flow_net`)."""

    def __init__(self, options: JustGoOptions, views: Views, encoder: nn.Module) -> None:
        super().__init__()
        self.options, self.views, self.encoder = options, views, encoder

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The terms of one batch."""
        before, now = consecutive(self.views(batch, rng)[0].data)
        flow = self.encoder(View(now))["flow"]
        return self.terms(before, now, flow)

    def terms(self, before: Clouds, now: Clouds, flow: Tensor) -> dict[str, Tensor]:
        """Both terms for the flow (points of before, 3), which the backward pass continues."""
        options = self.options
        moved = before.xyz + flow
        hit = nearest_points(moved, before, now)
        anchor = options.anchor * moved + (1 - options.anchor) * hit
        back = View(replace(before, previous=replace(before, xyz=anchor)))
        home = anchor + self.encoder(back)["flow"]
        return {
            "nearest": options.nearest * half_square(moved, hit),
            "cycle": options.cycle * half_square(home, before.xyz),
        }

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Point rows of the view."""
        return {"view0": point_rows(self, batch, rng)}


def point_rows(method: nn.Module, batch: Any, rng: Rng) -> Tensor:
    """(m, d) point rows of a method's first view, in eval mode and without gradients."""
    with observing(method):
        rows: Tensor = method.encoder(method.views(batch, rng)[0])["point"]  # type: ignore[operator]
    return rows


def build(options: JustGoOptions, assembly: Assembly) -> JustGo:
    """Just Go with the Flow from finished parts."""
    return JustGo(options, assembly.views, assembly.encoder)
