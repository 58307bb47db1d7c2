"""The named sets against their README's facts and an independent reading. Needs the data root (SSLPLUG_DATA)."""

from __future__ import annotations

import lzma
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from sslplug.contracts import DataContext
from sslplug.errors import DataError
from sslplug_sequence.signals.data import DATA
from sslplug_sequence.signals.data.signal_data import SignalData
from sslplug_sequence.signals.data.ucihar import LENGTH, SENSORS, read_texts

ROOT = os.environ.get("SSLPLUG_DATA")
HERE = bool(ROOT) and (Path(str(ROOT)) / "wearable").is_dir()
needs_root = pytest.mark.skipif(not HERE, reason="SSLPLUG_DATA names no data root with wearable sets, so they are not there")


def build(name: str, tmp: Path, root: Path | None = None, **options: object) -> SignalData:
    context = DataContext(root or Path(str(ROOT)), tmp / "cache", 0)
    made: SignalData = DATA[name].build(DATA[name].options(**options), context)
    return made


@needs_root
def test_uci_har_is_the_official_set(tmp_path: Path) -> None:
    data = build("ucihar", tmp_path, scaling="none")
    assert data.values.shape == (10_299, 1, 9, 128)
    task = data.tasks["activity"]
    split = task.splits[0]
    assert (len(split.train) + len(split.val), len(split.test)) == (7_352, 2_947)
    assert task.groups is not None
    assert set(task.groups[split.test].astype(int)) == {2, 4, 9, 10, 12, 13, 18, 20, 24}
    assert len(set(task.groups[split.val])) == 4
    assert not set(task.groups[split.val]) & set(task.groups[split.train])
    assert np.bincount(task.labels).tolist() == [1722, 1544, 1406, 1777, 1906, 1944], "as the UCI page lists the classes"
    assert sorted(data.allowed.tolist()) == sorted([*split.train, *split.val])
    # Total minus body acceleration is gravity: about 1 g, slow.
    gravity = data.values[:, 0, 6:9] - data.values[:, 0, 0:3]
    norm = np.linalg.norm(gravity, axis=1)
    assert abs(float(np.median(norm)) - 1) < 0.03
    assert float(np.median(norm.std(1))) < 0.02
    assert data.spec.triads == ((0, 1, 2), (3, 4, 5), (6, 7, 8))


@needs_root
def test_uci_har_from_the_published_texts(tmp_path: Path) -> None:
    data = build("ucihar", tmp_path, scaling="none")
    task = data.tasks["activity"]
    rows = {"train": [0, 1, 5000], "test": [400, 900]}
    folder = tmp_path / "wearable/ucihar/UCI HAR Dataset"
    assert task.groups is not None
    for part, chosen in rows.items():
        (folder / part / "Inertial Signals").mkdir(parents=True)
        for channel, name in enumerate(f"{sensor}_{axis}" for sensor in SENSORS for axis in "xyz"):
            np.savetxt(folder / part / "Inertial Signals" / f"{name}_{part}.txt", data.values[chosen, 0, channel])
        np.savetxt(folder / part / f"subject_{part}.txt", task.groups[chosen].astype(int), fmt="%d")
        np.savetxt(folder / part / f"y_{part}.txt", task.labels[chosen] + 1, fmt="%d")
    values, subjects, labels = read_texts(folder)
    every = rows["train"] + rows["test"]
    np.testing.assert_array_equal(values, data.values[every, 0])
    np.testing.assert_array_equal(subjects, task.groups[every].astype(int))
    np.testing.assert_array_equal(labels, task.labels[every])
    (folder / "test" / "y_test.txt").write_text("7\n1\n")
    with pytest.raises(DataError, match=r"expected 2 of 1\.\.6"):
        read_texts(folder)
    np.savetxt(folder / "train/Inertial Signals/body_acc_x_train.txt", np.zeros((3, LENGTH - 1)))
    with pytest.raises(DataError, match=r"body_acc_x_train\.txt: \(3, 127\); expected \(3, 128\)"):
        read_texts(folder)
    (folder / "train/Inertial Signals/body_acc_x_train.txt").write_text("1 2 x")
    with pytest.raises(DataError, match="not a table of numbers"):
        read_texts(folder)


@needs_root
def test_dsads_holds_five_units_in_step(tmp_path: Path) -> None:
    data = build("dsads", tmp_path, scaling="none")
    assert data.values.shape == (1920, 5, 6, 125)
    assert ROOT is not None
    with lzma.open(Path(ROOT) / "wearable/dsads/dsads8_gyro.npy.xz") as file:
        gyro = np.load(file)
    labels = data.tasks["activity-torso"].labels[::5]
    groups = data.tasks["activity-torso"].groups
    assert groups is not None
    for window in (0, 31, 777, 1919):
        activity, subject = int(labels[window]), int(groups[5 * window][1:]) - 1
        np.testing.assert_array_equal(data.values[window, :, 3:], gyro[activity, subject, :, :, window % 30])
    assert len(data.tasks) == 5
    for name, task in data.tasks.items():
        assert len(task.splits) == 8
        assert task.protocol == "leave one subject out"
        assert name.removeprefix("activity-") in data.spec.devices
        assert np.bincount(task.labels[task.labels >= 0]).tolist() == [240] * 8
    # The leg swings when it walks, the torso hardly: the units are where they are said to be.
    walking = data.values[labels == 5][:, :, 3:].std(3).mean((0, 2))
    assert walking[3:].min() > 2 * walking[0]


@needs_root
@pytest.mark.parametrize(
    ("name", "train", "test", "channels", "length", "shortest", "classes"),
    [
        ("BasicMotions", 40, 40, 6, 100, 100, 4),
        ("JapaneseVowels", 270, 370, 12, 29, 7, 9),
        ("PickupGestureWiimoteZ", 50, 50, 1, 361, 29, 10),
        ("GunPoint", 50, 150, 1, 150, 150, 2),
        ("ItalyPowerDemand", 67, 1029, 1, 24, 24, 2),
        ("ArrowHead", 36, 175, 1, 251, 251, 3),
    ],
)
def test_uea_sets_have_their_sizes(
    name: str, train: int, test: int, channels: int, length: int, shortest: int, classes: int, tmp_path: Path
) -> None:
    data = build("uea", tmp_path, dataset=name)
    assert data.values.shape == (train + test, 1, channels, length)
    task = data.tasks["activity"]
    assert (len(task.splits[0].train), len(task.splits[0].val), len(task.splits[0].test)) == (train, 0, test)
    assert len(task.classes) == classes
    assert data.allowed.tolist() == list(range(train))
    assert (data.lengths is not None) == (shortest < length)
    if data.lengths is not None:
        assert (int(data.lengths.min()), int(data.lengths.max())) == (shortest, length)


@needs_root
def test_uea_values_are_those_of_the_file(tmp_path: Path) -> None:
    data = build("uea", tmp_path, dataset="BasicMotions", scaling="none")
    assert ROOT is not None
    text = lzma.decompress((Path(ROOT) / "wearable/uea/BasicMotions_TEST.ts.xz").read_bytes()).decode()
    last = text.split("@data")[1].strip().split("\n")[-1].split(":")
    np.testing.assert_allclose(data.values[-1, 0, 2], [float(cell) for cell in last[2].split(",")], rtol=1e-6)
    task = data.tasks["activity"]
    assert task.classes[task.labels[-1]] == last[-1]


@needs_root
def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    assert ROOT is not None
    folder = tmp_path / "wearable/uea"
    folder.mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        shutil.copyfile(Path(ROOT) / f"wearable/uea/GunPoint_{part}.ts.xz", folder / f"GunPoint_{part}.ts.xz")
    assert len(build("uea", tmp_path, tmp_path, dataset="GunPoint").values) == 200
    file = folder / "GunPoint_TEST.ts.xz"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"GunPoint_TEST\.ts\.xz: its sha256 is"):
        build("uea", tmp_path, tmp_path, dataset="GunPoint")


@pytest.mark.parametrize("name", ["ucihar", "dsads", "uea"])
def test_a_missing_set_says_where_it_belongs(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"not found in .*wearable/{name}.*expected the files.*SSLPLUG_DATA"):
        build(name, tmp_path, tmp_path)
