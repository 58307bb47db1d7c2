"""Sets that are too large to be here, in their published formats: small files of the same form, read and split as published."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sslplug.contracts import DataContext, Order
from sslplug.errors import DataError, UsageError
from sslplug_lidar.data import DATA
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.semantic_kitti import CLASSES, IGNORED
from sslplug_lidar.data.sydney import RECORD

DRAW = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Every test draws from the start, whatever ran before it."""
    DRAW.bit_generator.state = np.random.default_rng(0).bit_generator.state


def build(name: str, root: Path, **options) -> CloudData:
    return DATA[name].build(DATA[name].options(**options), DataContext(root, root / "cache", 0))


# --- SemanticKITTI ---


def semantic_kitti(root: Path) -> Path:
    folder = root / "lidar/semantic_kitti"
    for name in ("00", "07", "08"):
        drive = folder / "sequences" / name
        for part in ("velodyne", "labels"):
            (drive / part).mkdir(parents=True)
        for number in range(3):
            points = DRAW.normal(0, 9, (200, 4)).astype("<f4")
            labels = DRAW.choice([10, 252, 40, 50, 70, 0], 200) | DRAW.integers(0, 9, 200) << 16
            (drive / "velodyne" / f"{number:06}.bin").write_bytes(points.tobytes())
            (drive / "labels" / f"{number:06}.label").write_bytes(labels.astype("<u4").tobytes())
        (drive / "poses.txt").write_text("".join(f"1 0 0 0 0 1 0 0 0 0 1 {k}\n" for k in range(3)))
        (drive / "calib.txt").write_text("Tr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n")
    return folder


SOME_DRIVES = {"train": ("00",), "val": ("07",), "test": ("08",), "judged": 40}


def test_semantic_kitti_is_split_by_drive_and_its_classes_are_merged(tmp_path: Path) -> None:
    semantic_kitti(tmp_path)
    data = build("semantic_kitti", tmp_path, **SOME_DRIVES)
    task, clouds = data.tasks["point"], data.clouds
    assert len(task.classes) == 19
    assert task.kind == "segmentation"
    assert clouds.groups is not None
    drive = clouds.groups[clouds.owner[task.members[:, 0]]]
    split = task.splits[0]
    assert [set(drive[rows]) for rows in (split.train, split.val, split.test)] == [{0}, {1}, {2}]
    assert set(np.unique(task.labels)) == {0, 8, 12, 14}, (
        "car and moving car are one class; unlabelled points are not judged"
    )
    assert set(data.training) == {1, 2, 4, 5}, "the test drive is not trained on, first sweeps have no predecessor"
    np.testing.assert_allclose(clouds.motion(1)[:3, 3], [-1, 0, 0], atol=1e-9)
    thin = build("semantic_kitti", tmp_path, **SOME_DRIVES, points=50, every=2)
    assert thin.clouds.lengths.tolist() == [50] * 6
    assert thin.clouds.before is not None
    assert thin.clouds.before.tolist() == [-1, 0, -1, 2, -1, 4]
    np.testing.assert_allclose(thin.clouds.motion(1)[:3, 3], [-2, 0, 0], atol=1e-9)


def test_semantic_kitti_numbers_are_the_published_ones() -> None:
    numbers = [n for members in CLASSES.values() for n in members]
    assert len(CLASSES) == 19
    assert len(numbers) == len(set(numbers)) == 30
    assert not set(numbers) & set(IGNORED)


def test_semantic_kitti_refuses_what_is_missing_or_unknown(tmp_path: Path) -> None:
    folder = semantic_kitti(tmp_path)
    with pytest.raises(DataError, match=r"sequences/01/velodyne: no \.bin file"):
        build("semantic_kitti", tmp_path, train=("01",), val=(), test=("08",))
    path = folder / "sequences/00/labels/000001.label"
    words = np.frombuffer(path.read_bytes(), "<u4").copy()
    words[7] = 77
    path.write_bytes(words.tobytes())
    with pytest.raises(DataError, match=r"000001\.bin, point 7: label 77 is no class"):
        build("semantic_kitti", tmp_path, **SOME_DRIVES)
    (folder / "sequences/00/poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(DataError, match="The pose of sweep 1 is missing"):
        build("semantic_kitti", tmp_path, **SOME_DRIVES)


# --- nuScenes ---


def nuscenes(root: Path, scenes: tuple[str, ...]) -> Path:
    folder = root / "lidar/nuscenes"
    version = folder / "v1.0-mini"
    version.mkdir(parents=True)
    for part in ("samples/LIDAR_TOP", "lidarseg"):
        (folder / part).mkdir(parents=True)
    names = ["noise", "vehicle.car", "human.pedestrian.adult", "flat.driveable_surface"]
    tables: dict[str, list] = {
        "category": [{"token": name, "name": name, "index": number} for number, name in enumerate(names)],
        "sensor": [{"token": "top", "channel": "LIDAR_TOP"}, {"token": "front", "channel": "CAM_FRONT"}],
        "calibrated_sensor": [
            {"token": "c-top", "sensor_token": "top", "rotation": [1, 0, 0, 0], "translation": [0, 0, 1.8]},
            {"token": "c-front", "sensor_token": "front", "rotation": [1, 0, 0, 0], "translation": [0, 0, 1.5]},
        ],
        "scene": [{"token": f"t-{name}", "name": name} for name in scenes],
        "sample": [],
        "sample_data": [],
        "ego_pose": [],
        "lidarseg": [],
    }
    for name in scenes:
        for number in range(2):
            key = f"{name}-{number}"
            points = np.column_stack([DRAW.normal(0, 9, (50, 3)), DRAW.integers(0, 256, 50), DRAW.integers(0, 32, 50)])
            (folder / f"samples/LIDAR_TOP/{key}.pcd.bin").write_bytes(points.astype("<f4").tobytes())
            (folder / f"lidarseg/{key}.bin").write_bytes(DRAW.integers(0, 4, 50).astype("u1").tobytes())
            tables["sample"].append({"token": f"s-{key}", "scene_token": f"t-{name}"})
            tables["ego_pose"].append({"token": f"e-{key}", "rotation": [1, 0, 0, 0], "translation": [0, 4.0 * number, 0]})
            row = {
                "sample_token": f"s-{key}",
                "ego_pose_token": f"e-{key}",
                "timestamp": number,
            }
            top = {"token": key, "calibrated_sensor_token": "c-top", "filename": f"samples/LIDAR_TOP/{key}.pcd.bin"}
            tables["sample_data"].append(row | top | {"is_key_frame": True})
            tables["sample_data"].append(row | top | {"token": f"{key}-between", "is_key_frame": False})
            tables["sample_data"].append(
                row | {"token": f"{key}-f", "calibrated_sensor_token": "c-front", "filename": "x", "is_key_frame": True}
            )
            tables["lidarseg"].append({"sample_data_token": key, "filename": f"lidarseg/{key}.bin"})
    for name, rows in tables.items():
        (version / f"{name}.json").write_text(json.dumps(rows))
    return folder


def test_nuscenes_key_frames_by_scene(tmp_path: Path) -> None:
    folder = nuscenes(tmp_path, ("scene-0061", "scene-0103", "scene-0553", "scene-0916"))
    data = build("nuscenes", tmp_path, judged=20, val_share=0.5)
    clouds, task = data.clouds, data.tasks["point"]
    assert len(clouds.lengths) == 8
    assert clouds.before is not None
    assert clouds.before.tolist() == [-1, 0, -1, 2, -1, 4, -1, 6]
    assert [clouds.titles[c].split("/")[-1][:10] for c in clouds.splits[0].test] == ["scene-0103"] * 2 + ["scene-0916"] * 2
    assert [clouds.titles[c].split("/")[-1][:10] for c in clouds.splits[0].val] == ["scene-0553"] * 2
    names = {task.classes[label] for label in np.unique(task.labels)}
    assert names == {"car", "pedestrian", "driveable surface"}, "noise is not judged"
    # The city's y is the sensor's forward axis here: four metres forward from one frame to the next.
    np.testing.assert_allclose(clouds.motion(1)[:3, 3], [-4, 0, 0], atol=1e-9)
    raw = np.frombuffer((folder / "samples/LIDAR_TOP/scene-0061-0.pcd.bin").read_bytes(), "<f4").reshape(-1, 5)
    np.testing.assert_allclose(clouds.xyz[:50], np.stack([raw[:, 1], -raw[:, 0], raw[:, 2]], 1), rtol=1e-6)
    np.testing.assert_allclose(clouds.features[:50, 0], raw[:, 3] / 255, rtol=1e-6)


def test_nuscenes_refuses_unknown_scenes_and_damaged_tables(tmp_path: Path) -> None:
    folder = nuscenes(tmp_path, ("scene-0061", "scene-0103", "scene-0916"))
    with pytest.raises(UsageError, match="scene-9999 are not in"):
        build("nuscenes", tmp_path, test_scenes=("scene-9999",))
    (folder / "lidarseg/scene-0061-0.bin").write_bytes(bytes([9] * 50))
    with pytest.raises(DataError, match=r"point 0: category 9; category\.json numbers 0\.\.3"):
        build("nuscenes", tmp_path)
    (folder / "v1.0-mini/ego_pose.json").write_text("[]")
    with pytest.raises(DataError, match=r"ego_pose\.json has no row"):
        build("nuscenes", tmp_path)
    (folder / "v1.0-mini/ego_pose.json").write_text("[")
    with pytest.raises(DataError, match="no JSON"):
        build("nuscenes", tmp_path)


# --- ModelNet40 and ScanObjectNN ---


def test_modelnet_keeps_its_first_points_and_its_test_files(tmp_path: Path) -> None:
    folder = tmp_path / "lidar/modelnet40_ply_hdf5_2048"
    folder.mkdir(parents=True)
    data = {
        name: DRAW.normal(size=(count, 64, 3)).astype(np.float32)
        for name, count in (("train0", 40), ("train1", 40), ("test0", 20))
    }
    for name, points in data.items():
        np.savez(folder / f"ply_data_{name}.npz", data=points, label=np.arange(len(points))[:, None] % 4)
    found = build("modelnet40", tmp_path, first=16, val_share=0.25)
    split = found.clouds.splits[0]
    assert [len(part) for part in (split.train, split.val, split.test)] == [60, 20, 20]
    assert split.test.tolist() == list(range(80, 100))
    assert found.clouds.lengths.tolist() == [16] * 100
    assert set(found.training) == set(split.train) | set(split.val)
    upright = data["train0"][5, :16][:, [2, 0, 1]]
    upright = upright - upright.mean(0)
    np.testing.assert_allclose(found.clouds.xyz[80:96], upright / np.linalg.norm(upright, axis=1).max(), atol=1e-6)


def test_scanobjectnn_has_three_variants(tmp_path: Path) -> None:
    for place, end in (("main_split", ""), ("main_split_nobg", ""), ("main_split", "_augmentedrot_scale75")):
        folder = tmp_path / "lidar/scanobjectnn/h5_files" / place
        folder.mkdir(parents=True, exist_ok=True)
        for part, count in (("training", 30), ("test", 15)):
            np.savez(
                folder / f"{part}_objectdataset{end}.npz", data=DRAW.normal(size=(count, 8, 3)), label=np.arange(count) % 15
            )
    digests = {build("scanobjectnn", tmp_path, variant=v).description["sha256"] for v in ("OBJ-BG", "OBJ-ONLY", "PB-T50-RS")}
    assert len(digests) == 3


def test_shape_arrays_refuse_bad_labels_and_say_what_h5_needs(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "lidar/modelnet40_ply_hdf5_2048"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match="0 training and 0 test files"):
        build("modelnet40", tmp_path)
    for part in ("train", "test"):
        np.savez(folder / f"ply_data_{part}0.npz", data=np.zeros((3, 8, 3)), label=np.array([0, 1, 41]))
    with pytest.raises(DataError, match=r"shape 2: label 41; expected 0\.\.39"):
        build("modelnet40", tmp_path)
    np.savez(folder / "ply_data_train0.npz", data=np.zeros((3, 8, 3)))
    with pytest.raises(DataError, match="has data of data and label"):
        build("modelnet40", tmp_path)
    (folder / "ply_data_train0.h5").write_bytes(b"x")
    (folder / "ply_data_test0.h5").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match="pip install h5py"):
        build("modelnet40", tmp_path)


# --- Sydney Urban Objects ---


def sydney(root: Path) -> Path:
    folder = root / "lidar/sydney"
    for part in ("objects", "folds"):
        (folder / part).mkdir(parents=True)
    for fold in range(4):
        names = [f"{kind}.{fold}.{number}" for kind in ("car", "tree", "4wd") for number in range(4)]
        (folder / "folds" / f"fold{fold}.txt").write_text("\n".join(f"{name}.csv" for name in names) + "\n")
        for name in names:
            rows = np.zeros(11, RECORD)
            for field in ("x", "y", "z"):
                rows[field] = DRAW.normal(0, 1, 11)
            rows["intensity"] = 51
            (folder / "objects" / f"{name}.bin").write_bytes(rows.tobytes())
    return folder


def test_sydney_records_have_34_bytes_and_each_object_one_fold(tmp_path: Path) -> None:
    assert RECORD.itemsize == 34
    sydney(tmp_path)
    seen: list[str] = []
    for fold in range(4):
        data = build("sydney", tmp_path, fold=fold)
        split = data.clouds.splits[0]
        assert [len(part) for part in (split.train, split.val, split.test)] == [24, 12, 12]
        assert not set(split.test) & set(data.training)
        seen += [data.clouds.titles[row] for row in split.test]
    assert len(seen) == len(set(seen)) == 48
    assert len(data.tasks["object"].classes) == 14
    np.testing.assert_allclose(data.clouds.features, 0.2)


def test_sydney_refuses_unknown_classes_and_objects_in_two_folds(tmp_path: Path) -> None:
    folder = sydney(tmp_path)
    first = folder / "folds/fold0.txt"
    good = first.read_text()
    first.write_text(good + "tank.1.1.csv\n")
    with pytest.raises(DataError, match=r"fold0\.txt, line 13: class 'tank'"):
        build("sydney", tmp_path)
    first.write_text(good + "car.1.0.csv\n")
    with pytest.raises(DataError, match=r"fold1\.txt, line 1: car\.1\.0 is in two folds"):
        build("sydney", tmp_path)
    first.write_text(good)
    short = folder / "objects/car.0.0.bin"
    short.write_bytes(short.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"car\.0\.0\.bin, row 11: found 373 bytes"):
        build("sydney", tmp_path)


# --- KITTI scene flow ---


def test_scene_flow_in_both_preparations(tmp_path: Path) -> None:
    occluded, matched = tmp_path / "lidar/kitti_scene_flow", tmp_path / "matched"
    occluded.mkdir(parents=True)
    first, second = DRAW.normal(size=(40, 3)), DRAW.normal(size=(50, 3))
    flow = DRAW.normal(size=(40, 3))
    np.savez(occluded / "000000.npz", pos1=first, pos2=second, gt=flow)
    (matched / "000000").mkdir(parents=True)
    np.save(matched / "000000/pc1.npy", first)
    np.save(matched / "000000/pc2.npy", first + flow)
    for options in ({}, {"folder": matched, "style": "matched"}):
        data = build("kitti_scene_flow", tmp_path, **options)
        made = data.batches(Order(0, 0, batch_size=4))[0]
        assert made.index.tolist() == [1]
        assert made.previous is not None
        assert made.flow is not None
        np.testing.assert_allclose(made.previous.xyz.numpy(), first[:, [2, 0, 1]], rtol=1e-6)
        np.testing.assert_allclose(made.flow.numpy(), flow[:, [2, 0, 1]], atol=1e-6)
        assert np.isnan(made.pose.numpy()).all()
    high = build("kitti_scene_flow", tmp_path, ground=0.0)
    assert (high.clouds.xyz[:, 2] >= 0).all()
    assert high.clouds.lengths.tolist() == [(first[:, 1] >= 0).sum(), (second[:, 1] >= 0).sum()]


def test_scene_flow_refuses_what_does_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "lidar/kitti_scene_flow"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=r"no \*\.npz"):
        build("kitti_scene_flow", tmp_path)
    np.savez(folder / "0.npz", pos1=np.zeros((4, 3)), pos2=np.zeros((5, 3)), gt=np.zeros((5, 3)))
    with pytest.raises(DataError, match="5 flow vectors for 4 points"):
        build("kitti_scene_flow", tmp_path)
    np.savez(folder / "0.npz", pos1=np.zeros((4, 3)), pos2=np.zeros((5, 3)))
    with pytest.raises(DataError, match="has pos1, pos2 of"):
        build("kitti_scene_flow", tmp_path)
    np.savez(folder / "0.npz", pos1=np.zeros((4, 2)), pos2=np.zeros((5, 3)), gt=np.zeros((4, 3)))
    with pytest.raises(DataError, match=r"\(4, 2\); expected \(points, 3\)"):
        build("kitti_scene_flow", tmp_path)
    for name, count in (("pc1", 4), ("pc2", 5)):
        (tmp_path / "m/0").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "m/0" / f"{name}.npy", np.zeros((count, 3)))
    with pytest.raises(DataError, match="pc1 has 4, pc2 5 points"):
        build("kitti_scene_flow", tmp_path, folder=tmp_path / "m", style="matched")
