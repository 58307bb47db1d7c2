"""The named sets as their description promises. Needs the data root (SSLPLUG_DATA)."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sslplug.contracts import DataContext
from sslplug.errors import DataError
from sslplug_lidar.data import DATA
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.radhar import read_recordings

ROOT = os.environ.get("SSLPLUG_DATA")
pytestmark = pytest.mark.skipif(not ROOT, reason="SSLPLUG_DATA names no data root, so the published sets are not there")


def build(name: str, tmp_path: Path, root: Path | None = None, **options) -> CloudData:
    assert ROOT is not None
    return DATA[name].build(DATA[name].options(**options), DataContext(root or Path(ROOT), tmp_path / "cache", 0))


def test_lsood4_is_metric_upright_and_split_in_order(tmp_path: Path) -> None:
    data = build("lsood4", tmp_path)
    clouds, task = data.clouds, data.tasks["object"]
    assert np.bincount(task.labels).tolist() == [210, 84, 99, 257]
    tall = np.maximum.reduceat(clouds.xyz[:, 2], clouds.offsets[:-1])
    assert 1.4 < np.median(tall[task.labels == task.classes.index("pedestrian")]) < 1.9
    assert 1.2 < np.median(tall[task.labels == task.classes.index("car")]) < 1.8
    split = task.splits[0]
    for value in range(4):
        train, val, test = (rows[task.labels[rows] == value] for rows in (split.train, split.val, split.test))
        assert train.max() < val.min() <= val.max() < test.min()
        assert len(test) / (task.labels == value).sum() == pytest.approx(0.3, abs=0.01)
    number = [int("".join(filter(str.isdigit, title.split("/")[1]))) for title in clouds.titles]
    assert all((np.diff(np.array(number)[task.labels == value]) > 0).all() for value in range(4))


def test_radhar_windows_are_those_of_the_published_folders() -> None:
    assert ROOT is not None
    found = read_recordings(Path(ROOT) / "lidar/radhar/radhar_points.npz")
    assert len(found.frames) == 10_220
    assert found.is_test.sum() == 3_022
    assert (found.frames[:, 1] - found.frames[:, 0] == 60).all()
    same = found.recording[1:] == found.recording[:-1]
    assert (np.diff(found.frames[:, 0])[same] == 10).all()
    assert len(np.unique(found.recording)) <= 186
    assert found.damaged > 0
    assert np.abs(found.velocity).max() < 20


def test_kitti_sweeps_have_the_expected_points_and_motion(tmp_path: Path) -> None:
    data = build("kitti_sweeps", tmp_path, drives=("odometry",), voxel=0.3)
    whole = build("kitti_sweeps", tmp_path, drives=("odometry",)).clouds
    assert whole.lengths[0] == 124_668
    motion = data.clouds.motion(1)
    assert np.linalg.norm(motion[:3, 3]) == pytest.approx(0.86, abs=0.02), "metres that the given poses say"
    first, second = (data.clouds.xyz[data.clouds.offsets[k] : data.clouds.offsets[k + 1]] for k in (0, 1))
    high = first[:, 2] > -1.2
    tree = cKDTree(second)
    moved = tree.query(first[high] @ motion[:3, :3].T + motion[:3, 3])[0]
    assert np.median(moved) < 0.85 * np.median(tree.query(first[high])[0])


def test_the_scan_pair_fits_after_its_motion(tmp_path: Path) -> None:
    clouds = build("scan_pair", tmp_path, voxel=0.3).clouds
    source, target = (clouds.xyz[clouds.offsets[k] : clouds.offsets[k + 1]] for k in (0, 1))
    motion, tree = clouds.motion(1), cKDTree(target)
    high = source[:, 2] > 0.5
    moved = tree.query(source[high] @ motion[:3, :3].T + motion[:3, 3])[0]
    assert np.median(moved) < 0.6 * np.median(tree.query(source[high])[0])


def test_kitti_objects_are_trained_on_unlabelled_segments_alone(tmp_path: Path) -> None:
    data = build("kitti_objects", tmp_path)
    clouds, task = data.clouds, data.tasks["object"]
    assert clouds.labels is not None
    assert (clouds.labels[data.training] == -1).all()
    assert len(data.training) > 500
    assert np.bincount(task.labels[task.labels >= 0]).min() >= 2
    assert len(task.splits) == 6
    vehicle = np.flatnonzero(task.labels == task.classes.index("vehicle"))
    tall = np.array([clouds.xyz[clouds.offsets[c] : clouds.offsets[c + 1], 2].max() for c in vehicle])
    assert 1.0 < np.median(tall) < 2.2


def test_streets_from_kitti_are_judged_as_streets_and_trained_on_real_sweeps_alone(tmp_path: Path) -> None:
    chosen = {"drives": 4, "sweeps": 3, "points": 1000}
    data, plain = build("street_from_kitti", tmp_path, **chosen), build("street", tmp_path, **chosen)
    assert data.training.tolist() == [13, 14, 15, 16, 17, 19, 20, 21, 22], "12 simulated sweeps, then 6 and 5 real ones"
    ours, theirs = data.tasks["point"], plain.tasks["point"]
    assert np.array_equal(ours.labels, theirs.labels)
    for part in ("train", "val", "test"):
        assert np.array_equal(getattr(ours.splits[0], part), getattr(theirs.splits[0], part))


def test_voxels_and_shapes(tmp_path: Path) -> None:
    voxels = build("modelnet10_voxels", tmp_path, points=64)
    assert np.bincount(voxels.clouds.labels).tolist() == [889, 465]
    shapes = build("geometric_shapes", tmp_path, samples=32, copies=2)
    assert len(shapes.tasks["object"].classes) == 40
    assert [len(part) for part in (shapes.clouds.splits[0].train, shapes.clouds.splits[0].test)] == [40, 80]
    assert np.linalg.norm(shapes.clouds.xyz, axis=1).max() == pytest.approx(1, abs=1e-5)


def test_another_file_than_the_published_one_is_refused(tmp_path: Path) -> None:
    assert ROOT is not None
    folder = tmp_path / "lidar/scan_pair"
    shutil.copytree(Path(ROOT) / "lidar/scan_pair", folder)
    with (folder / "T_target_source.txt").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match=r"T_target_source\.txt: its sha256 is"):
        build("scan_pair", tmp_path, root=tmp_path)
    with pytest.raises(DataError, match="not found in"):
        build("lsood4", tmp_path, root=tmp_path)
