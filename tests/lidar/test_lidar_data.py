"""Packed clouds, preparation, batches and rows, tasks, and what the embedded sets promise."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sslplug.contracts import DataContext, LabelledRows, Order, Split, Target, Task
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.data import DATA
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, joined, pack
from sslplug_lidar.data.generated import StreetOptions, street
from sslplug_lidar.data.options import CloudOptions, SweepOptions
from sslplug_lidar.data.prepare import centred, cropped, filled, finite, thinned
from sslplug_lidar.spec import Sensor
from sslplug_lidar.tasks import in_order, in_order_within_class, point_task, shares_by_class, shares_by_group

SMALL_STREET = {"drives": 6, "sweeps": 3, "rings": 12, "azimuths": 90, "judged": 50}


def context(tmp_path: Path, **more) -> DataContext:
    return DataContext(None, tmp_path, 0, **more)


def build(name: str, tmp_path: Path, fitted=None, **options) -> CloudData:
    return DATA[name].build(DATA[name].options(**options), context(tmp_path, fitted=fitted))


def cloud_set(lengths: list[int], **more) -> CloudSet:
    draw = np.random.default_rng(0)
    offsets, xyz, features = pack([draw.normal(0, 3, (n, 4)) for n in lengths])
    return CloudSet("some", offsets, xyz, features, ("intensity",), **more)


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> CloudData:
    return build("objects", tmp_path_factory.mktemp("cache"), objects=120, rings=16, azimuths=256)


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> CloudData:
    return build("street", tmp_path_factory.mktemp("cache"), **SMALL_STREET)


def batch() -> Clouds:
    lengths = torch.tensor([3, 0, 4])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    number = torch.tensor([0, 1, 2, 0, 1, 2, 3])
    before = Clouds(
        torch.tensor([0, 2, 3, 3]),
        torch.arange(9.0).view(3, 3),
        torch.zeros(3, 0),
        torch.tensor([4, 5, -1]),
        torch.tensor([50, 60, 0]),
        torch.tensor([0, 1, 0]),
    )
    labels = Target("point", torch.tensor([7, 8, 9]), torch.tensor([1, 3, 6]))
    return Clouds(
        offsets,
        torch.arange(21.0).view(7, 3),
        torch.arange(7.0)[:, None],
        torch.tensor([5, 6, 7]),
        torch.tensor([100, 103, 103]),
        number,
        previous=before,
        pose=torch.eye(4, dtype=torch.float64).expand(3, 4, 4),
        flow=torch.ones(3, 3) * torch.arange(3.0)[:, None],
        labels=labels,
    )


def test_clouds_keep_ids_labels_and_predecessors_when_points_go() -> None:
    clouds = batch()
    assert clouds.point_ids().tolist() == [100, 101, 102, 103, 104, 105, 106]
    assert clouds.cloud_of().tolist() == [0, 0, 0, 2, 2, 2, 2]
    kept = clouds.keep(torch.tensor([0, 1, 1, 0, 0, 1, 1]).bool())
    assert kept.offsets.tolist() == [0, 2, 2, 4]
    assert kept.point_ids().tolist() == [101, 102, 105, 106]
    assert kept.labels is not None
    assert dict(zip(kept.labels.rows.tolist(), kept.labels.values.tolist())) == {0: 7, 3: 9}
    assert kept.previous is clouds.previous


def test_clouds_taken_in_another_order_bring_what_belongs_to_them() -> None:
    taken = batch().take(torch.tensor([2, 0]))
    assert taken.index.tolist() == [7, 5]
    assert taken.point_ids().tolist() == [103, 104, 105, 106, 100, 101, 102]
    assert taken.previous is not None
    assert taken.previous.offsets.tolist() == [0, 0, 2]
    assert taken.flow is not None
    assert taken.flow[:, 0].tolist() == [0.0, 1.0]
    assert taken.labels is not None
    assert dict(zip(taken.labels.rows.tolist(), taken.labels.values.tolist())) == {5: 7, 0: 8, 3: 9}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"offsets": torch.tensor([0, 7])}, "offsets"),
        ({"xyz": torch.zeros(7, 2)}, "xyz"),
        ({"features": torch.zeros(6, 1)}, "one row for each of 7"),
        ({"number": torch.zeros(7)}, "number"),
        ({"flow": torch.zeros(7, 3)}, "flow"),
        ({"pose": torch.zeros(2, 4, 4)}, "pose"),
    ],
)
def test_clouds_refuse_what_does_not_fit(change, told) -> None:
    with pytest.raises(DataError, match=told):
        replace(batch(), **change)


def test_sensors_have_rising_beams() -> None:
    with pytest.raises(DataError, match="do not rise"):
        Sensor(2, (0.1, 0.0), 10)
    with pytest.raises(DataError, match="2 elevations for 3 rings"):
        Sensor(3, (0.0, 0.1), 10)


def test_points_with_nan_and_empty_clouds_are_left_out_and_said() -> None:
    clouds = cloud_set(
        [3, 0, 4, 2], before=np.array([-1, 0, 1, 2]), splits=(Split(np.array([0, 1]), np.array([2]), np.array([3])),)
    )
    clouds.xyz[4, 1], clouds.features[1, 0] = np.nan, np.inf
    told = finite(clouds)
    assert told.lengths.tolist() == [2, 0, 3, 2]
    assert "2 points hold NaN or infinity and are left out, the first in cloud 0, point 1" in told.notes[-1]
    left = filled(told)
    assert left.lengths.tolist() == [2, 3, 2]
    assert left.before is not None
    assert left.before.tolist() == [-1, -1, 1], "whose predecessor is gone has none"
    assert [part.tolist() for part in (left.splits[0].train, left.splits[0].val, left.splits[0].test)] == [[0], [1], [2]]
    assert "1 clouds hold no point and are left out: cloud 1" in left.notes[-1]


def test_a_set_without_any_usable_point_is_refused() -> None:
    clouds = cloud_set([2, 1])
    clouds.xyz[:] = np.nan
    with pytest.raises(DataError, match="no cloud holds a usable point"):
        filled(finite(clouds))


def test_single_places_are_kept_and_said() -> None:
    offsets, xyz, features = pack([np.ones((5, 3)), np.zeros((1, 3)), np.eye(3)])
    told = filled(CloudSet("some", offsets, xyz, features))
    assert len(told.lengths) == 3
    assert told.notes == ("2 clouds are a single place (one point, or all points alike); they are kept",)


def test_thinning_keeps_one_point_a_voxel_and_at_most_so_many() -> None:
    clouds = cloud_set([400, 30, 900])
    coarse = thinned(clouds, 1.5, 0, Rng.root(0))
    for start, stop, a, b in zip(clouds.offsets, clouds.offsets[1:], coarse.offsets, coarse.offsets[1:]):
        cells = {tuple(cell) for cell in np.floor(clouds.xyz[start:stop] / 1.5).astype(int).tolist()}
        kept = [tuple(cell) for cell in np.floor(coarse.xyz[a:b] / 1.5).astype(int).tolist()]
        assert len(kept) == len(set(kept)) == len(cells)
    few = thinned(clouds, 0.0, 100, Rng.root(0))
    assert few.lengths.tolist() == [100, 30, 100]
    again, other = thinned(clouds, 0.0, 100, Rng.root(0)), thinned(clouds, 0.0, 100, Rng.root(1))
    np.testing.assert_array_equal(few.xyz, again.xyz)
    assert not np.array_equal(few.xyz, other.xyz)


def test_cropping_is_by_distance_on_the_ground() -> None:
    clouds = cloud_set([500])
    away = np.hypot(clouds.xyz[:, 0], clouds.xyz[:, 1])
    kept = cropped(clouds, 1.0, 4.0)
    assert len(kept.xyz) == ((away >= 1) & (away <= 4)).sum()
    assert cropped(clouds, 0, 0) is clouds


def test_centring_takes_the_centroid_away_and_can_scale() -> None:
    clouds = cloud_set([50, 1, 70])
    unit = centred(clouds, unit_sphere=True)
    for start, stop in zip(unit.offsets, unit.offsets[1:]):
        np.testing.assert_allclose(unit.xyz[start:stop].mean(0), 0, atol=1e-6)
        far = np.linalg.norm(unit.xyz[start:stop], axis=1).max()
        assert far == pytest.approx(1.0 if stop - start > 1 else 0.0, abs=1e-6)
    with pytest.raises(DataError, match="cannot be centred"):
        centred(cloud_set([2, 2], before=np.array([-1, 0])))


def test_sets_refuse_labels_and_predecessors_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="3 cloud labels for 2"):
        cloud_set([2, 2], labels=np.zeros(3, np.int64), classes=("a",))
    with pytest.raises(DataError, match="labels reach 4"):
        cloud_set([2, 2], labels=np.array([0, 4]), classes=("a",))
    with pytest.raises(DataError, match="predecessor is sweep 9"):
        cloud_set([2, 2], before=np.array([-1, 9]))


def test_batches_hold_training_clouds_once_an_epoch(objects: CloudData) -> None:
    order = Order(seed=1, epoch=0, batch_size=16)
    seen = torch.cat([b.index for b in objects.batches(order)])
    assert len(seen) == len(set(seen.tolist())) == len(objects.training) // 16 * 16
    assert set(seen.tolist()) <= set(objects.training.tolist())
    test = objects.tasks["object"].splits[0].test
    assert not set(objects.training) & set(test)
    again = torch.cat([b.index for b in objects.batches(Order(seed=1, epoch=1, batch_size=16))])
    assert not torch.equal(seen, again)


def test_two_ranks_share_each_batch(objects: CloudData) -> None:
    whole = objects.batches(Order(0, 0, batch_size=10))
    shares = [objects.batches(Order(0, 0, rank, 2, 10)) for rank in range(2)]
    for step in range(len(whole)):
        both = torch.cat([share[step].index for share in shares])
        assert torch.equal(both, whole[step].index)
    with pytest.raises(UsageError, match="use fewer ranks"):
        objects.batches(Order(0, 0, 0, 8, 4))


def test_points_of_a_batch_are_those_of_their_clouds(objects: CloudData) -> None:
    made = objects.batches(Order(0, 0, batch_size=8))[0]
    assert torch.equal(made.xyz, torch.from_numpy(objects.clouds.xyz)[made.point_ids()])
    mean = objects.clouds.features[objects.clouds.rows(objects.training)[0]].mean()
    std = objects.clouds.features[objects.clouds.rows(objects.training)[0]].std()
    expected = (objects.clouds.features[made.point_ids().numpy()] - mean) / std
    np.testing.assert_allclose(made.features.numpy(), expected, atol=1e-4)


def test_rows_hold_every_point_once_in_order(streets: CloudData) -> None:
    ids = torch.cat([view.ids["point"] for view in streets.rows()])
    assert torch.equal(ids, torch.arange(len(streets.clouds.xyz)))
    clouds = torch.cat([view.ids["cloud"] for view in streets.rows()])
    assert torch.equal(clouds, torch.arange(len(streets.clouds.lengths)))


def test_predecessors_flow_and_pose_agree(streets: CloudData) -> None:
    made = streets.gather(np.array([1, 3, 2]))
    assert made.previous is not None
    assert made.previous.index.tolist() == [0, -1, 1]
    assert made.previous.lengths[1] == 0
    assert made.pose is not None
    assert made.flow is not None
    assert torch.isnan(made.pose[1]).all()
    owner = made.previous.cloud_of()
    pose = made.pose[owner]
    moved = (pose[:, :3, :3] @ made.previous.xyz.double()[:, :, None])[:, :, 0] + pose[:, :3, 3]
    ego = (moved - made.previous.xyz.double()).float()
    label = torch.from_numpy(streets.clouds.point_labels)[made.previous.point_ids()]
    still = label <= 2  # road, pavement, wall
    torch.testing.assert_close(made.flow[still], ego[still], atol=1e-4, rtol=0)
    assert ((made.flow - ego)[~still].norm(dim=1) > 0.1).any(), "something moves by itself"


def test_pairs_can_be_left_out(tmp_path: Path) -> None:
    data = build("street", tmp_path, pairs=False, **SMALL_STREET)
    made = data.batches(Order(0, 0, batch_size=4))[0]
    assert made.previous is None
    assert made.pose is None
    with_pairs = build("street", tmp_path, **SMALL_STREET)
    assert set(with_pairs.training) == {c for c in data.training if data.clouds.before[c] >= 0}


def test_test_drives_are_never_trained_on(streets: CloudData) -> None:
    task, clouds = streets.tasks["point"], streets.clouds
    assert clouds.groups is not None
    test = set(clouds.groups[clouds.owner[task.members[task.splits[0].test, 0]]])
    assert test
    assert not test & set(clouds.groups[streets.training])
    for split in task.splits:
        assert len(split.train)
        assert len(split.val)


def test_point_tasks_judge_so_many_labelled_points_a_sweep() -> None:
    draw = np.random.default_rng(1)
    labels = draw.integers(-1, 3, 900)
    clouds = cloud_set([300, 400, 200], point_labels=labels, point_classes=("a", "b", "c"))
    task = point_task(clouds, [Split(np.array([0]), np.array([1]), np.array([2]))], 50, "given", Rng.root(0))
    sweep = clouds.owner[task.members[:, 0]]
    assert np.bincount(sweep).tolist() == [50, 50, 50]
    np.testing.assert_array_equal(task.labels, labels[task.members[:, 0]])
    assert set(sweep[task.splits[0].test]) == {2}


def test_labels_come_only_where_asked_and_only_of_allowed_rows(streets: CloudData, objects: CloudData) -> None:
    assert objects.batches(Order(0, 0, batch_size=8))[0].labels is None
    task = objects.tasks["object"]
    allowed = task.splits[0].train[::3]
    made = objects.batches(Order(0, 0, batch_size=48, labels=LabelledRows(task, allowed)))[0]
    assert made.labels is not None
    rows = made.index[made.labels.rows].numpy()
    assert set(rows) == set(made.index.tolist()) & set(allowed)
    np.testing.assert_array_equal(made.labels.values.numpy(), task.labels[rows])
    points = streets.tasks["point"]
    made = streets.batches(Order(0, 0, batch_size=4, labels=LabelledRows(points, points.splits[0].train)))[0]
    assert made.labels is not None
    assert made.labels.level == "point"
    assert len(made.labels.rows)
    ids = made.point_ids()[made.labels.rows].numpy()
    np.testing.assert_array_equal(made.labels.values.numpy(), streets.clouds.point_labels[ids])
    assert set(ids) <= set(points.members[points.splits[0].train, 0])


def test_a_label_task_of_another_level_is_refused(objects: CloudData) -> None:
    task = objects.tasks["object"]
    other = Task("x", "classification", "voxel", task.labels, task.splits, "given")
    with pytest.raises(UsageError, match="clouds or points alone"):
        objects.batches(Order(0, 0, batch_size=8, labels=LabelledRows(other, np.array([0]))))[0]


def test_what_was_fitted_encodes_new_data_the_same(objects: CloudData, tmp_path: Path) -> None:
    kept = json.loads(json.dumps(objects.fitted))
    again = build("objects", tmp_path, fitted=kept, objects=120, rings=16, azimuths=256)
    assert again.spec == objects.spec
    assert again.fitted == kept
    torch.testing.assert_close(again.gather(np.array([3])).features, objects.gather(np.array([3])).features, rtol=0, atol=0)
    with pytest.raises(DataError, match="was trained on intensity, ring"):
        build("objects", tmp_path, fitted={**kept, "channels": ["intensity", "ring"]}, objects=80, rings=16, azimuths=128)


def test_small_clouds_are_judged_and_not_trained_on(tmp_path: Path) -> None:
    data = build("objects", tmp_path, objects=120, rings=16, azimuths=256, shortest=20)
    short = np.flatnonzero(data.clouds.lengths < 20)
    assert len(short) > 5
    assert not set(short) & set(data.training)
    assert len(data.tasks["object"].labels) == len(data.clouds.lengths)
    assert any("fewer than 20 points" in note for note in data.description["notes"])


def test_embedded_sets_say_that_they_are_generated(objects: CloudData, streets: CloudData) -> None:
    for data in (objects, streets):
        assert "generated: no real scan" in data.description["notes"]
        assert "(simulated)" in data.description["name"]
        json.dumps(data.description)
    assert objects.spec.channels == ("intensity",)
    assert streets.spec.sensor is not None
    assert streets.spec.sensor.rings == 12


def test_streets_are_functions_of_the_seed() -> None:
    options = StreetOptions(**SMALL_STREET)
    one, again, other = (street(options, Rng.root(seed)) for seed in (1, 1, 2))
    assert one.sha256 == again.sha256 != other.sha256


def test_splits_by_group_keep_groups_whole() -> None:
    groups = np.repeat(np.arange(10), [5, 3, 8, 2, 9, 4, 4, 6, 7, 2])
    split = shares_by_group(groups, 0.2, 0.3, Rng.root(0))
    parts = [set(groups[rows]) for rows in (split.train, split.val, split.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert sum(map(len, parts)) == 10
    assert len(split.test) / len(groups) == pytest.approx(0.3, abs=0.2)
    with pytest.raises(DataError, match="cannot be split"):
        shares_by_group(np.array([0, 0, 1]), 0.3, 0.5, Rng.root(0))


def test_splits_by_class_hold_the_shares_in_each() -> None:
    labels = np.repeat([0, 1, -1], [50, 20, 7])
    split = shares_by_class(labels, 0.2, 0.3, Rng.root(0))
    assert np.bincount(labels[split.test]).tolist() == [15, 6]
    assert np.bincount(labels[split.val]).tolist() == [10, 4]
    assert (labels[split.train] >= 0).all()
    with pytest.raises(DataError, match="nothing to split"):
        shares_by_class(np.array([-1, -1]), 0.2, 0.3, Rng.root(0))


def test_sweeps_of_one_drive_are_cut_in_time() -> None:
    split = in_order(10, 0.2, 0.3)
    assert [part.tolist() for part in (split.train, split.val, split.test)] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]
    with pytest.raises(DataError, match="2 sweeps cannot be split"):
        in_order(2, 0.5, 0.5)


def test_splits_in_order_cut_each_class_in_time() -> None:
    labels = np.array([0, 1] * 10)
    split = in_order_within_class(labels, 0.6, 0.1)
    for value in (0, 1):
        rows = np.flatnonzero(labels == value)
        assert split.train[labels[split.train] == value].tolist() == rows[:6].tolist()
        assert split.val[labels[split.val] == value].tolist() == rows[6:7].tolist()
        assert split.test[labels[split.test] == value].tolist() == rows[7:].tolist()


def test_options_name_what_they_mean() -> None:
    for component in DATA.values():
        for name, field in component.options.model_fields.items():
            assert field.description, f"{component.options.__name__}.{name}"
    assert issubclass(SweepOptions, CloudOptions)


def test_joined_sets_know_what_either_knew() -> None:
    one = CloudSet(
        "one", np.array([0, 1, 3]), np.zeros((3, 3), np.float32), np.ones((3, 1), np.float32), ("intensity",),
        point_labels=np.array([0, 1, -1]), point_classes=("car", "tree"), before=np.array([-1, 0]), groups=np.array([4, 4]),
        flow=np.zeros((3, 3), np.float32), splits=(Split(np.array([0]), np.array([1]), np.array([1])),), notes=("a",),
    )  # fmt: skip
    two = CloudSet(
        "two", np.array([0, 2, 3]), np.ones((3, 3), np.float32), np.zeros((3, 1), np.float32), ("intensity",),
        before=np.array([-1, 0]), poses=np.stack([np.eye(4)] * 2), notes=("b",),
    )  # fmt: skip
    both = joined(one, two)
    assert (both.name, both.notes, both.splits, both.labels) == ("one", ("a", "b"), (), None)
    assert both.offsets.tolist() == [0, 1, 3, 5, 6]
    assert both.xyz[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert both.point_labels is not None
    assert both.point_labels.tolist() == [0, 1, -1, -1, -1, -1]
    assert both.before is not None
    assert both.before.tolist() == [-1, 0, -1, 2]
    assert both.groups is not None
    assert both.groups.tolist() == [4, 4, 5, 6]
    assert both.flow is not None
    assert np.isnan(both.flow).any(1).tolist() == [False] * 3 + [True] * 3
    assert np.isnan(both.motion(1)).all()
    assert np.array_equal(both.motion(3), np.eye(4))
    with pytest.raises(DataError, match=r"one has the channels intensity, two has \(none\)"):
        joined(one, replace(two, channels=(), features=two.features[:, :0]))
    with pytest.raises(DataError, match="classes of points car, tree, two has pole"):
        joined(one, replace(two, point_classes=("pole",)))
