"""Registration: ICP, descriptors, agreement among matches, and the tasks; on generated rooms and on real sweeps."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sslplug.contracts import DataContext
from sslplug.randomness import Rng
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.flow.pairs import Selection
from sslplug_lidar.geometry import apply, compose, kabsch
from sslplug_lidar.registration.descriptors import histograms
from sslplug_lidar.registration.icp import Icp, icp, nearest_in, rotation, tangent_normals
from sslplug_lidar.registration.matching import Consensus, agreed_motion, motion_error, mutual_matches
from sslplug_lidar.registration.tasks import registration_tasks


def motion(degrees: float = 4.0, shift: tuple[float, float, float] = (0.5, -0.3, 0.1)) -> Tensor:
    axis = torch.tensor([0.2, -0.1, 1.0], dtype=torch.float64)
    turn = axis / axis.norm() * math.radians(degrees)
    return compose(rotation(turn), torch.tensor(shift, dtype=torch.float64))


def room(points: int, seed: int) -> Tensor:
    """A floor, two walls and a box, so that every direction is fixed."""
    rng = Rng.root(seed).numpy()
    u, v = rng.random((2, points)) * [[10.0], [4.0]]
    z = np.zeros(points)
    kind = rng.integers(0, 4, points)
    xyz = np.select(
        [kind[:, None] == 0, kind[:, None] == 1, kind[:, None] == 2],
        [np.stack([u, rng.random(points) * 10, z], 1), np.stack([u, z, v], 1), np.stack([z, u, v], 1)],
        np.stack([4 + u / 10, 6 + z, v / 2], 1),
    )
    return torch.from_numpy(xyz)


def test_rotation_and_error_in_degrees() -> None:
    turn = rotation(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    assert torch.allclose(turn, torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64), atol=1e-12)
    for degrees in (1e-6, 3.0, 90.0, 180.0):
        angle, metres = motion_error(motion(degrees, (3.0, 4.0, 0.0)), torch.eye(4, dtype=torch.float64))
        assert angle == pytest.approx(degrees, rel=1e-6)
        assert metres == pytest.approx(5.0)


def test_kabsch_is_exact_and_weights_leave_outliers_out() -> None:
    points = room(40, 0)
    target = apply(motion(), points)
    assert torch.allclose(kabsch(points, target), motion(), atol=1e-10)
    target[:5] += 3.0
    weights = torch.ones(40, dtype=torch.float64)
    weights[:5] = 0
    assert torch.allclose(kabsch(points, target, weights), motion(), atol=1e-10)


@pytest.mark.parametrize("error", ["point", "plane"])
def test_icp_recovers_a_known_motion(error: str) -> None:
    points = room(1500, 1)
    true = motion(2.0, (0.15, -0.1, 0.05))
    order = torch.randperm(1500, generator=Rng.root(2).torch())
    found = icp(points[:600], apply(true, points)[order], how=Icp(error=error))  # type: ignore[arg-type]
    degrees, metres = motion_error(found, true)
    assert degrees < 0.05
    assert metres < 0.01
    other = icp(points[:600], apply(true, room(3000, 9)), how=Icp(error=error))  # type: ignore[arg-type]
    assert motion_error(other, true)[1] < 0.1  # other points of the same surfaces


def test_icp_starts_where_it_is_told() -> None:
    points = room(800, 3)
    true = motion(150.0, (4.0, 2.0, 0.0))
    target = apply(true, points)
    assert motion_error(icp(points, target), true)[1] > 0.5
    start = motion(148.0, (3.9, 2.1, 0.0))
    assert motion_error(icp(points, target, start), true)[1] < 0.01


def test_tangent_normals_of_planes() -> None:
    rng = Rng.root(4).numpy()
    floor = torch.from_numpy(np.stack([*rng.random((2, 200)) * 5, np.zeros(200)], 1))
    assert torch.allclose(tangent_normals(floor, 8)[:, 2].abs(), torch.ones(200, dtype=torch.float64))


def test_histograms_are_counts_and_do_not_change_with_a_turn_about_the_sensor() -> None:
    points = room(400, 5) + torch.tensor([2.0, 2.0, -1.0])
    found = histograms(points, neighbours=12)
    thirds = found.view(400, 3, 11).sum(2)
    assert torch.allclose(thirds, torch.full_like(thirds, 2.0))
    turned = histograms(apply(motion(70.0, (0, 0, 0)), points), neighbours=12)
    assert float((turned - found).abs().sum(1).median()) < 0.05
    assert float((found[0] - found).abs().sum(1).median()) > 0.05


def test_mutual_matches_need_both_sides() -> None:
    source = torch.tensor([[1.0, 0], [0, 1], [0.9, 0.1]])
    target = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    assert mutual_matches(source, target).tolist() == [[0, 1], [1, 0]]


def test_agreement_finds_the_motion_under_many_outliers() -> None:
    rng = Rng.root(6)
    points = room(200, 6)
    target = apply(motion(25.0, (2.0, 1.0, 0.2)), points)
    target += 0.02 * torch.randn(200, 3, generator=rng.torch(), dtype=torch.float64)
    target[:140] = room(140, 7)  # seven of ten matches are wrong
    found = agreed_motion(points, target, Consensus(), rng)
    degrees, metres = motion_error(found, motion(25.0, (2.0, 1.0, 0.2)))
    assert degrees < 0.5
    assert metres < 0.05
    assert torch.equal(found, agreed_motion(points, target, Consensus(), rng))
    assert torch.equal(agreed_motion(points[:2], target[:2], Consensus(), rng), torch.eye(4, dtype=torch.float64))
    scattered = torch.rand(3, 3, generator=rng.torch(), dtype=torch.float64)
    assert torch.equal(agreed_motion(points[:3] * 50, scattered, Consensus(), rng), torch.eye(4, dtype=torch.float64))


def room_set() -> CloudSet:
    """Three sweeps of a room; the same points, so that names match them."""
    points = room(700, 8).numpy()
    poses = [np.eye(4), np.linalg.inv(motion().numpy()), np.linalg.inv((motion() @ motion()).numpy())]
    sweeps = [points @ np.linalg.inv(pose)[:3, :3].T + np.linalg.inv(pose)[:3, 3] for pose in poses]
    return CloudSet(
        "room",
        np.arange(4, dtype=np.int64) * 700,
        np.concatenate(sweeps).astype(np.float32),
        np.zeros((2100, 0), np.float32),
        before=np.array([-1, 0, 1]),
        poses=np.stack(poses),
    )


def test_tasks_tell_good_embeddings_from_coordinates() -> None:
    chosen = Selection(points=200, dense=700, reach=99.0, ground=True)
    tasks = registration_tasks(room_set(), np.arange(3), "all", chosen)
    assert set(tasks) == {"registration", "matches"}
    names = np.tile(np.eye(700, dtype=np.float32), (3, 1))
    found = tasks["registration"].measure({"point": names})
    assert found["translation"].max() < 1e-3
    assert found["rotation"].max() < 1e-2
    assert found["success"].tolist() == [1.0, 1.0]
    assert tasks["matches"].measure({"point": names})["inliers"].tolist() == [1.0, 1.0]
    still = tasks["registration"].baselines["still"]()
    assert still["translation"] == pytest.approx(
        [motion_error(motion(), torch.eye(4, dtype=torch.float64))[1]] * 2, abs=1e-3
    )
    assert still["rotation"] == pytest.approx([4.0, 4.0], abs=1e-2)
    fpfh = tasks["registration"].baselines["fpfh"]()
    assert fpfh["translation"].max() < 0.1
    random = Rng.root(9).numpy().normal(size=(2100, 4)).astype(np.float32)
    assert tasks["matches"].measure({"point": random})["inliers"].max() < 0.2
    assert (
        "icp poses" in registration_tasks(room_set(), np.arange(3), "all", chosen, reference="icp")["matches-icp"].protocol
    )


def test_real_scan_pair_is_registered_by_icp_and_by_descriptors() -> None:
    root = os.environ.get("SSLPLUG_DATA")
    if not root:
        pytest.skip("SSLPLUG_DATA is not set")
    from sslplug_lidar.plugin import PLUGIN

    component = PLUGIN.data["scan_pair"]
    data = component.build(component.options(points=6000), DataContext(Path(root), Path(root), 0))
    tasks = data.tasks
    assert {"registration", "matches", "flow"} <= set(tasks)
    still, found = tasks["registration"].baselines["still"](), tasks["registration"].baselines["icp"]()
    assert still["translation"][0] == pytest.approx(0.504, abs=0.01)
    assert found["translation"][0] < 0.05
    assert found["rotation"][0] < 0.3


def test_the_given_poses_of_the_kitti_sweeps_do_not_fit_them() -> None:
    """What the documentation says of them: ICP from either start agrees with itself, and lies nearer than the poses do."""
    root = os.environ.get("SSLPLUG_DATA")
    if not root:
        pytest.skip("SSLPLUG_DATA is not set")
    from sslplug_lidar.data.kitti_sweeps import sweeps
    from sslplug_lidar.flow.pairs import choose, points_of

    clouds = sweeps(["odometry"], DataContext(Path(root), Path(root), 0))
    assert clouds.poses is not None
    given = torch.from_numpy(np.linalg.inv(clouds.poses[5]) @ clouds.poses[0])
    parts = []
    for number, most in ((0, 1500), (5, 20000)):
        points = points_of(clouds, number)
        parts.append(points[choose(points, Selection(dense=most, reach=60.0, cell=0.1), Rng.root(number))])
    source, target = parts
    from_rest, from_given = icp(source, target), icp(source, target, given)
    degrees, metres = motion_error(from_rest, from_given)
    assert degrees < 0.1
    assert metres < 0.02
    away = [float(nearest_in(apply(m, source), target, 1)[1].sqrt().median()) for m in (given, from_rest)]
    assert away[1] < 0.5 * away[0]
    assert motion_error(from_rest, given)[1] > 0.6
    assert abs(float(from_rest[0, 3])) < 0.9 * abs(float(given[0, 3]))
