"""Raw features: known shapes, independence of order and heading, and what a boosted tree makes of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from scipy.spatial import cKDTree

from sslplug.contracts import DataContext, Split, Task
from sslplug_lidar.data import DATA
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.eigenvalues import SHAPE, covariances, neighbourhoods, shape
from sslplug_lidar.point_features import _column, _lowest, point_features
from sslplug_lidar.raw_features import cloud_features, quantiles, raw_features
from sslplug_lidar.window_features import frame_series, window_features

DRAW = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Every test draws from the start, whatever ran before it."""
    DRAW.bit_generator.state = np.random.default_rng(0).bit_generator.state


def column(values: np.ndarray, name: str) -> np.ndarray:
    return values[:, SHAPE.index(name)]


def clouds_of(parts: list[np.ndarray]) -> CloudSet:
    offsets, xyz, features = pack(parts)
    channels = ("intensity",) if features.shape[1] else ()
    return CloudSet("some", offsets, xyz, features, channels)


def test_shape_of_lines_planes_and_balls() -> None:
    line = np.outer(DRAW.normal(size=400), [0, 0, 1.0])
    plane = DRAW.normal(size=(4000, 3)) * [1, 1, 0]
    ball = DRAW.normal(size=(20_000, 3))
    found = shape(np.stack([np.cov(x.T, bias=True) for x in (line, plane, ball)] + [np.zeros((3, 3))]))
    assert column(found, "linearity")[0] == pytest.approx(1)
    assert column(found, "slope")[0] == pytest.approx(1), "the line stands upright"
    assert column(found, "planarity")[1] > 0.8
    assert column(found, "verticality")[1] == pytest.approx(0, abs=1e-6), "the plane lies flat: its normal points up"
    assert column(found, "scattering")[2] > 0.9
    assert column(found, "curvature")[2] == pytest.approx(1 / 3, abs=0.02)
    assert column(found, "eigenentropy")[2] == pytest.approx(np.log(3), abs=0.01)
    assert column(found, "size")[2] == pytest.approx(np.sqrt(3), rel=0.02)
    assert (found[3] == 0).all(), "all points alike have no shape"


def test_covariances_equal_a_loop_over_neighbours() -> None:
    parts = [DRAW.normal(size=(n, 3)).astype(np.float32) for n in (30, 1, 4)]
    offsets, xyz, _ = pack(parts)
    rows, real = neighbourhoods(xyz, offsets, xyz, offsets, 6, radius=1.2)
    mean, covariance = covariances(xyz, rows, real)
    for cloud, part in enumerate(parts):
        tree = cKDTree(part)
        for number in range(len(part)):
            _, near = tree.query(part[number], k=6, distance_upper_bound=1.2)
            near = near[near < len(part)]
            row = offsets[cloud] + number
            np.testing.assert_allclose(mean[row], part[near].mean(0), atol=1e-5)
            np.testing.assert_allclose(covariance[row], np.cov(part[near].astype(float).T, bias=True), atol=1e-5)


def test_quantiles_are_samples_at_their_rank() -> None:
    offsets = np.array([0, 11, 12])
    values = np.concatenate([DRAW.permutation(11), [5.0]])
    found = quantiles(values, np.repeat([0, 1], [11, 1]), offsets)
    assert found[0].tolist() == [1, 2, 5, 8, 9]
    assert found[1].tolist() == [5] * 5


def test_cloud_features_know_no_order_heading_or_place() -> None:
    cloud = np.column_stack([DRAW.normal(size=(200, 3)) * [2, 0.5, 1], DRAW.random(200)])
    angle = 0.8
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = cloud.copy()
    turned[:, :3] = cloud[:, :3] @ turn.T + [5, -3, 0]
    few = 100  # all of whose neighbourhoods are looked at
    found = cloud_features(clouds_of([cloud[:few], turned[:few][::-1]]))
    np.testing.assert_allclose(found[0], found[1], atol=2e-2, rtol=2e-2)
    assert np.isfinite(found).all()


def test_cloud_features_of_one_point_and_of_one_place_are_finite() -> None:
    found = cloud_features(clouds_of([np.zeros((1, 3)), np.ones((7, 3)), DRAW.normal(size=(50, 3))]))
    assert np.isfinite(found).all()
    assert found[0, 0] == 1
    assert found[1, 0] == 7


def test_heights_over_ground_and_columns() -> None:
    ground = np.column_stack([DRAW.uniform(-3.9, 3.9, (400, 2)), np.full(400, -1.8)])
    post = np.column_stack([np.full((20, 2), 1.0), np.linspace(-1.5, 1.5, 20)])
    clouds = clouds_of([np.vstack([ground, post])])
    rows = np.arange(400, 420)
    np.testing.assert_allclose(clouds.xyz[rows, 2] - _lowest(clouds, 8.0)[rows], post[:, 2] + 1.8, atol=1e-5)
    count, below_top, above_bottom = _column(clouds, rows)
    assert (count >= 20).all()
    np.testing.assert_allclose(below_top, 1.5 - post[:, 2], atol=1e-5)
    assert (above_bottom >= post[:, 2] + 1.5 - 1e-5).all()


def test_point_features_do_not_depend_on_which_other_points_are_asked() -> None:
    clouds = clouds_of([np.column_stack([DRAW.normal(0, 3, (300, 3)), DRAW.random(300)]) for _ in range(3)])
    every = point_features(clouds, np.arange(900))
    some = np.array([5, 299, 300, 650])
    np.testing.assert_allclose(point_features(clouds, some), every[some], atol=1e-5)
    assert np.isfinite(every).all()


def test_rows_that_are_not_judged_are_missing() -> None:
    clouds = clouds_of([DRAW.normal(0, 3, (60, 3))])
    labels = np.arange(6) % 2
    split = Split(np.arange(3), np.empty(0, np.int64), np.arange(3, 6))
    task = Task("point", "segmentation", "point", labels, [split], "given", members=np.arange(0, 60, 10)[:, None])
    found = raw_features(clouds, task).values
    assert found.shape[0] == 60
    assert np.isnan(found).all(1).sum() == 54
    assert np.isfinite(found[::10]).all()
    other = raw_features(clouds, replace(task, labels=1 - labels)).values
    np.testing.assert_array_equal(found, other)


def test_trees_tell_simulated_things_apart_by_raw_features(tmp_path: Path) -> None:
    options = DATA["objects"].options(objects=400, rings=16, azimuths=360, reach=25)
    data = DATA["objects"].build(options, DataContext(None, tmp_path, 0))
    task = data.tasks["object"]
    x, split = data.raw_features(task).values, task.splits[0]
    trees = LGBMClassifier(
        n_estimators=40, num_leaves=8, min_child_samples=3, colsample_bytree=0.3, num_threads=1, verbose=-1
    )
    trees.fit(x[split.train], task.labels[split.train])
    right = (trees.predict(x[split.val]) == task.labels[split.val]).mean()
    share = np.bincount(task.labels[split.val]).max() / len(split.val)
    assert share + 0.3 < right < 1.0, "far above the largest class, not saturated"


def test_frame_series_equal_a_loop() -> None:
    ptr = np.array([0, 3, 3, 7])
    xyz, velocity, intensity = DRAW.normal(size=(7, 3)), DRAW.normal(size=7), DRAW.random(7)
    found = frame_series(xyz, velocity, intensity, ptr)
    for frame in range(3):
        rows = slice(ptr[frame], ptr[frame + 1])
        expected = [ptr[frame + 1] - ptr[frame]]
        for values in (*xyz.T, velocity, np.abs(velocity), intensity):
            part = values[rows]
            expected += [part.mean(), part.std(), part.min(), part.max()] if len(part) else [0, 0, 0, 0]
        np.testing.assert_allclose(found[frame], expected, atol=1e-12)


def test_windows_see_the_rhythm_of_their_own_frames_alone() -> None:
    t = np.arange(200)
    ptr = np.arange(0, 2001, 10)
    speed = np.repeat(np.where(t < 100, np.sin(2 * np.pi * t / 10), np.sin(2 * np.pi * t / 30)), 10)
    xyz = np.tile(DRAW.normal(size=(10, 3)), (200, 1))
    frames = np.array([[0, 60], [120, 180], [30, 90]])
    found = window_features(xyz, speed, np.ones(2000), ptr, frames)
    assert np.isfinite(found).all()
    series = frame_series(xyz, speed, np.ones(2000), ptr)
    line = 9 * series.shape[1] + 1 + 4 * 3  # strongest line of the mean velocity's spectrum, counted from 0
    assert found[0, line] == 5, "six periods in a window"
    assert found[1, line] == 1, "two periods"
    alone = window_features(xyz[:600], speed[:600], np.ones(600), ptr[:61], frames[:1])
    np.testing.assert_allclose(alone[0], found[0], rtol=1e-5, atol=1e-6)
