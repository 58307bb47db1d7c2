"""Puts groups of points into views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sslplug.contracts import View
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.views.groups import GroupOptions, Segmenter, cell_codes, shared_groups


class Grouping:
    """The groups a recipe asks for.

    ``codes`` gives clean points their groups, ``shared`` finds those that all views hold.
    """

    def __init__(self, options: GroupOptions) -> None:
        self.options = options
        self._segmenter = Segmenter(options.segment)

    def codes(self, clouds: Clouds) -> dict[str, Tensor]:
        """{level: (m,) int64 group of each clean point} for clouds that are matched with themselves."""
        found: dict[str, Tensor] = {}
        if "match" in self.options.levels:
            found["match"] = clouds.point_ids()
        if "cell" in self.options.levels:
            found["cell"] = cell_codes(clouds.xyz, clouds, self.options.cell)
        if "segment" in self.options.levels:
            found["segment"] = self._segmenter(clouds.xyz, clouds.offsets, clouds.index)
        return found

    def pair_codes(self, now: Clouds, before: Clouds, moved: Tensor, match: Tensor | None) -> list[dict[str, Tensor]]:
        """The groups of two sweeps in the frame of ``now``, for the points of ``before``, then of ``now``.

        moved  (p, 3) the points of ``before`` in the frame of ``now``, NaN where unknown: these belong to nothing
        match  (p,) int64 number over the whole data of the point of ``now`` that each is, -1 for none; None: not asked for
        Segments are clusters of both sweeps together (TARL, Nunes et al. 2023).
        """
        first: dict[str, Tensor] = {}
        second: dict[str, Tensor] = {}
        known = moved.isfinite().all(1)
        if match is not None:
            first["match"], second["match"] = match, now.point_ids()
        if "cell" in self.options.levels:
            codes = cell_codes(moved.nan_to_num(), replace(before, index=now.index), self.options.cell)
            first["cell"] = torch.where(known, codes, -1)
            second["cell"] = cell_codes(now.xyz, now, self.options.cell)
        if "segment" in self.options.levels:
            cloud = torch.cat([before.cloud_of()[known], now.cloud_of()])
            order = torch.argsort(cloud, stable=True)
            lengths = torch.bincount(cloud, minlength=len(now.index))
            offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
            both = torch.cat([moved[known], now.xyz])
            codes = torch.empty_like(cloud)
            codes[order] = self._segmenter(both[order], offsets, now.index)
            first["segment"] = torch.full_like(known, -1, dtype=torch.int64).masked_scatter(known, codes[: int(known.sum())])
            second["segment"] = codes[int(known.sum()) :]
        return [first, second]

    def shared(self, views: Sequence[View], codes: Sequence[Mapping[str, Tensor]], rng: Rng) -> list[View]:
        """The views with the groups that all of them hold; ``codes`` are those of each view's points."""
        ids: list[dict[str, Tensor]] = [dict(view.ids) for view in views]
        params: list[dict[str, Tensor]] = [dict(view.params) for view in views]
        o = self.options
        # Segments have no limit beside that of each cloud.
        limits = {
            "match": (1, o.match.points),
            "cell": (o.cell.fewest, o.cell.cells),
            "segment": (o.segment.fewest, 1 << 40),
        }
        for level in o.levels:
            groups, places = shared_groups([code[level] for code in codes], *limits[level], rng.fork(level))
            for number, place in enumerate(places):
                ids[number][level], params[number][level] = groups, place
        return [replace(view, ids=i, params=p) for view, i, p in zip(views, ids, params, strict=True)]
