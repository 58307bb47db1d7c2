"""Scene flow as a question to frozen embeddings: where did each point of the sweep before go?

An encoder that predicts flow itself (level "flow") is judged by what it predicts; any other by the soft correspondence of its
point embeddings (:mod:`sslplug_lidar.flow.correspondence`). Three tasks: ``flow``; ``flow-movers``, on points that moved
against the ground alone, where standing still and ego-motion do not help; ``flow-refined``, after SCOOP's refinement at run
time, which is given to every peer too. A test case is a pair of sweeps; its errors are means over its points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sslplug.contracts import MeasuredTask
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_lidar.flow.correspondence import Transport, soft_flow
from sslplug_lidar.flow.metrics import FLOW_METRICS, flow_errors
from sslplug_lidar.flow.pairs import Reference, Selection, SweepPair, pairs_of, related, spread
from sslplug_lidar.flow.refine import Refinement, around, refine, roughness
from sslplug_lidar.geometry import apply
from sslplug_lidar.registration.icp import icp, nearest_in

if TYPE_CHECKING:  # data modules import this
    from sslplug_lidar.data.cloud_set import CloudSet

MOVING = 0.1
"""Metres between two sweeps: a point moves if its flow differs by more from that of a point at rest."""

SOFTNESS = (0.1, 0.03, 0.01, 0.003, 0.001)
"""Values of ``Transport.eps`` that are tried."""

Predict = Callable[[SweepPair], tuple[Tensor, Tensor]]
"""Pair -> flow (m, 3) of its source points, and how sure each is (m,)."""

Embedded = Callable[[SweepPair, Mapping[str, np.ndarray]], tuple[Tensor, Tensor]]
"""As Predict, from all embeddings."""


def flow_tasks(
    clouds: CloudSet,
    cases: np.ndarray,
    protocol: str,
    selection: Selection | None = None,
    most: int = 6,
    reference: Reference = "given",
) -> dict[str, MeasuredTask]:
    """The flow tasks of a data set; {} where none of its sweeps ``cases`` (numbers of clouds) has a predecessor and known flow.

    protocol   what the cases are, in the task's words
    selection  the points looked at; default: 1024 points above the ground within 35 m, onto 2048
    most       most pairs, spread evenly over the cases
    reference  where the flow is that of points at rest: whose motion of the sensor counts

    Nothing is thinned or searched before a task is measured.
    """
    chosen = selection or Selection()
    numbers = spread(related(clouds, cases), most)
    if not len(numbers):
        return {}

    @cache
    def pairs() -> list[SweepPair]:
        found = pairs_of(clouds, numbers, chosen, Rng.root(0).fork("flow"), reference)
        return [pair for pair in found if bool(known(pair).any())]

    embedded = remembered()
    told = f"{protocol}; {chosen}"
    if clouds.flow is None:
        told += f", flow of points at rest by {reference} poses"
    tasks = {
        "flow": flow_task("flow", pairs, known, told, None, embedded),
        "flow-refined": flow_task("flow-refined", pairs, known, f"{told}; refined at run time", Refinement(), embedded),
    }
    if clouds.flow is not None and clouds.poses is not None:
        tasks["flow-movers"] = flow_task("flow-movers", pairs, movers, f"{told}; moving points alone", None, embedded)
    return tasks


def known(pair: SweepPair) -> Tensor:
    """(m,) bool: source points whose flow is known."""
    return pair.flow.isfinite().all(1)


def movers(pair: SweepPair) -> Tensor:
    """(m,) bool: source points that move against the ground; none where the pose is unknown."""
    still = apply(pair.pose, pair.source) - pair.source
    moving: Tensor = (pair.flow - still).norm(dim=1) > MOVING
    return moving


def flow_task(
    name: str,
    pairs: Callable[[], Sequence[SweepPair]],
    asked: Callable[[SweepPair], Tensor],
    protocol: str,
    how: Refinement | None,
    embedded: Embedded,
) -> MeasuredTask:
    """One flow task on the points ``asked`` of each pair that has any, refined by ``how`` where it is given."""

    def judged(predict: Predict) -> Mapping[str, np.ndarray]:
        rows = []
        for pair in pairs():
            where = asked(pair)
            if not bool(where.any()):
                continue
            flow, sure = predict(pair)
            if how is not None:
                flow = refine(pair.source, pair.target, flow, sure, how)
            rows.append(flow_errors(flow[where].numpy(), pair.flow[where].numpy()))
        if not rows:
            raise DataError(f"Task {name!r}: no pair has a point to ask about; use more sweeps, or leave the task out.")
        return {metric: np.array([row[metric] for row in rows]) for metric in FLOW_METRICS}

    def measure(levels: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return judged(lambda pair: embedded(pair, levels))

    baselines = {
        "zero": lambda: judged(lambda pair: certain(torch.zeros_like(pair.source))),
        "nearest": lambda: judged(lambda pair: certain(nearest_flow(pair))),
        "icp": lambda: judged(lambda pair: certain(apply(icp(pair.source, pair.target), pair.source) - pair.source)),
    }
    return MeasuredTask(
        name=name, level="point", protocol=protocol, metrics=FLOW_METRICS, measure=measure, baselines=baselines
    )


def certain(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Flow of which every point is fully sure."""
    return flow, flow.new_ones(len(flow))


def nearest_flow(pair: SweepPair) -> Tensor:
    """(m, 3) flow to each point's nearest target."""
    return pair.target[nearest_in(pair.source, pair.target, 1)[0][:, 0]] - pair.source


def remembered() -> Embedded:
    """:func:`embedded_flow`, answered once for each pair and set of embeddings: three tasks ask for the same flow."""
    held: dict[SweepPair, tuple[np.ndarray, tuple[Tensor, Tensor]]] = {}

    def embedded(pair: SweepPair, levels: Mapping[str, np.ndarray]) -> tuple[Tensor, Tensor]:
        rows = levels["flow" if "flow" in levels else "point"]
        if pair not in held or held[pair][0] is not rows:
            held[pair] = rows, embedded_flow(pair, levels)
        return held[pair][1]

    return embedded


def embedded_flow(pair: SweepPair, levels: Mapping[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    """Flow and confidence of a pair's source points from all embeddings, {level: (n, d)}.

    Similarities of different encoders differ in scale, so the softness of the correspondence is chosen for each pair among
    ``SOFTNESS``, without any truth: the flow that has the smallest loss of refinement (:func:`misfit`) is taken.
    DataError where the flow level has other rows than the sweeps before have points.
    """
    if "flow" in levels:
        rows = levels["flow"]
        if rows.shape[1] != 3 or len(rows) <= int(pair.flow_rows.max()):
            raise DataError(
                f"Level 'flow' is {rows.shape}; expected 3 numbers for each point of every sweep before. The clean rows of "
                "the data must carry ``previous`` for an encoder that predicts flow."
            )
        return certain(torch.from_numpy(rows[pair.flow_rows.numpy()]).double())
    points = torch.from_numpy(levels["point"])
    # Mass is kept on both sides, so both clouds must be equally dense: all thinned points take part, not the asked ones alone.
    before, target = pair.before.float(), pair.target.float()
    near = around(before, Refinement().neighbours)
    found = [
        soft_flow(before, target, points[pair.before_rows], points[pair.target_rows], Transport(eps=eps)) for eps in SOFTNESS
    ]
    flow, sure = min(found, key=lambda made: misfit(before, target, made[0], near))
    return flow[pair.asked].double(), sure[pair.asked].double()


def misfit(source: Tensor, target: Tensor, flow: Tensor, near: Tensor) -> float:
    """How badly flow explains a pair without knowing the truth: SCOOP's loss of refinement at its weights."""
    away = nearest_in(source + flow, target, 1)[1].mean()
    return float(away + Refinement().smooth * roughness(flow, near))
