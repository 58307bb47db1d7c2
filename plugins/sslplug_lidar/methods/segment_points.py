"""Points of a segment in one sweep against the segment's mean in another: TARL (Nunes et al. 2023, CVPR).

Segments are clusters of both sweeps together, in one frame. For each, at most ``points`` of its points in the anchor's sweep pass
through a projector and a transformer over the points of that segment, then a predictor: z_p. The key k_s is the mean over the
segment's points in the other sweep of a slow teacher's projected embeddings.

    L = -(1/P) sum_p log( exp(z_p . k_s(p) / tau) / sum_s exp(z_p . k_s / tau) )        unit rows

averaged over both directions. All segments of the batch are compared. With the objective ``infonce``, ``negatives: inter`` and
``symmetric: false``, it is this loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views, observing
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.geometry import offsets_of, place_of, segment_mean
from sslplug_lidar.group_levels import pooled
from sslplug_lidar.methods.perceptron import perceptron
from sslplug_lidar.methods.teacher import follow, teacher_of


class SegmentPointsOptions(Options):
    """Options of point-to-segment contrast."""

    points: int = Field(300, ge=1, description="most points of a segment that are anchors")
    width: int = Field(96, ge=1, description="width of the projected embeddings")
    heads: int = Field(8, ge=1, description="attention heads of the transformer over a segment's points")
    hidden: int = Field(512, ge=1, description="hidden width of its perceptron")
    momentum: float = Field(0.999, ge=0, le=1, description="share of the teacher that stays at each step")


class SegmentPoints(nn.Module):
    """See the module. Terms are the objective's."""

    def __init__(
        self, options: SegmentPointsOptions, views: Views, encoder: nn.Module, dim: int, objective: nn.Module
    ) -> None:
        super().__init__()
        self.options, self.views, self.encoder, self.objective = options, views, encoder, objective
        self.projector = nn.Linear(dim, options.width)
        self.among = nn.TransformerEncoderLayer(
            options.width, options.heads, options.hidden, dropout=0.0, batch_first=True, norm_first=True
        )
        self.predictor, _ = perceptron(options.width, (options.width, options.width))
        self.teacher = teacher_of(encoder, self.projector)

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        views = _with_segments(self.views(batch, rng))
        student = [self.encoder(view)["point"] for view in views]
        keys = self._keys(views)
        total: dict[str, Tensor] = {}
        pairs = list(permutations(range(len(views)), 2))
        for a, b in pairs:
            anchors, segment = self._anchors(student[a], views[a], rng.fork("anchors", a, b))
            for name, value in self.objective([anchors, keys[b]], [segment, views[b].ids["segment"]]).items():
                total[name] = total.get(name, 0.0) + value / len(pairs)
        return total

    def _keys(self, views: Sequence[View]) -> list[Tensor]:
        """(s, width) a view: means of the teacher's projected embeddings over each segment's points; no gradient."""
        encoder, projector = self.teacher
        with torch.no_grad():
            return [
                pooled(projector(encoder(view)["point"]), view.params["segment"], len(view.ids["segment"]), segment_mean)
                for view in views
            ]

    def _anchors(self, points: Tensor, view: View, rng: Rng) -> tuple[Tensor, Tensor]:
        """(P, width) predictions of the anchor points and (P,) ids of their segments."""
        ids, place = view.ids["segment"], view.params["segment"]
        # In random order, then by segment: the first ``points`` of each segment are a fair draw.
        rows = (place >= 0).nonzero()[:, 0]
        rows = rows[torch.argsort(rng.uniform(view.ids["point"][rows])[:, 0], stable=True)]
        rows = rows[torch.argsort(place[rows], stable=True)]
        counts = torch.bincount(place[rows], minlength=len(ids))
        column = place_of(offsets_of(counts))
        kept = column < self.options.points
        rows, column = rows[kept], column[kept]
        segment = place[rows]
        longest = int(column.max()) + 1 if len(column) else 0
        projected = self.projector(points[rows])
        padded = projected.new_zeros(len(ids), longest, projected.shape[1]).index_put((segment, column), projected)
        absent = torch.ones(len(ids), longest, dtype=torch.bool, device=rows.device).index_put(
            (segment, column), torch.zeros_like(kept[kept])
        )
        mixed = self.among(padded, src_key_padding_mask=absent)[segment, column]
        return self.predictor(mixed), ids[segment]

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """The teacher follows the student."""
        follow(self.teacher, nn.ModuleList([self.encoder, self.projector]), self.options.momentum)

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The projected segments of both views, {"view0": (s, d), "view1": (s, d)}."""
        with observing(self):
            found = {}
            for number, view in enumerate(_with_segments(self.views(batch, rng))):
                rows = self.projector(self.encoder(view)["point"])
                found[f"view{number}"] = pooled(rows, view.params["segment"], len(view.ids["segment"]), segment_mean)
            return found


def _with_segments(views: Sequence[View]) -> Sequence[View]:
    """The views. Raises UsageError where they are fewer than two or have no segments."""
    if len(views) < 2 or any("segment" not in view.params for view in views):
        raise UsageError(
            "Method 'segment_points' compares the segments of two views, but the views bring none; choose the views sweeps or "
            "grouped with levels: [segment]."
        )
    return views


def build(options: SegmentPointsOptions, assembly: Assembly) -> SegmentPoints:
    """Point-to-segment contrast from finished parts."""
    if options.width % options.heads:
        raise UsageError(f"method.width {options.width} is no multiple of method.heads {options.heads}; choose one that is.")
    return SegmentPoints(
        options, assembly.views, assembly.encoder, assembly.dims["point"], assembly.objective(options.width)
    )


SEGMENT_POINTS = Component(
    SegmentPointsOptions,
    build,
    "Points of a segment in one sweep against the segment's mean in the other (TARL).",
    needs=lambda options: frozenset({"pair", "score:views", "level:point"}),
)
