"""Registration as a question to frozen point embeddings: where was the sensor when it took the sweep before?

Points of the two sweeps are matched by their embeddings (mutual nearest neighbours), a rigid motion is agreed upon by random
sample consensus, and reported before and after refinement by ICP. Peers: no motion, ICP from no motion, hand-made descriptors
in place of embeddings. ``matches`` asks for the matches alone: the share that is right to half a metre.

An embedding that tells where a point is (its coordinates) matches points that lie near each other, which is the answer "no
motion": compare with the peer ``still``, and with the untrained encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sslplug.contracts import MeasuredTask
from sslplug.randomness import Rng
from sslplug_lidar.flow.pairs import Reference, Selection, SweepPair, pairs_of, related, spread
from sslplug_lidar.geometry import apply
from sslplug_lidar.registration.descriptors import histograms
from sslplug_lidar.registration.icp import icp, nearest_in
from sslplug_lidar.registration.matching import Consensus, agreed_motion, motion_error, mutual_matches

if TYPE_CHECKING:  # data modules import this
    from sslplug_lidar.data.cloud_set import CloudSet

POSE_METRICS: Mapping[str, bool] = MappingProxyType(
    {"translation": False, "rotation": False, "success": True, "translation_icp": False, "rotation_icp": False}
)
"""Metres, degrees, share of pairs within 0.6 m and 1.5 degrees; then the first two after refinement by ICP."""

SUCCESS = (1.5, 0.6)

Pairs = Callable[[], Sequence[SweepPair]]

Describe = Callable[[SweepPair], tuple[Tensor, Tensor]]
"""Pair -> descriptors (m, d) of its source points and (k, d) of its target points."""


def registration_tasks(
    clouds: CloudSet,
    cases: np.ndarray,
    protocol: str,
    selection: Selection | None = None,
    most: int = 6,
    reference: Reference = "given",
) -> dict[str, MeasuredTask]:
    """The registration tasks of a data set; {} where none of its sweeps ``cases`` has a predecessor and a known motion.

    selection  the points looked at; default: 2048 points onto 8192 within 50 m, at most one in 30 cm, ground included
    most       most pairs, spread evenly over the cases
    reference  whose motion counts; tasks against ICP's are called ``registration-icp`` and ``matches-icp``

    Nothing is thinned or searched before a task is measured.
    """
    chosen = selection or Selection(points=2048, dense=8192, reach=50.0, cell=0.3, ground=True)
    numbers = spread(related(clouds, cases), most)
    if not len(numbers) or clouds.poses is None:
        return {}

    @cache
    def pairs() -> list[SweepPair]:
        found = pairs_of(clouds, numbers, chosen, Rng.root(0).fork("registration"), reference)
        return [pair for pair in found if bool(pair.pose.isfinite().all())]

    told = f"{protocol}; {chosen}; {reference} poses"
    suffix = "" if reference == "given" else f"-{reference}"
    tasks = pose_task(f"registration{suffix}", pairs, told), match_task(f"matches{suffix}", pairs, told)
    return {task.name: task for task in tasks}


def pose_task(name: str, pairs: Pairs, protocol: str, how: Consensus | None = None) -> MeasuredTask:
    """The motion between two sweeps; a case is a pair."""
    consensus = how or Consensus()

    def judged(motion_of: Callable[[int, SweepPair], Tensor]) -> Mapping[str, np.ndarray]:
        rows = []
        for number, pair in enumerate(pairs()):
            motion = motion_of(number, pair)
            rotation, translation = motion_error(motion, pair.pose)
            rotation_icp, translation_icp = motion_error(icp(pair.source, pair.target, motion), pair.pose)
            good = float(rotation < SUCCESS[0] and translation < SUCCESS[1])
            rows.append((translation, rotation, good, translation_icp, rotation_icp))
        return dict(zip(POSE_METRICS, np.array(rows).T, strict=True))

    def matched(describe: Describe) -> Mapping[str, np.ndarray]:
        def motion_of(number: int, pair: SweepPair) -> Tensor:
            i, j = mutual_matches(*describe(pair)).T
            return agreed_motion(pair.source[i], pair.target[j], consensus, Rng.root(number).fork("consensus"))

        return judged(motion_of)

    still = torch.eye(4, dtype=torch.float64)
    return MeasuredTask(
        name=name,
        level="point",
        protocol=protocol,
        metrics=POSE_METRICS,
        measure=lambda levels: matched(lambda pair: embedded(pair, levels)),
        baselines={
            "still": lambda: judged(lambda number, pair: still),
            "icp": lambda: judged(lambda number, pair: icp(pair.source, pair.target)),
            "fpfh": lambda: matched(described),
        },
    )


def match_task(name: str, pairs: Pairs, protocol: str, within: float = 0.5) -> MeasuredTask:
    """The share of mutual matches that the true motion brings within ``within`` metres; a case is a pair."""

    def right(pair: SweepPair, i: Tensor, j: Tensor) -> float:
        away = (apply(pair.pose, pair.source[i]) - pair.target[j]).norm(dim=1)
        return float((away < within).double().mean()) if len(i) else 0.0

    def judged(match: Callable[[SweepPair], Tensor]) -> Mapping[str, np.ndarray]:
        return {"inliers": np.array([right(pair, *match(pair).T) for pair in pairs()])}

    return MeasuredTask(
        name=name,
        level="point",
        protocol=f"{protocol}; right to {within:g} m",
        metrics={"inliers": True},
        measure=lambda levels: judged(lambda pair: mutual_matches(*embedded(pair, levels))),
        baselines={
            "nearest": lambda: judged(near_matches),
            "fpfh": lambda: judged(lambda pair: mutual_matches(*described(pair))),
        },
    )


def near_matches(pair: SweepPair) -> Tensor:
    """(p, 2) mutual nearest points of a pair without any motion."""
    there = nearest_in(pair.source, pair.target, 1)[0][:, 0]
    back = nearest_in(pair.target, pair.source, 1)[0][:, 0]
    rows = torch.arange(len(there))
    kept = back[there] == rows
    return torch.stack([rows[kept], there[kept]], 1)


def embedded(pair: SweepPair, levels: Mapping[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    """The embeddings of a pair's points."""
    points = torch.from_numpy(levels["point"])
    return points[pair.source_rows], points[pair.target_rows]


@lru_cache(maxsize=16)
def described(pair: SweepPair) -> tuple[Tensor, Tensor]:
    """The hand-made descriptors of a pair's points, made from the dense clouds; two tasks ask for them."""
    return histograms(pair.before)[pair.asked], histograms(pair.target)
