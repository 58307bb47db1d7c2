"""Windows in memory: scaling, splits by subject, tasks, batches, what a run keeps; and the generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sslplug.contracts import DataContext, LabelledRows, Order
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.data import DATA
from sslplug_sequence.signals.data.gait import CLASSES, GaitOptions, generate, rotations
from sslplug_sequence.signals.data.options import SignalOptions
from sslplug_sequence.signals.data.signal_data import SignalData
from sslplug_sequence.signals.data.window_set import WindowSet
from sslplug_sequence.signals.tasks import subject_parts


def memory(tmp: Path, parts: Any, fitted: Any = None, **options: Any) -> SignalData:
    context = DataContext(None, tmp, 0, memory=parts, fitted=fitted)
    made: SignalData = DATA["memory"].build(DATA["memory"].options(**options), context)
    return made


def gait(tmp: Path, seed: int = 0, **options: Any) -> SignalData:
    made: SignalData = DATA["gait"].build(DATA["gait"].options(**options), DataContext(None, tmp, seed))
    return made


def parts(n: int = 60, subjects: int = 6, ragged: bool = False) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    values = draw.normal(3.0, 2.0, (n, 2, 20)).astype(np.float32)
    who = np.array([f"s{number % subjects}" for number in range(n)])
    made = {"values": values, "subjects": who, "labels": draw.integers(0, 3, n)}
    if ragged:
        made["lengths"] = draw.integers(5, 21, n)
    return made


def test_scaling_is_of_the_windows_learnt_from_alone(tmp_path: Path) -> None:
    given = parts()
    given["values"][given["subjects"] == "s1"] *= 100  # the test subject would spoil it
    data = memory(tmp_path, given, test_subjects=["s1"])
    learnt = given["values"][given["subjects"] != "s1"].astype(np.float64)
    np.testing.assert_allclose(data.fitted["mean"], learnt.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(data.fitted["std"], learnt.std((0, 2)), rtol=1e-5)
    held = data.values[data.allowed][:, 0]
    np.testing.assert_allclose(held.mean((0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(held.std((0, 2)), 1, atol=1e-5)
    mean, std = np.array(data.spec.scale.mean), np.array(data.spec.scale.std)
    np.testing.assert_allclose(data.values[:, 0] * std[:, None] + mean[:, None], given["values"], rtol=1e-4, atol=1e-3)
    assert data.spec.scale.standardised
    json.dumps(data.fitted)
    # Windows keep their level against each other: nothing is scaled by window.
    assert data.values[:, 0].mean(2).std() > 0.1


def test_new_data_is_scaled_as_the_run_was(tmp_path: Path) -> None:
    fitted = json.loads(json.dumps(memory(tmp_path, parts()).fitted))
    other = {"values": parts()["values"][:7] + 50}
    data = memory(tmp_path, other, fitted=fitted)
    mean, std = (np.array(fitted[key])[:, None] for key in ("mean", "std"))
    np.testing.assert_allclose(data.values[:, 0], (other["values"] - mean) / std, rtol=1e-4)
    assert data.fitted == fitted
    with pytest.raises(DataError, match="channel 0, channel 1.*left, right"):
        memory(tmp_path, other, fitted=fitted, channels=["left", "right"])
    with pytest.raises(DataError, match="trained at 1 samples a second; this data has 50"):
        memory(tmp_path, other, fitted=fitted, rate=50.0)
    one = {**parts(subjects=1), "labels": np.zeros(60, int)}
    with pytest.raises(DataError, match="only the class 0"):
        memory(tmp_path, one)
    judged_by_nobody = memory(tmp_path, one, fitted=fitted, test_subjects=["s3"], normal=["0"])
    assert judged_by_nobody.tasks == {}
    assert len(judged_by_nobody.allowed) == 60


def test_unscaled_data_is_as_read_and_says_its_statistics(tmp_path: Path) -> None:
    given = parts()
    data = memory(tmp_path, given, scaling="none", split="leave-one-out")
    np.testing.assert_array_equal(data.values[:, 0], given["values"])
    assert sorted(data.fitted) == ["channels", "mean", "rate", "std"]
    assert not data.spec.scale.standardised
    np.testing.assert_allclose(data.spec.scale.mean, given["values"].mean((0, 2), dtype=np.float64), rtol=1e-5)


def test_ragged_series_are_zero_and_invisible_past_their_end(tmp_path: Path) -> None:
    given = parts(ragged=True)
    given["values"][0, :, given["lengths"][0] :] = np.nan if given["lengths"][0] < 20 else 0
    data = memory(tmp_path, given)
    assert data.spec.ragged
    seen = np.concatenate([view.data.visible.numpy() for view in data.rows()])
    np.testing.assert_array_equal(seen.sum(1), given["lengths"])
    values = np.concatenate([view.data.values.numpy() for view in data.rows()])
    assert np.abs(values.transpose(0, 2, 1)[~seen]).max() == 0
    inside = values.transpose(0, 2, 1)[data.allowed][seen[data.allowed]]
    np.testing.assert_allclose(inside.mean(0), 0, atol=1e-5)


def test_a_constant_channel_is_centred_and_noted(tmp_path: Path) -> None:
    given = parts()
    given["values"][:, 1] = 7.0
    data = memory(tmp_path, given)
    assert np.abs(data.values[:, 0, 1]).max() == 0
    assert any("without variation" in note and "channel 1" in note for note in data.description["notes"])


@pytest.mark.parametrize(
    ("options", "count", "protocol"),
    [
        ({}, 6, "leave one subject out"),
        ({"split": "folds", "folds": 3}, 3, "3 folds of subjects"),
        ({"split": "leave-one-out", "val_share": 0}, 6, "leave one subject out"),
        ({"test_subjects": ["s2", "s4"]}, 1, "test subjects s2, s4"),
    ],
)
def test_splits_keep_subjects_whole(tmp_path: Path, options: dict[str, Any], count: int, protocol: str) -> None:
    given = parts()
    data = memory(tmp_path, given, **options)
    task = data.tasks["activity"]
    assert task.protocol == protocol
    assert len(task.splits) == count
    tested = []
    for split in task.splits:
        sides = [set(given["subjects"][rows]) for rows in (split.train, split.val, split.test)]
        assert sum(map(len, sides)) == len(sides[0] | sides[1] | sides[2])
        assert len(split.train) + len(split.val) + len(split.test) == 60
        assert bool(len(split.val)) == (options.get("val_share") != 0)
        tested += sorted(sides[2])
    assert sorted(tested) == (["s2", "s4"] if "test_subjects" in options else [f"s{k}" for k in range(6)])
    again = memory(tmp_path, given, **options).tasks["activity"]
    assert all(np.array_equal(a.val, b.val) for a, b in zip(task.splits, again.splits, strict=True))


def test_a_given_split_that_mixes_a_subject_is_refused() -> None:
    subjects, given = np.array(["a", "a", "b", "c"]), np.array(["train", "test", "train", "test"])
    with pytest.raises(DataError, match="Subject a is in test and train"):
        subject_parts(subjects, given, "auto", 5, 0.2, (), Rng.root(0))
    made, words, drawn = subject_parts(subjects, given, "leave-one-out", 5, 0.0, (), Rng.root(0))
    assert not drawn
    assert (len(made), words) == (3, "leave one subject out")


def test_tasks_say_whether_the_seed_drew_who_tests(tmp_path: Path) -> None:
    subjects = np.array(list("abcdef"))
    assert subject_parts(subjects, None, "folds", 3, 0.2, (), Rng.root(0))[2]
    assert not subject_parts(subjects, None, "auto", 3, 0.2, ("a",), Rng.root(0))[2]
    assert all(task.drawn for task in gait(tmp_path, people=5, windows=2).tasks.values())


def test_splits_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ghost unknown.*s0"):
        memory(tmp_path, parts(), test_subjects=["ghost"])
    with pytest.raises(UsageError, match="folds is 9 for 6"):
        memory(tmp_path, parts(), split="folds", folds=9)
    with pytest.raises(UsageError, match="comes without a split"):
        memory(tmp_path, parts(), split="given")
    with pytest.raises(DataError, match="All windows are of subject s0"):
        memory(tmp_path, parts(subjects=1))
    with pytest.raises(ValueError, match="epoch_share below 1"):
        SignalOptions(weighting="motion")


def test_test_subjects_are_never_learnt_from(tmp_path: Path) -> None:
    given = parts()
    data = memory(tmp_path, given, test_subjects=["s3"])
    for step in range(len(batches := data.batches(Order(0, 0, batch_size=16)))):
        assert "s3" not in given["subjects"][batches[step].index.numpy()]
    everything = memory(tmp_path, given, test_subjects=["s3"], pretrain="all")
    assert len(everything.allowed) == 60
    assert any("test subjects too" in note for note in everything.description["notes"])
    several = memory(tmp_path, given)
    assert len(several.allowed) == 60
    assert any("several splits" in note for note in several.description["notes"])


def test_batches_visit_each_window_once_and_ranks_join(tmp_path: Path) -> None:
    data = memory(tmp_path, parts(), split="folds")
    for epoch in range(2):
        whole = data.batches(Order(3, epoch, batch_size=16))
        assert sorted(torch.cat([b.index for b in whole]).tolist()) == list(range(60))
        shares = [data.batches(Order(3, epoch, rank, 2, 16)) for rank in range(2)]
        for step in range(len(whole)):
            joined = torch.cat([share[step].index for share in shares])
            assert torch.equal(joined, whole[step].index)
    assert not torch.equal(data.batches(Order(3, 0))[0].index, data.batches(Order(3, 1))[0].index)
    batch = data.batches(Order(0, 0))[0]
    batch.values.zero_()
    assert float(data.batches(Order(0, 0))[0].values.abs().max()) > 0
    assert [len(b.index) for b in data.batches(Order(0, 0, batch_size=59))] == [59], "a lone window is left out"
    with pytest.raises(UsageError, match="use fewer ranks"):
        data.batches(Order(0, 0, 0, 99))


def test_moving_windows_are_preferred(tmp_path: Path) -> None:
    given = parts(300)
    size = np.ones(300)
    size[:100], size[100:200] = 0.0, 5.0
    given["values"] = (given["values"] - 3) * size[:, None, None].astype(np.float32)
    data = memory(tmp_path, given, weighting="motion", epoch_share=0.25, split="folds")
    counts = np.zeros(300)
    for epoch in range(60):
        for batch in data.batches(Order(0, epoch, batch_size=25)):
            assert len(set(batch.index.tolist())) == len(batch.index)
            counts[batch.index.numpy()] += 1
    assert counts.sum() == 60 * 75
    assert counts[:100].sum() == 0, "windows without motion were drawn"
    assert counts[100:200].sum() / counts[200:].sum() > 2.5
    plain = memory(tmp_path, given, epoch_share=0.25, split="folds")
    assert sum(len(b.index) for b in plain.batches(Order(0, 0, batch_size=25))) == 75


def test_labels_enter_batches_only_where_allowed(tmp_path: Path) -> None:
    data = gait(tmp_path, people=5, windows=3, pretrain="all")
    assert data.batches(Order(0, 0))[0].labels is None
    task = data.tasks["activity-waist"]
    rows = task.splits[0].train
    batch = data.batches(Order(0, 0, batch_size=20, labels=LabelledRows(task, rows)))[1]
    assert batch.labels is not None
    assert batch.labelled is not None
    flat = [(int(i), d) for i in batch.index for d in range(3)]
    numbers = [3 * w + d for w, d in (flat[int(k)] for k in batch.labelled)]
    assert set(numbers) <= set(rows.tolist())
    assert {3 * w + d for w, d in flat} & set(rows.tolist()) == set(numbers)
    assert batch.labels.tolist() == task.labels[numbers].tolist()
    assert all(n % 3 == 1 for n in numbers)


def test_devices_have_tasks_of_their_own_rows(tmp_path: Path) -> None:
    data = gait(tmp_path, people=5, windows=2)
    assert sorted(data.tasks) == ["activity-ankle", "activity-waist", "activity-wrist"]
    rows = sum(len(view.data.values) for view in data.rows())
    for number, name in enumerate(("wrist", "waist", "ankle")):
        task = data.tasks[f"activity-{name}"]
        assert len(task.labels) == rows
        assert set(np.flatnonzero(task.labels >= 0) % 3) == {number}
        assert task.groups is not None
    one = gait(tmp_path, people=5, windows=2, devices=["ankle"])
    assert list(one.tasks) == ["activity"]
    assert one.spec.devices == ("ankle",)
    assert list(gait(tmp_path, people=5, windows=2, judged=["wrist"]).tasks) == ["activity-wrist"]
    for option in ("devices", "judged"):
        with pytest.raises(UsageError, match="elbow unknown"):
            gait(tmp_path, people=5, windows=2, **{option: ["elbow"]})


def test_absent_devices_leave_no_rows() -> None:
    from sslplug_sequence.signals.data.assemble import signal_data

    present = np.array([[True, False], [True, True], [False, True]] * 4)
    windows = WindowSet(
        "two",
        np.random.default_rng(0).normal(size=(12, 2, 1, 8)).astype(np.float32) * present[:, :, None, None],
        present,
        np.array([f"s{k // 3}" for k in range(12)]),
        ("x",),
        ("left", "right"),
        1.0,
        (),
        np.arange(12) % 2,
        ("a", "b"),
    )
    data = signal_data(windows, SignalOptions(), DataContext(None, Path("."), 0))
    view = next(iter(data.rows()))
    assert view.ids["window"].tolist() == [2 * w + d for w in range(12) for d in range(2) if present[w, d]]
    task = data.tasks["activity-right"]
    assert np.flatnonzero(task.labels >= 0).tolist() == [k for k, n in enumerate(view.ids["window"].tolist()) if n % 2]
    assert data.raw_features(task).values.shape[0] == 16
    alone = signal_data(windows, SignalOptions(devices=("left",)), DataContext(None, Path("."), 0))
    assert len(alone.values) == 8
    assert any("4 windows that no used device" in note for note in alone.description["notes"])


def test_normal_classes_are_learnt_from_and_others_told_apart(tmp_path: Path) -> None:
    data = gait(tmp_path, people=6, windows=3, devices=["waist"], normal=["walking", "resting"])
    labels = data.tasks["activity"].labels
    assert set(labels[data.allowed]) == {CLASSES.index("walking"), CLASSES.index("resting")}
    anomaly = data.tasks["anomaly"]
    assert anomaly.kind == "anomaly"
    np.testing.assert_array_equal(anomaly.labels, np.isin(labels, [2, 3]))
    for normal in (["running"], list(CLASSES)):
        with pytest.raises(UsageError, match="expected some, not all, of the classes"):
            gait(tmp_path, people=6, windows=3, normal=normal)
    for leaking in ({"split": "leave-one-out"}, {"pretrain": "all"}):
        with pytest.raises(UsageError, match="labels of test subjects too"):
            gait(tmp_path, people=6, windows=3, normal=["walking", "resting"], **leaking)


def test_spectrograms_are_log_power_by_bin(tmp_path: Path) -> None:
    time = np.arange(64) / 32.0
    values = np.stack([np.sin(2 * np.pi * 8 * time + k) for k in range(4)])[:, None].astype(np.float32)
    values = np.concatenate([values, 0.1 * values], 1)
    data = memory(tmp_path, {"values": values}, rate=32.0, scaling="none", spectrogram={"window": 16, "hop": 4})
    assert data.spec.bins == 9
    assert data.values.shape == (4, 1, 18, 13)
    assert (data.spec.length, data.spec.rate) == (13, 8.0)
    assert data.spec.channels[4] == "channel 0@8Hz"
    image = data.values[:, 0].reshape(4, 2, 9, 13)
    assert (image.argmax(2) == 4).all()
    np.testing.assert_allclose(image[:, 0, 4] - image[:, 1, 4], np.log(100), atol=0.01)
    with pytest.raises(UsageError, match="longer than the 64"):
        memory(tmp_path, {"values": values}, spectrogram={"window": 65})


def test_the_generator_makes_what_it_says() -> None:
    options = GaitOptions(people=8, windows=6, noise=0.02)
    made = generate(options, Rng.root(0))
    assert made.values.shape == (8 * 4 * 6, 3, 3, 100)
    assert made.labels is not None
    assert made.parts is not None
    assert "synthetic" in made.name
    assert {p: len(np.unique(made.subjects[made.parts == p])) for p in ("train", "val", "test")} == {
        "train": 6,
        "val": 1,
        "test": 1,
    }
    norm = np.linalg.norm(made.values, axis=2)
    resting = made.labels == CLASSES.index("resting")
    assert abs(float(norm[resting].mean()) - 1) < 0.03, "gravity is 1 g"
    assert float(norm[~resting].std(2).mean()) > 3 * float(norm[resting].std(2).mean())
    power = np.abs(np.fft.rfft(norm[:, 1] - norm[:, 1].mean(1, keepdims=True), n=1000)) ** 2
    hertz = np.fft.rfftfreq(1000, 1 / 25)
    walking = made.labels == CLASSES.index("walking")
    low = (hertz > 1.2) & (hertz < 2.6)
    steps = hertz[low][power[walking][:, low].argmax(1)]
    assert abs(float(np.median(steps)) - 1.85) < 0.25, "the strongest frequency of walking is the cadence"
    stairs = hertz[low][power[made.labels == CLASSES.index("upstairs")][:, low].argmax(1)]
    assert float(np.median(stairs)) < float(np.median(steps)) - 0.15
    again, other = generate(options, Rng.root(0)), generate(options, Rng.root(1))
    assert made.sha256 == again.sha256 != other.sha256
    turn = rotations(np.random.default_rng(0).normal(size=(2, 3, 3, 5)))
    product = np.einsum("ndijt,ndkjt->ndikt", turn, turn)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3)[:, :, None], product.shape), atol=1e-12)


def test_the_default_data_is_hard_for_raw_samples_and_not_solved_by_features(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    data = gait(tmp_path, devices=["waist"])
    task, split = data.tasks["activity"], data.tasks["activity"].splits[0]
    scores = {}
    samples = np.concatenate([view.data.values.flatten(1).numpy() for view in data.rows()])
    for name, x in (("samples", samples), ("features", data.raw_features(task).values)):
        x = StandardScaler().fit(x[split.train]).transform(x)
        model = LogisticRegression(C=0.01, max_iter=500).fit(x[split.train], task.labels[split.train])
        scores[name] = model.score(x[split.val], task.labels[split.val])
    assert scores["samples"] < 0.55
    assert 0.7 < scores["features"] < 0.95
