"""Every kind of fault in a user's own clouds: alone it is found with file, row, column and kind; beside others none is lost."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sslplug.contracts import DataContext, Fault
from sslplug.errors import SslplugError
from sslplug_lidar.data import DATA

Found = tuple[str, int | None, str | None, str]


def cloud(number: int, points: int = 40, width: int = 4) -> np.ndarray:
    """Points about an object four metres long, with intensities."""
    draw = np.random.default_rng(number)
    made = draw.normal(0, 1, (points, width)) * np.array([2.0, 1.0, 0.7, 0.0][:width])
    if width > 3:
        made[:, 3] = draw.uniform(0.01, 0.9, points)
    return made.astype(np.float32)


def objects(folder: Path, write: Callable[[Path, np.ndarray], None] | None = None) -> Path:
    """Two classes of five files each."""
    for kind in ("car", "tree"):
        (folder / "mine" / kind).mkdir(parents=True)
        for number in range(5):
            points = cloud(number + 10 * (kind == "tree"))
            path = folder / "mine" / kind / f"{number}.bin"
            (write or binary)(path, points)
    return folder / "mine"


def binary(path: Path, points: np.ndarray) -> None:
    path.write_bytes(points.astype("<f4").tobytes())


def sweeps(folder: Path, count: int = 6) -> dict[str, Path]:
    """Sweeps with labels and poses."""
    (folder / "sweeps").mkdir()
    (folder / "labels").mkdir()
    for number in range(count):
        binary(folder / "sweeps" / f"{number:06}.bin", cloud(number) + np.float32([0, 0, 0, 0]))
        np.save(folder / "labels" / f"{number:06}.npy", np.arange(40) % 2)
    pose(folder, {})
    return {"path": folder / "sweeps", "labels": folder / "labels", "poses": folder / "poses.txt"}


def pose(folder: Path, lines: dict[int, str], count: int = 6) -> None:
    """Poses one metre apart; ``lines`` {number from 1: text} take the place of some."""
    (folder / "poses.txt").write_text(
        "".join(lines.get(k + 1, f"1 0 0 {k} 0 1 0 0 0 0 1 0") + "\n" for k in range(count) if lines.get(k + 1) != "")
    )


def faults(path: Path, **options: object) -> list[Fault]:
    component = DATA["files"]
    assert component.faults is not None
    return list(component.faults(component.options(path=path, **options), DataContext(None, path, 0)))


def told(found: list[Fault]) -> set[Found]:
    return {(Path(fault.file).name, fault.row, fault.column, fault.kind) for fault in found}


def trains(path: Path, **options: object) -> bool:
    component = DATA["files"]
    try:
        component.build(component.options(path=path, judged=8, **options), DataContext(None, path, 0))
    except SslplugError:
        return False
    return True


def test_clean_clouds_have_no_fault(tmp_path: Path) -> None:
    mine = objects(tmp_path)
    assert faults(mine) == []
    assert trains(mine)
    drive = sweeps(tmp_path)
    assert faults(**drive) == []
    assert trains(**drive)
    np.savez(tmp_path / "a.npz", data=np.stack([cloud(k) for k in range(10)]), label=np.arange(10) % 2)
    assert faults(tmp_path / "a.npz") == []
    assert trains(tmp_path / "a.npz")


def at(points: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    points = points.copy()
    points[row - 1, column] = value
    return points


CLOUDS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], set[tuple[int | None, str | None]], tuple[str, ...]]] = {
    "not-finite": (lambda p: at(at(p, 7, 1, np.nan), 30, 3, np.inf), {(7, "y"), (30, "intensity")}, ()),
    "no-point": (lambda p: p[:0], {(None, None)}, ()),
    "one-place": (lambda p: np.repeat(p[:1], 40, 0), {(None, None)}, ()),
    "flat": (lambda p: p * np.float32([1, 1, 0, 1]), {(None, None)}, ()),
    "far-out": (lambda p: at(p, 12, 0, -99999.0), {(12, None)}, ()),
    "implausible-extent": (lambda p: p * np.float32([1000, 1000, 1000, 1]), {(None, None)}, ("another-scale",)),
    "grid-coordinates": (lambda p: p + np.float32([400_000, 5_000_000, 0, 0]), {(None, None)}, ()),
    "origin": (lambda p: at(at(at(at(at(at(p, 3, 0, 0), 3, 1, 0), 3, 2, 0), 9, 0, 0), 9, 1, 0), 9, 2, 0), {(3, None), (9, None)}, ()),
    "repeated-points": (lambda p: p[np.arange(40) % 15], {(None, None)}, ()),
    "negative-intensity": (lambda p: at(p, 5, 3, -0.1), {(5, "intensity")}, ()),
    "another-intensity": (lambda p: p * np.float32([1, 1, 1, 255]), {(None, None)}, ()),
    "another-scale": (lambda p: p * np.float32([0.001, 0.001, 0.001, 1]), {(None, None)}, ()),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLOUDS)
def test_doubtful_clouds_are_told_and_trained_on(tmp_path: Path, kind: str) -> None:
    change, places, beside = CLOUDS[kind]
    mine = objects(tmp_path)
    binary(mine / "car" / "3.bin", change(cloud(3)))
    found = faults(mine)
    expected = {("3.bin", row, column, kind) for row, column in places} | {("3.bin", None, None, other) for other in beside}
    assert told(found) == expected
    assert all(fault.harmless and fault.found and fault.expected and fault.mend for fault in found)
    assert trains(mine)


def text(path: Path, points: np.ndarray) -> None:
    path.write_text("".join(" ".join(f"{v:.4f}" for v in row) + "\n" for row in points))


def ply(path: Path, points: np.ndarray, count: int | None = None) -> None:
    head = f"ply\nformat ascii 1.0\nelement vertex {len(points) if count is None else count}\n"
    names = "".join(f"property float {name}\n" for name in ("x", "y", "z", "intensity"))
    path.write_text(head + names + "end_header\n" + "".join(" ".join(f"{v:.4f}" for v in row) + "\n" for row in points))


def damaged(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


FILES: dict[str, tuple[str, Callable[[Path], None], int | None]] = {
    "cut-off": ("x.bin", lambda f: (binary(f, cloud(77)), damaged(f, lambda b: b[:-5]))[0], 40),
    "five-columns": ("x.bin", lambda f: binary(f, np.column_stack([cloud(77), np.arange(40) % 32])), None),
    "unreadable": ("x.npy", lambda f: f.write_bytes(b"nothing") and None, None),
    "other-type": ("x.npy", lambda f: np.save(f, np.array(["a", "b"])), None),
    "few-columns": ("x.npy", lambda f: np.save(f, cloud(77)[:, :2]), None),
    "other-columns": ("x.npy", lambda f: np.save(f, cloud(77, width=3)), None),
    "not-a-number": ("x.xyz", lambda f: (text(f, cloud(77)), damaged(f, lambda b: b.replace(b"\n", b"\n1 2 z 0.5\n", 1)))[0], 2),
    "ragged-line": ("x.txt", lambda f: (text(f, cloud(77)), damaged(f, lambda b: b + b"1 2 3\n"))[0], 41),
    "no-header": ("x.ply", lambda f: f.write_text("solid") and None, None),
    "fewer-vertices": ("x.ply", lambda f: ply(f, cloud(77), count=50), 41),
    "bad-vertex": ("x.ply", lambda f: (ply(f, cloud(77)), damaged(f, lambda b: b.rsplit(b"\n", 2)[0] + b"\n1 2 3\n"))[0], 40),
    "no-coordinates": ("x.ply", lambda f: (ply(f, cloud(77)), damaged(f, lambda b: b.replace(b"float z", b"float w")))[0], None),
    "damaged-packing": ("x.bin.gz", lambda f: f.write_bytes(gzip.compress(cloud(77).tobytes())[:-20]) and None, None),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_damaged_files_are_told_and_refused(tmp_path: Path, kind: str) -> None:
    name, write, row = FILES[kind]
    mine = objects(tmp_path)
    write(mine / "tree" / name)
    found = faults(mine)
    assert (name, row, None, kind) in told(found)
    assert {fault.kind for fault in found if not fault.harmless} == {kind}
    assert not trains(mine)


def test_meshes_and_rings(tmp_path: Path) -> None:
    (tmp_path / "a.off").write_text("OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n3 0 1 7\n")
    assert told(faults(tmp_path / "a.off")) == {("a.off", 2, "face", "bad-face"), ("a.off", None, None, "no-cloud")}
    rings = np.column_stack([cloud(1), np.arange(40) % 16]).astype("<f4")
    binary(tmp_path / "a.pcd.bin", at(rings, 8, 4, 3.5))
    assert told(faults(tmp_path / "a.pcd.bin")) == {("a.pcd.bin", 8, "ring", "broken-ring")}


def test_folders_of_classes(tmp_path: Path) -> None:
    mine = objects(tmp_path)
    (mine / "car" / "notes.md").write_text("left out")
    (mine / "Tree").mkdir()
    binary(mine / "Tree" / "0.bin", cloud(50))
    np.save(mine / "car" / "1.npy", cloud(51))
    binary(mine / "car" / "copy.bin", cloud(12))
    binary(mine / "loose.bin", cloud(52))
    assert told(faults(mine)) == {
        ("notes.md", None, None, "left-out-file"),
        ("tree", None, None, "classes-alike"),
        ("Tree", None, None, "rare-class"),
        ("1.npy", None, None, "repeated-name"),
        ("2.bin", None, None, "repeated-cloud"),
        ("loose.bin", None, None, "loose-file"),
    }
    copied = next(fault for fault in faults(mine) if fault.kind == "repeated-cloud")
    assert "of another class" in copied.found
    assert trains(mine)
    (mine / "empty").mkdir()
    assert ("empty", None, None, "empty-class") in told(faults(mine))
    assert not trains(mine)


def test_one_class_alone(tmp_path: Path) -> None:
    mine = objects(tmp_path)
    for file in (mine / "tree").iterdir():
        file.unlink()
    (mine / "tree").rmdir()
    assert told(faults(mine)) == {("mine", None, None, "one-class")}


@pytest.mark.parametrize(
    ("line", "row", "kind", "harmless"),
    [
        ({3: "1 0 0 2 0 1 0 0 0 0 1"}, 3, "ragged-line", False),
        ({3: "1 0 0 x 0 1 0 0 0 0 1 0"}, 3, "not-a-number", False),
        ({6: ""}, 6, "missing-pose", False),
        ({3: "1 0 0 nan 0 1 0 0 0 0 1 0"}, 3, "unknown-pose", True),
        ({3: "2 0 0 2 0 1 0 0 0 0 1 0"}, 3, "not-a-rotation", False),
        ({3: "-1 0 0 2 0 1 0 0 0 0 1 0"}, 3, "not-a-rotation", False),
        ({6: "1 0 0 5000 0 1 0 0 0 0 1 0"}, 6, "jump", True),
        (dict.fromkeys(range(1, 7), "1 0 0 0 0 1 0 0 0 0 1 0"), None, "no-motion", True),
    ],
)
def test_faults_of_poses(tmp_path: Path, line: dict[int, str], row: int | None, kind: str, harmless: bool) -> None:
    drive = sweeps(tmp_path)
    pose(tmp_path, line)
    found = faults(**drive)
    assert ("poses.txt", row, None, kind) in told(found)
    assert {fault.kind for fault in found} <= {kind, "missing-pose"}
    assert next(fault.harmless for fault in found if fault.kind == kind) == harmless
    assert trains(**drive) == harmless


def test_more_poses_and_calibrations(tmp_path: Path) -> None:
    drive = sweeps(tmp_path)
    pose(tmp_path, {}, 8)
    assert told(faults(**drive)) == {("poses.txt", None, None, "more-poses")}
    for content, row, kind in (
        ("P0: 1\n", None, "no-matrix"),
        ("P0: 1\nTr: 1 0 0\n", 2, "other-size"),
        ("Tr: a b\n", 1, "not-a-number"),
    ):
        (tmp_path / "calib.txt").write_text(content)
        assert ("calib.txt", row, "Tr", kind) in told(faults(**drive, calibration=tmp_path / "calib.txt"))
        assert not trains(**drive, calibration=tmp_path / "calib.txt")


LABELS: dict[str, tuple[Callable[[Path], object], Found, bool]] = {
    "missing-labels": (lambda f: (f / "000004.npy").unlink(), ("labels", None, None, "missing-labels"), False),
    "other-length": (lambda f: np.save(f / "000004.npy", np.zeros(39, int)), ("000004.npy", None, None, "other-length"), False),
    "other-type": (lambda f: np.save(f / "000004.npy", np.zeros(40)), ("000004.npy", None, None, "other-type"), False),
    "negative-label": (
        lambda f: np.save(f / "000004.npy", np.where(np.arange(40) == 8, -7, np.arange(40) % 2)),
        ("000004.npy", 9, None, "negative-label"),
        True,
    ),
    "labels-without-sweep": (lambda f: np.save(f / "000009.npy", np.zeros(40, int)), ("000009.npy", None, None, "labels-without-sweep"), True),
    "class-of-one-sweep": (lambda f: np.save(f / "000002.npy", np.where(np.arange(40) == 8, 77, np.arange(40) % 2)), ("labels", None, None, "class-of-one-sweep"), True),
    "cut-off": (lambda f: (f / "000004.label").write_bytes(bytes(163)), ("000004.label", 41, None, "cut-off"), False),
    "no-label": (lambda f: [np.save(file, np.full(40, -1)) for file in f.iterdir()], ("labels", None, None, "no-label"), True),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELS)
def test_faults_of_labels(tmp_path: Path, kind: str) -> None:
    change, expected, harmless = LABELS[kind]
    drive = sweeps(tmp_path)
    change(drive["labels"])
    found = faults(**drive)
    assert told(found) == {expected}
    assert trains(**drive) == harmless


def test_names_of_sweeps_say_their_order(tmp_path: Path) -> None:
    drive = sweeps(tmp_path)
    (drive["path"] / "000003.bin").unlink()
    assert told(faults(drive["path"])) == {("000004.bin", None, None, "missing-sweep")}
    for number, file in enumerate(sorted(drive["path"].iterdir())):
        file.rename(drive["path"] / f"sweep{7 + number}.bin")
    found = faults(drive["path"])
    assert told(found) == {("sweeps", None, None, "order-of-names")}
    assert "sweep11.bin before sweep7.bin" in found[0].found
    assert not trains(drive["path"])
    assert faults(drive["path"], consecutive=False) == []


BLOCK = np.stack([cloud(k) for k in range(10)])


@pytest.mark.parametrize(
    ("arrays", "row", "column", "kind", "harmless"),
    [
        ({"cloud": BLOCK}, None, None, "missing-key", False),
        ({"data": BLOCK, "names": np.arange(3)}, None, None, "unknown-key", True),
        ({"points": BLOCK[0], "offsets": np.array([0, 50])}, None, "offsets", "bad-offsets", False),
        ({"points": BLOCK[0], "offsets": np.array([0, 30, 20, 40])}, None, "offsets", "bad-offsets", False),
        ({"data": BLOCK[:, :, :2]}, 1, None, "other-shape", False),
        ({"data": BLOCK, "label": np.zeros(3, int)}, None, "label", "other-length", False),
        ({"data": BLOCK, "label": np.linspace(0, 1, 10)}, None, "label", "other-type", False),
        ({"data": np.array([object()])}, None, "data", "damaged-array", False),
    ],
)
def test_faults_of_archives(
    tmp_path: Path, arrays: dict[str, np.ndarray], row: int | None, column: str | None, kind: str, harmless: bool
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    found = faults(tmp_path / "a.npz")
    assert ("a.npz", row, column, kind) in told(found)
    assert next(fault.harmless for fault in found if fault.kind == kind) == harmless
    assert trains(tmp_path / "a.npz") == harmless


def test_points_of_archives_name_the_cloud(tmp_path: Path) -> None:
    block = BLOCK.copy()
    block[2, 6, 1] = np.nan
    np.savez(tmp_path / "a.npz", data=block, label=np.arange(10) % 2)
    assert told(faults(tmp_path / "a.npz")) == {("a.npz, cloud 3", 7, "y", "not-finite")}
    (tmp_path / "a.npz").write_bytes(b"PK nothing")
    assert told(faults(tmp_path / "a.npz")) == {("a.npz", None, None, "no-archive")}


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    drive = sweeps(tmp_path)
    damaged(drive["path"] / "000001.bin", lambda content: content[:-3])
    binary(drive["path"] / "000002.bin", at(cloud(2), 5, 2, np.nan))
    (drive["path"] / "000003.bin").write_bytes(b"")
    np.save(drive["labels"] / "000004.npy", np.zeros(7, int))
    (drive["labels"] / "000005.npy").unlink()
    pose(tmp_path, {2: "1 0 0", 5: "3 0 0 4 0 1 0 0 0 0 1 0"})
    assert told(faults(**drive)) == {
        ("000001.bin", 40, None, "cut-off"),
        ("000001.npy", None, None, "other-length"),
        ("000002.bin", 5, "z", "not-finite"),
        ("000003.bin", None, None, "no-point"),
        ("000003.npy", None, None, "other-length"),
        ("000004.npy", None, None, "other-length"),
        ("labels", None, None, "missing-labels"),
        ("poses.txt", 2, None, "ragged-line"),
        ("poses.txt", 5, None, "not-a-rotation"),
        ("poses.txt", 6, None, "missing-pose"),
    }
