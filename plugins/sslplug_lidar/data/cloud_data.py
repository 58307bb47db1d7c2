"""The data of one run: clouds in shuffled batches, and every cloud in fixed order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sslplug.contracts import LabelledRows, Order, RawFeatures, Target, Task, View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.data.scale import Scale

POINTS_A_VIEW = 100_000
"""Points in one view of ``rows()``, unless one cloud alone has more."""


@dataclass(frozen=True)
class Batches(Sequence[Clouds]):
    """Batches made when asked for: ``make(clouds)``."""

    make: Callable[[np.ndarray], Clouds]
    chosen: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, step: Any) -> Any:
        return self.make(self.chosen[step])


def _below_one_folder(titles: Sequence[str]) -> list[str]:
    """Titles without the folder that all files lie in.

    >>> _below_one_folder(["mine/car/0.bin", "mine/tree/0.bin"])
    ['car/0.bin', 'tree/0.bin']
    """
    whole = os.path.commonpath([os.path.dirname(title) for title in titles])
    return [os.path.relpath(title, whole) for title in titles] if whole else list(titles)


class CloudData:
    """Clouds with their tasks; see :class:`sslplug.contracts.DomainData`.

    clouds      the clouds in metres, features unscaled; what tasks that measure by themselves read
    training    (k,) numbers of the clouds that training batches may hold
    scale       fitted on these
    pairs       batches and rows hand over the sweep before each, with pose and flow
    names       the file or record of each cloud, see :class:`sslplug.contracts.NamedRows`
    raw         task -> raw features
    """

    level = "cloud"

    def __init__(
        self,
        clouds: CloudSet,
        tasks: Mapping[str, Any],
        training: np.ndarray,
        scale: Scale,
        raw: Callable[[CloudSet, Task], RawFeatures],
        *,
        pairs: bool,
        preprocessing: Mapping[str, Any],
    ) -> None:
        self.clouds, self.tasks, self.training, self.pairs = clouds, tasks, training, pairs
        self.names: Mapping[str, Sequence[str]] = {"cloud": _below_one_folder(clouds.titles)} if clouds.titles else {}
        self.spec = replace(scale.spec(clouds.sensor), sweeps=pairs and clouds.before is not None)
        self.fitted, self._raw = scale.to_json(), raw
        self._features = scale.applied(clouds.features)
        self.description = {
            "name": clouds.name,
            "clouds": len(clouds.lengths),
            "points": len(clouds.xyz),
            "training clouds": len(training),
            "channels": list(clouds.channels),
            "pairs of sweeps": 0 if clouds.before is None else int((clouds.before >= 0).sum()),
            "preprocessing": dict(preprocessing),
            "notes": list(clouds.notes),
            "sha256": clouds.sha256,
        }

    def batches(self, order: Order) -> Sequence[Clouds]:
        """Training clouds shuffled by (seed, epoch), ``order.batch_size`` at a time over all ranks.

        A global batch of b clouds gives each of W ranks b // W of them. A ragged last batch is left out where it is not the
        only one: a batch of one cloud has nothing to be compared with.
        """
        n = len(self.training)
        if not n:
            raise DataError(f"{self.clouds.name}: no cloud may be trained on; lower data.shortest, or give more clouds.")
        shuffled = self.training[Rng.root(order.seed).fork("batches", order.epoch).numpy().permutation(n)]
        size = min(order.batch_size or n, n)
        share = size // order.world
        if not share:
            raise UsageError(f"{size} clouds a batch cannot be shared by {order.world} ranks; use fewer ranks.")
        starts = [start + order.rank * share for start in range(0, n - size + 1, size)]
        return Batches(lambda chosen: self._batch(chosen, order.labels), [shuffled[s : s + share] for s in starts])

    def rows(self) -> Iterator[View]:
        """Every cloud once, in order."""
        start, n = 0, len(self.clouds.lengths)
        while start < n:
            reached = np.cumsum(self.clouds.lengths[start : start + 256])
            stop = start + max(1, int((reached <= POINTS_A_VIEW).sum()))
            batch = self.gather(np.arange(start, stop))
            yield View(batch, ids={"cloud": batch.index, "point": batch.point_ids()})
            start = stop

    def raw_features(self, task: Task) -> RawFeatures:
        """See :mod:`sslplug_lidar.raw_features`."""
        return self._raw(self.clouds, task)

    def gather(self, chosen: np.ndarray) -> Clouds:
        """The named clouds in memory of their own, with their predecessors where the data hands over pairs."""
        batch = self._packed(chosen)
        before = self.clouds.before
        if not self.pairs or before is None:
            return batch
        previous, there = self._packed(np.maximum(before[chosen], 0)), torch.from_numpy(before[chosen] >= 0)
        previous = previous.keep(there.repeat_interleave(previous.lengths))
        previous = replace(previous, index=torch.where(there, previous.index, -1))
        pose = np.stack([self.clouds.motion(int(cloud)) for cloud in chosen])
        flow = None
        if self.clouds.flow is not None:
            flow = torch.from_numpy(self.clouds.flow[previous.point_ids().numpy()])
        return replace(batch, previous=previous, pose=torch.from_numpy(pose), flow=flow)

    def _packed(self, chosen: np.ndarray) -> Clouds:
        rows, offsets = self.clouds.rows(chosen)
        start = self.clouds.offsets[:-1][chosen]
        return Clouds(
            offsets=torch.from_numpy(offsets),
            xyz=torch.from_numpy(self.clouds.xyz[rows]),
            features=torch.from_numpy(self._features[rows]),
            index=torch.from_numpy(np.array(chosen, np.int64)),
            start=torch.from_numpy(start),
            number=torch.from_numpy(rows - np.repeat(start, np.diff(offsets))),
        )

    def _batch(self, chosen: np.ndarray, labelled: LabelledRows | None) -> Clouds:
        batch = self.gather(chosen)
        if labelled is None:
            return batch
        task, rows = labelled.task, labelled.rows
        if task.level not in ("cloud", "point"):
            raise UsageError(
                f"train.labels: task {task.name!r} labels {task.level} rows; clouds train on labels of clouds or points alone. "
                "Name such a task."
            )
        here = (batch.index if task.level == "cloud" else batch.point_ids()).numpy()
        known = rows if task.members is None else task.members[rows, 0]
        order = np.argsort(known)
        place = np.searchsorted(known, here, sorter=order)
        found = order[np.minimum(place, len(order) - 1)]
        local = np.flatnonzero(known[found] == here)
        values = torch.from_numpy(task.labels[rows[found[local]]])
        values = values.float() if values.is_floating_point() else values
        return replace(batch, labels=Target(task.level, values, torch.from_numpy(local)))
