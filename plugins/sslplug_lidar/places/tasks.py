"""Retrieval of places as a question to frozen cloud embeddings: which earlier sweep was taken where I am now?

A query is a sweep whose drive came within ``radius`` metres of its place before, more than ``apart`` metres of road ago; it
is answered by the most similar of the sweeps that lie as far back. Poses tell what is right and are shown to no one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch

from sslplug.contracts import MeasuredTask
from sslplug_lidar.places.ring_height import alike, ring_heights

if TYPE_CHECKING:  # data modules import this
    from sslplug_lidar.data.cloud_set import CloudSet

PLACE_METRICS: Mapping[str, bool] = MappingProxyType({"recall@1": True, "recall@5": True})


@dataclass(frozen=True)
class Revisit:
    """A query and what may answer it: numbers of sweeps, and which of them are right (candidates,) bool."""

    query: int
    candidates: np.ndarray
    right: np.ndarray


def place_tasks(
    clouds: CloudSet, cases: np.ndarray, protocol: str, radius: float = 5.0, apart: float = 40.0, reach: float = 50.0
) -> dict[str, MeasuredTask]:
    """The place task of a data set; {} where no sweep of ``cases`` comes back to a place.

    radius  metres within which two sweeps show one place;  apart  metres of road that make a coming back
    reach   metres around the sensor that the hand-made descriptor looks at
    """
    if clouds.before is None or clouds.poses is None:
        return {}
    found = revisits(clouds.before, clouds.poses[:, :3, 3], cases, radius, apart)
    if not found:
        return {}

    def ring_height() -> Mapping[str, np.ndarray]:
        sweeps = (torch.from_numpy(part) for part in np.split(clouds.xyz, clouds.offsets[1:-1]))
        return recalls(found, alike(torch.stack([ring_heights(sweep, reach) for sweep in sweeps])).numpy())

    task = MeasuredTask(
        name="places",
        level="cloud",
        protocol=f"{protocol}; revisits within {radius:g} m after more than {apart:g} m of road",
        metrics=PLACE_METRICS,
        measure=lambda levels: recalls(found, cosines(levels["cloud"])),
        baselines={"ring_height": ring_height, "chance": lambda: recalls(found, None)},
    )
    return {"places": task}


def revisits(before: np.ndarray, position: np.ndarray, cases: np.ndarray, radius: float, apart: float) -> list[Revisit]:
    """The queries among ``cases`` of sweeps (n,) that follow ``before`` (-1: none) and were taken at ``position`` (n, 3)."""
    drive, road = drives(before, position)
    found = []
    for query in cases.tolist():
        behind = (drive == drive[query]) & (road < road[query] - apart) & np.isfinite(position).all(1)
        candidates = np.flatnonzero(behind)
        right = np.linalg.norm(position[candidates] - position[query], axis=1) < radius
        if right.any():
            found.append(Revisit(query, candidates, right))
    return found


def drives(before: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) first sweep of each sweep's drive, and (n,) metres of road from there."""
    here = np.arange(len(before))
    parent = np.where(before < 0, here, before)
    road = np.nan_to_num(np.linalg.norm(position - position[parent], axis=1))
    for _ in range(max(1, len(before)).bit_length()):  # every round doubles the sweeps that are looked back
        road = road + road[parent]  # the first sweep of a drive adds 0
        parent = parent[parent]
    return parent, road


def cosines(rows: np.ndarray) -> np.ndarray:
    """(n, n) cosine similarity of embeddings (n, d)."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    similarity: np.ndarray = unit @ unit.T
    return similarity


def recalls(found: list[Revisit], similarity: np.ndarray | None) -> dict[str, np.ndarray]:
    """Whether a right sweep is among the 1 and 5 most similar ones of each query; without similarity, how likely by chance."""
    return {f"recall@{k}": np.array([first(revisit, similarity, k) for revisit in found]) for k in (1, 5)}


def first(revisit: Revisit, similarity: np.ndarray | None, k: int) -> float:
    """1 if a right candidate is among the k most similar ones, else 0; the probability of it where nothing is known."""
    n, right = len(revisit.right), int(revisit.right.sum())
    if similarity is None:
        wrong = np.arange(min(k, n))
        return float(1 - np.prod(np.maximum(n - right - wrong, 0) / (n - wrong)))
    order = np.argsort(-similarity[revisit.query, revisit.candidates], kind="stable")[:k]
    return float(revisit.right[order].any())
