"""Places: which revisits are asked, the hand-made descriptor, the task, drives that come back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sslplug.contracts import DataContext
from sslplug.randomness import Rng
from sslplug_lidar.geometry import rotation_z
from sslplug_lidar.places.loop import LoopOptions, build, path
from sslplug_lidar.places.ring_height import alike, ring_heights
from sslplug_lidar.places.tasks import cosines, drives, place_tasks, recalls, revisits
from sslplug_lidar.simulator.route import RIGHT, route


def square(laps: int = 2, step: float = 10.0) -> np.ndarray:
    """Positions along a square of 40 m, ``laps`` times."""
    along = np.arange(0, laps * 160, step) % 160
    side, rest = np.divmod(along, 40)
    corner = np.array([[0, 0], [40, 0], [40, 40], [0, 40]], float)[side.astype(int)]
    ahead = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], float)[side.astype(int)]
    return np.column_stack([corner + ahead * rest[:, None], np.zeros(len(along))])


def test_drives_and_roads_follow_predecessors() -> None:
    position = np.array([[0, 0, 0], [3, 4, 0], [3, 10, 0], [100, 0, 0], [101, 0, 0]], float)
    drive, road = drives(np.array([-1, 0, 1, -1, 3]), position)
    assert drive.tolist() == [0, 0, 0, 3, 3]
    assert road.tolist() == [0, 5, 11, 0, 1]


def test_revisits_are_earlier_sweeps_far_back_on_the_road() -> None:
    position = square()
    found = revisits(np.arange(32) - 1, position, np.arange(32), radius=5.0, apart=40.0)
    assert [r.query for r in found] == list(range(16, 32))
    for revisit in found:
        assert revisit.candidates.max() < revisit.query - 4
        assert revisit.candidates[revisit.right].tolist() == [revisit.query - 16]
    strangers = np.arange(32) - 1
    strangers[16] = -1  # another drive
    assert revisits(strangers, position, np.arange(32), 5.0, 40.0) == []


def test_recalls_by_similarity_and_by_chance() -> None:
    found = revisits(np.arange(32) - 1, square(), np.arange(32), 5.0, 40.0)
    same = np.tile(np.eye(16, dtype=np.float32), (2, 1))
    assert recalls(found, cosines(same))["recall@1"].tolist() == [1.0] * 16
    assert recalls(found, -cosines(same))["recall@5"].tolist() == [0.0] * 16
    chance = recalls(found, None)
    assert chance["recall@1"] == pytest.approx([1 / len(r.candidates) for r in found])
    assert chance["recall@5"] == pytest.approx([5 / len(r.candidates) for r in found])


def test_ring_heights_know_a_place_when_turned() -> None:
    rng = Rng.root(0)
    places = [
        torch.rand(400, 3, generator=rng.fork(n).torch()) * torch.tensor([40.0, 40, 6]) - torch.tensor([20.0, 20, 2])
        for n in range(4)
    ]
    sixty = rotation_z(torch.tensor(math.radians(60.0)))
    tables = torch.stack([ring_heights(p, 20.0) for p in [*places, *(p @ sixty.T for p in places)]])
    similar = alike(tables)
    assert torch.allclose(similar.diagonal(), torch.ones(8), atol=1e-5)
    assert similar[:4, 4:].argmax(1).tolist() == [0, 1, 2, 3]
    assert float(similar[:4, 4:].diagonal().min()) > 0.9
    one = ring_heights(torch.tensor([[5.0, 0.1, 1.0], [5.0, 0.1, 2.0], [90.0, 0, 9]]), 20.0, rings=4, sectors=4)
    assert one.sum() == pytest.approx(5.0)  # the taller of two in a cell, above the floor at -3 m; the far one is left out
    assert one[1, 2] == pytest.approx(5.0)


def test_paths_come_back_one_way_and_the_other() -> None:
    same, other = path(0, 5.0, Rng.root(1)), path(1, 5.0, Rng.root(1))
    lap = len(np.arange(0, route((0, 0), 0, [RIGHT] * 4).length, 5.0))
    for poses, lane in ((same, 0.0), (other, 4.0)):
        first, second = poses[:lap], poses[lap:]
        near = np.linalg.norm(first[None, :, :2] - second[:, None, :2], axis=2)
        assert near.min(1).max() < lane + 4.0
        assert near.min(1).min() >= lane - 2.6
        heading = np.cos(second[:, 2] - first[near.argmin(1), 2])
        assert (np.median(heading) > 0.9) if not lane else (np.median(heading) < -0.9)


def test_loop_asks_for_held_out_revisits_and_raw_scans_answer_some() -> None:
    options = LoopOptions(drives=2, spacing=9.0, rings=8, azimuths=90, reach=30.0)
    data = build(options, DataContext(None, Path("unused"), 3))
    task = data.tasks["places"]
    assert task.drawn
    groups = data.clouds.groups
    assert groups is not None
    assert set(groups[data.training].tolist()) == {0}
    chance, peer = task.baselines["chance"](), task.baselines["ring_height"]()
    assert peer["recall@1"].shape == chance["recall@1"].shape
    assert peer["recall@5"].mean() > chance["recall@5"].mean()
    perfect = np.concatenate([np.cos(data.clouds.poses[:, :2, 3] / 9), np.sin(data.clouds.poses[:, :2, 3] / 9)], 1)
    assert task.measure({"cloud": perfect})["recall@1"].mean() > 0.9
    assert place_tasks(data.clouds, np.arange(3), "no revisit") == {}
