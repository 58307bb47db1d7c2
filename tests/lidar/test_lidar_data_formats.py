"""Readers: what is written is read back, and everything damaged is refused with the file and the place."""

import gzip
import lzma
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from sslplug.contracts import DataContext
from sslplug.errors import DataError, UsageError
from sslplug_lidar.data import DATA
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.formats import read_points
from sslplug_lidar.data.formats.kitti import Box, inside, read_boxes, read_calibration, read_labels, read_poses
from sslplug_lidar.data.formats.off import parse_off, sampled
from sslplug_lidar.data.formats.packed import table
from sslplug_lidar.data.formats.ply import TYPES, read_ply

POINTS = np.random.default_rng(0).normal(0, 5, (30, 4)).astype(np.float32)


def files(tmp_path: Path, fitted=None, **options) -> CloudData:
    return DATA["files"].build(DATA["files"].options(**options), DataContext(None, tmp_path / "cache", 0, fitted=fitted))


def memory(clouds, fitted=None, **options) -> CloudData:
    return DATA["memory"].build(
        DATA["memory"].options(**options), DataContext(None, Path("."), 0, memory=clouds, fitted=fitted)
    )


def write_sweep(path: Path, points: np.ndarray = POINTS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(points.astype("<f4").tobytes())
    return path


def write_ply(path: Path, style: str, points: np.ndarray = POINTS, header: str = "") -> Path:
    head = header or (
        f"ply\nformat {style} 1.0\ncomment written by a test\nelement vertex {len(points)}\nproperty float x\nproperty float y\n"
        "property double z\nproperty uchar ring\nelement face 0\nproperty list uchar int vertex_indices\nend_header\n"
    )
    order = ">" if "big" in style else "<"
    if style == "ascii":
        body = "\n".join(f"{x} {y} {z} {int(i) % 200}" for x, y, z, i in points).encode() + b"\n"
    else:
        body = b"".join(struct.pack(order + "ffdB", x, y, z, int(i) % 200) for x, y, z, i in points)
    path.write_bytes(head.encode() + body)
    return path


@pytest.mark.parametrize("pack", [None, "xz", "gz"])
def test_kitti_sweeps_are_read_packed_or_not(tmp_path: Path, pack) -> None:
    path = tmp_path / ("a.bin" + (f".{pack}" if pack else ""))
    content = POINTS.tobytes()
    path.write_bytes({None: content, "xz": lzma.compress(content), "gz": gzip.compress(content)}[pack])
    points, channels = read_points(path)
    np.testing.assert_array_equal(points, POINTS)
    assert channels == ("intensity",)


def test_nuscenes_sweeps_have_five_columns(tmp_path: Path) -> None:
    points = np.column_stack([POINTS, np.arange(30)]).astype(np.float32)
    (tmp_path / "a.pcd.bin").write_bytes(points.tobytes())
    found, channels = read_points(tmp_path / "a.pcd.bin")
    np.testing.assert_array_equal(found, points)
    assert channels == ("intensity", "ring")


@pytest.mark.parametrize("style", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_in_every_form(tmp_path: Path, style: str) -> None:
    points, channels = read_ply(write_ply(tmp_path / "a.ply", style))
    np.testing.assert_allclose(points[:, :3], POINTS[:, :3], rtol=1e-6)
    assert channels == ("ring",)
    assert points[:, 3].tolist() == [int(i) % 200 for i in POINTS[:, 3]]
    assert {np.dtype(kind).itemsize for kind in TYPES.values()} == {1, 2, 4, 8}


def test_ply_properties_may_come_in_any_order(tmp_path: Path) -> None:
    head = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float i\nproperty float z\nproperty float x\nproperty float y\nend_header\n"
    (tmp_path / "a.ply").write_text(head + "9 3 1 2\n")
    points, channels = read_ply(tmp_path / "a.ply")
    assert points.tolist() == [[1, 2, 3, 9]]
    assert channels == ("i",)


def test_text_and_npy_clouds(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.xyz", POINTS)
    np.savetxt(tmp_path / "b.csv", POINTS, delimiter=",")
    np.save(tmp_path / "c.npy", POINTS)
    for name in ("a.xyz", "b.csv", "c.npy"):
        points, channels = read_points(tmp_path / name)
        np.testing.assert_allclose(points, POINTS, rtol=1e-6)
        assert channels == ("intensity",)


def test_off_meshes_are_sampled_evenly(tmp_path: Path) -> None:
    # A long thin rectangle of two faces of unlike size, with ModelNet's joined header and a face of four corners.
    corners, triangles = parse_off(
        "box", "OFF6 2 0\n0 0 0\n1 0 0\n1 9 0\n0 9 0\n0 0 5\n1 0 5\n4 0 1 2 3\n3 0 1 5 # a comment\n"
    )
    assert len(triangles) == 3
    points = sampled(corners, triangles, 20_000, np.random.default_rng(0))
    flat = points[:, 2] == 0
    assert flat.mean() == pytest.approx(9 / 11.5, abs=0.01), "by area: 9 in the rectangle, 2.5 in the triangle"
    assert points[flat, 1].mean() == pytest.approx(4.5, abs=0.05)
    (tmp_path / "m.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    assert read_points(tmp_path / "m.off")[0].shape == (1024, 3)


def test_las_goes_through_laspy_and_says_where_it_is_missing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.laz"
    path.write_bytes(b"LASF")
    monkeypatch.setitem(sys.modules, "laspy", None)
    with pytest.raises(UsageError, match=r"pip install laspy\[lazrs\]"):
        read_points(path)
    far = np.array([500_000.0, 500_010.0])
    content = types.SimpleNamespace(
        x=far, y=far + 5, z=np.array([1.0, 3.0]), intensity=np.array([0, 65535]), return_number=np.array([1, 2])
    )
    monkeypatch.setitem(sys.modules, "laspy", types.SimpleNamespace(read=lambda given: content))
    points, channels = read_points(path)
    np.testing.assert_allclose(points, [[-5, -5, -1, 0, 1], [5, 5, 1, 1, 2]])
    assert channels == ("intensity", "return_number")

    def broken(given):
        raise RuntimeError("bad magic")

    monkeypatch.setitem(sys.modules, "laspy", types.SimpleNamespace(read=broken))
    with pytest.raises(DataError, match="laspy cannot read .bad magic"):
        read_points(path)


def test_labels_are_the_lower_half_of_each_word(tmp_path: Path) -> None:
    words = np.array([10, 252 | 7 << 16, 40], "<u4")
    (tmp_path / "a.label").write_bytes(words.tobytes())
    assert read_labels(tmp_path / "a.label", 3).tolist() == [10, 252, 40]


def test_camera_poses_become_the_sensors(tmp_path: Path) -> None:
    # Camera: x right, y down, z forward. One metre forward for the camera is one metre along x for the sensor.
    (tmp_path / "calib.txt").write_text("P0: 1 2 3\nTr: 0 -1 0 0 0 0 -1 0 1 0 0 -0.3\n")
    (tmp_path / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1 1\n")
    to_camera = read_calibration(tmp_path / "calib.txt", "Tr")
    poses = read_poses(tmp_path / "poses.txt", to_camera, 2)
    np.testing.assert_allclose(poses[1][:3, 3], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(poses[1][:3, :3], np.eye(3), atol=1e-12)
    own = read_poses(tmp_path / "poses.txt", None, 2)
    np.testing.assert_allclose(own[1][:3, 3], [0, 0, 1])


def test_boxes_hold_the_points_within_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        "Car 0.00 0 1.8 1 2 3 4 1.5 1.8 4.0 2.0 1.7 10.0 1.5707963\nDontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\n"
    )
    (box,) = read_boxes(tmp_path / "a.txt")
    assert box.label == "Car"
    to_camera = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    # Turned by 90 degrees about the camera's y the car's length lies along the camera's z, the sensor's x.
    sweep = np.array(
        [[11.9, -2.0, -1.0], [12.3, -2.0, -1.0], [10, -2.8, -1.0], [10, -3.2, -1.0], [10, -2, -0.05], [10, -2, -1.75]]
    )
    assert inside(box, sweep, to_camera).tolist() == [True, False, True, False, False, True]
    assert inside(Box("Car", box.bottom, box.size, 0.0), sweep, to_camera).tolist() == [
        False,
        False,
        True,
        True,
        False,
        True,
    ]


# --- what is damaged ---


def test_a_sweep_that_is_cut_off_is_refused_with_the_row(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(POINTS.tobytes()[:-5])
    with pytest.raises(DataError, match=r"a\.bin, row 30: found 475 bytes.*cut off in this row"):
        read_points(path)


def test_damaged_packing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin.xz").write_bytes(lzma.compress(POINTS.tobytes())[:-20])
    (tmp_path / "b.bin.gz").write_bytes(gzip.compress(POINTS.tobytes())[:-20])
    for name in ("a.bin.xz", "b.bin.gz"):
        with pytest.raises(DataError, match="damaged or cut off"):
            read_points(tmp_path / name)


def test_labels_of_another_sweep_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.label").write_bytes(np.zeros(4, "<u4").tobytes())
    with pytest.raises(DataError, match="4 labels for 5 points"):
        read_labels(tmp_path / "a.label", 5)


def test_a_missing_pose_is_refused_with_its_sweep(tmp_path: Path) -> None:
    (tmp_path / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n" * 2)
    with pytest.raises(DataError, match="2 poses for 3 sweeps.*The pose of sweep 2 is missing"):
        read_poses(tmp_path / "poses.txt", None, 3)


@pytest.mark.parametrize(
    ("line", "told"), [("1 0 0 0\n", "row 2: found 4 numbers; expected 12"), ("a " * 12, "row 2: found could not convert")]
)
def test_bad_lines_of_text_are_refused_with_their_number(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n" + line)
    with pytest.raises(DataError, match=told):
        table(tmp_path / "poses.txt", 12, "a matrix")


def test_a_calibration_without_the_matrix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calib.txt").write_text("P0: 1 0 0 0\n")
    with pytest.raises(DataError, match="no line Tr:"):
        read_calibration(tmp_path / "calib.txt", "Tr")
    with pytest.raises(DataError, match="P0 has 4 numbers"):
        read_calibration(tmp_path / "calib.txt", "P0")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("solid stl\n", "no PLY header"),
        ("ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nend_header\n", "at least x, y, z"),
        ("ply\nformat ascii 1.0\nelement vertex many\nend_header\n", "line 3 'many' vertices"),
        (
            "ply\nformat zip 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n",
            "format 'zip'",
        ),
        ("ply\nformat ascii 1.0\nelement face 1\nend_header\n", "first element 'face'"),
        ("ply\nformat ascii 1.0\nelement vertex 1\nproperty list uchar int x\nend_header\n", "expected a scalar property"),
    ],
)
def test_bad_ply_headers_are_refused(tmp_path: Path, header: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_ply(write_ply(tmp_path / "a.ply", "ascii", header=header))


def test_ply_that_is_cut_off_is_refused_with_the_vertex(tmp_path: Path) -> None:
    path = write_ply(tmp_path / "a.ply", "binary_little_endian")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="row 29: found the end of the file after 28 vertices; expected 30"):
        read_ply(path)
    path = write_ply(tmp_path / "b.ply", "ascii", POINTS[:5])
    text = path.read_text().splitlines()
    path.write_text("\n".join(text[:-2]))
    with pytest.raises(DataError, match="row 4: found the end of the file after 3 vertices; expected 5"):
        read_ply(path)
    path.write_text("\n".join([*text[:-1], "1 2 3"]))
    with pytest.raises(DataError, match="row 5: found 3 numbers; expected 4"):
        read_ply(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("PLY\n", "does not begin with OFF"),
        ("OFF\n3 1 0\n0 0 0\n1 0\n", "a bad header, or the end among the corners"),
        ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1\n", "row 1, column 'face'"),
        ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "expected 3 of 0..2"),
        ("OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n", "no face"),
    ],
)
def test_bad_meshes_are_refused(text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        parse_off("mesh", text)


def test_arrays_of_a_wrong_form_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 2)))
    with pytest.raises(DataError, match=r"\(5, 2\); expected \(points, 3 or more columns\)"):
        read_points(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array(["x", "y"]))
    with pytest.raises(DataError, match="expected numbers"):
        read_points(tmp_path / "b.npy")
    (tmp_path / "c.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="no readable .npy"):
        read_points(tmp_path / "c.npy")
    (tmp_path / "d.obj").write_text("v 0 0 0")
    with pytest.raises(UsageError, match="expected one of"):
        read_points(tmp_path / "d.obj")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_points(tmp_path / "none.bin")
    with pytest.raises(DataError, match="not there"):
        files(tmp_path, path=tmp_path / "none")


# --- own files ---


def test_folders_of_classes_become_labelled_objects(tmp_path: Path) -> None:
    for kind, count in (("cone", 10), ("ball", 12)):
        for number in range(count):
            write_sweep(tmp_path / "mine" / kind / f"{number:02}.bin", POINTS[: 5 + number])
    (tmp_path / "mine" / "cone" / "notes.md").write_text("left out")
    data = files(tmp_path, path=tmp_path / "mine")
    task = data.tasks["object"]
    assert task.classes == ("ball", "cone")
    assert np.bincount(task.labels).tolist() == [12, 10]
    assert data.clouds.lengths[:3].tolist() == [5, 6, 7]
    np.testing.assert_allclose(data.clouds.xyz[:5].mean(0), 0, atol=1e-5)
    (tmp_path / "mine" / "empty").mkdir()
    with pytest.raises(DataError, match="empty: found no point file"):
        files(tmp_path, path=tmp_path / "mine")


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", POINTS)
    np.save(tmp_path / "b.npy", POINTS[:, :3])
    with pytest.raises(
        DataError, match=r"b\.npy: found columns x, y, z, \(no more\); expected those of a\.npy: x, y, z, intensity"
    ):
        files(tmp_path, path=tmp_path, layout="sweeps")


def test_folders_of_sweeps_take_labels_and_poses(tmp_path: Path) -> None:
    for number in range(6):
        write_sweep(tmp_path / "sweeps" / f"{number:06}.bin", POINTS + number)
        np.save(
            (tmp_path / "labels").mkdir(exist_ok=True) or tmp_path / "labels" / f"{number:06}.npy",
            np.arange(30) % 3 * 10 - 10,
        )
    (tmp_path / "poses.txt").write_text("".join(f"1 0 0 {k} 0 1 0 0 0 0 1 0\n" for k in range(6)))
    data = files(tmp_path, path=tmp_path / "sweeps", labels=tmp_path / "labels", poses=tmp_path / "poses.txt", judged=8)
    assert data.clouds.point_classes == ("class 0", "class 10")
    assert np.bincount(data.clouds.point_labels + 1).tolist() == [60, 60, 60]
    np.testing.assert_allclose(data.clouds.motion(3)[:3, 3], [-1, 0, 0])
    task = data.tasks["point"]
    assert task.kind == "segmentation"
    sweep = data.clouds.owner[task.members[:, 0]]
    split = task.splits[0]
    assert [set(sweep[rows]) for rows in (split.train, split.val, split.test)] == [{0, 1, 2, 3}, {4}, {5}]
    made = data.gather(np.array([2]))
    assert made.previous is not None
    (tmp_path / "labels" / "000004.npy").unlink()
    with pytest.raises(DataError, match=r"no 000004\.label or 000004\.npy for 000004\.bin"):
        files(tmp_path, path=tmp_path / "sweeps", labels=tmp_path / "labels")
    strangers = files(tmp_path, path=tmp_path / "sweeps", consecutive=False)
    assert strangers.clouds.before is None
    assert strangers.tasks == {}


def test_own_arrays_of_equal_and_of_any_length(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    label = np.array(["a", "b"] * 10)
    np.savez(tmp_path / "equal.npz", data=draw.normal(size=(20, 16, 3)), label=label)
    data = files(tmp_path, path=tmp_path / "equal.npz", unit_sphere=True)
    assert data.tasks["object"].classes == ("a", "b")
    assert np.linalg.norm(data.clouds.xyz, axis=1).max() == pytest.approx(1, abs=1e-5)
    offsets = np.cumsum([0, *range(1, 21)])
    np.savez(tmp_path / "ragged.npz", points=draw.normal(size=(210, 4)), offsets=offsets)
    ragged = files(tmp_path, path=tmp_path / "ragged.npz")
    assert ragged.clouds.lengths.tolist() == list(range(1, 21))
    assert any("1 clouds are a single place" in note for note in ragged.description["notes"])
    again = files(tmp_path, fitted=data.fitted, path=tmp_path / "equal.npz", unit_sphere=True)
    assert again.tasks == {}


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"data": np.zeros((4, 3))}, "expected data"),
        ({"points": np.zeros((4, 3)), "offsets": np.array([0, 5])}, "offsets that do not cut 4 points"),
        ({"data": np.zeros((4, 8, 2))}, "row 1: found an array"),
        ({"data": np.ones((4, 8, 3)), "label": np.zeros(3)}, "3 labels for 4 clouds"),
    ],
)
def test_bad_archives_are_refused(tmp_path: Path, arrays, told) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=told):
        files(tmp_path, path=tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"no \.npz archive"):
        files(tmp_path, path=tmp_path / "a.npz")


def test_clouds_in_memory() -> None:
    draw = np.random.default_rng(0)
    clouds = [draw.normal(size=(5 + k, 4)) for k in range(20)]
    data = memory({"clouds": clouds, "labels": np.arange(20) % 2})
    assert data.clouds.lengths.tolist() == [5 + k for k in range(20)]
    assert data.tasks["object"].classes == ("0", "1")
    assert len(memory(draw.normal(size=(6, 9, 3))).clouds.lengths) == 6
    clouds[3] = np.full((2, 4), np.nan)
    with pytest.raises(DataError, match="cloud 3 holds no usable point"):
        memory(clouds)
    with pytest.raises(DataError, match="row 2: found 3 columns; expected 4, as cloud 1 has"):
        memory([np.zeros((5, 4)), np.zeros((5, 3))])
    with pytest.raises(UsageError, match="nothing in memory"):
        memory(None)
    with pytest.raises(DataError, match="expected clouds and maybe labels"):
        memory({"points": clouds})
