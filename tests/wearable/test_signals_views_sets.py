"""View sets: pairs, negatives, devices, overlapping crops, masks, pretexts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from sslplug.contracts import View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Windows, clean_view
from sslplug_sequence.signals.spec import Scale, SignalSpec
from sslplug_sequence.signals.views import VIEWS
from sslplug_sequence.signals.views.masking import geometric_mask
from sslplug_sequence.signals.views.step import NAMES

N, D, C, T = 40, 3, 3, 60
SPEC = SignalSpec(
    ("x", "y", "z"), ("wrist", "waist", "ankle"), T, 25.0, ((0, 1, 2),), Scale((0.0, 0.0, 1.0), (1.0, 2.0, 0.5), True)
)
ONE = replace(SPEC, devices=("wrist",))


def batch(devices: int = D, absent: bool = True, ragged: bool = False, n: int = N) -> Windows:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(n, devices, C, T, generator=generator)
    present = torch.ones(n, devices, dtype=torch.bool)
    if absent and devices > 1:
        present[3, 1] = present[7, 2] = present[9, 0] = False
    lengths = torch.randint(30, T + 1, (n,), generator=generator) if ragged else None
    if lengths is not None:
        values = values * (torch.arange(T) < lengths[:, None])[:, None, None]
    values = values * present[:, :, None, None]
    return Windows(values, present, torch.arange(100, 100 + n), lengths)


def make(name: str, spec: SignalSpec = SPEC, **options: Any) -> Any:
    return VIEWS[name].build(VIEWS[name].options(**options), spec)


@pytest.mark.parametrize("name", sorted(VIEWS))
@pytest.mark.parametrize("ragged", [False, True])
def test_promises_of_every_set(name: str, ragged: bool) -> None:
    given = batch(ragged=ragged)
    kept = given.values.clone()
    options = {"tasks": [{"name": "arrow_of_time"}]} if name == "multitask" else {}
    views = make(name, **options)
    first, second = (views(given, Rng.root(1)) for _ in range(2))
    assert torch.equal(given.values, kept)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.data.values, b.data.values)
        assert (a.data.visible is not None) == ragged
        for target in a.targets.values():
            assert target.rows is None or int(target.rows.max()) < len(a.data.values) * T
    assert all(0 <= share <= 1 for share in views.rates.values())


def test_clean_rows_are_the_present_pairs_in_order() -> None:
    given = batch()
    view = clean_view(given)
    wanted = [(w, d) for w in range(N) for d in range(D) if given.present[w, d]]
    assert view.ids["window"].tolist() == [(100 + w) * D + d for w, d in wanted]
    for row, (w, d) in enumerate(wanted):
        assert torch.equal(view.data.values[row], given.values[w, d])
    assert view.role == ""


def test_pairs_use_each_list_and_one_name_for_both() -> None:
    first, second = make("pairs", first=[{"name": "negate"}], second=[])(batch(), Rng.root(0))
    clean = clean_view(batch())
    assert torch.equal(second.data.values, clean.data.values)
    mean, std = (torch.tensor(v)[:, None] for v in (SPEC.scale.mean, SPEC.scale.std))
    torch.testing.assert_close(first.data.values * std + mean, -(clean.data.values * std + mean))
    assert torch.equal(first.ids["window"], second.ids["window"])
    alike = make("pairs", first=[{"name": "jitter"}])(batch(), Rng.root(0))
    assert not torch.equal(alike[0].data.values, alike[1].data.values)


def test_transforms_of_one_list_draw_apart() -> None:
    twice = [{"name": "jitter", "sigma": 1.0}, {"name": "jitter", "sigma": 1.0}]
    (view,) = make("compose", views=[twice])(batch(absent=False), Rng.root(0))
    noise = view.data.values - clean_view(batch(absent=False)).data.values
    assert abs(float(noise.std()) - 2**0.5) < 0.05


def test_negatives_come_last_and_say_so() -> None:
    views = make("negatives")(batch(), Rng.root(0))
    assert [view.role for view in views] == ["", "negative"]
    assert VIEWS["negatives"].provides(VIEWS["negatives"].options()) == {"negatives"}
    assert "pair" in VIEWS["negatives"].provides(VIEWS["negatives"].options(views=[[], []]))


def test_devices_see_the_same_windows_at_one_time() -> None:
    given = batch()
    views = make("devices")(given, Rng.root(0))
    assert [view.role for view in views] == ["wrist", "waist", "ankle"]
    whole = [w for w in range(N) if bool(given.present[w].all())]
    assert len(whole) == N - 3
    for device, view in enumerate(views):
        assert torch.equal(view.data.values, given.values[whole, device])
        assert not view.ids
    two = make("devices", devices=["ankle", "wrist"])(given, Rng.root(0))
    assert [view.role for view in two] == ["ankle", "wrist"]
    assert len(two[0].data.values) == N - 2


def test_devices_carry_the_labels_of_their_own_rows() -> None:
    given = batch()
    flat = [(w, d) for w in range(N) for d in range(D) if given.present[w, d]]
    rows = torch.tensor([2, 30, 31, 50, 9])
    labelled = replace(given, labels=torch.tensor([5, 6, 7, 8, 9]), labelled=rows)
    whole = [w for w in range(N) if bool(given.present[w].all())]
    told = {flat[int(row)]: int(label) for row, label in zip(rows, [5, 6, 7, 8, 9], strict=True)}
    seen = {}
    for device, view in enumerate(make("devices")(labelled, Rng.root(0))):
        target = view.targets["label"]
        assert target.rows is not None
        seen.update({(whole[int(r)], device): int(v) for r, v in zip(target.rows, target.values, strict=True)})
    assert seen == {pair: label for pair, label in told.items() if pair[0] in whole}


def test_devices_refuse_what_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="elbow.*wrist, waist, ankle"):
        make("devices", devices=["wrist", "elbow"])
    with pytest.raises(UsageError, match="two or more"):
        make("devices", ONE)
    given = batch()
    nobody = replace(given, present=given.present & torch.tensor([True, False, True]))
    with pytest.raises(DataError, match="No window.*wrist, waist, ankle"):
        make("devices")(nobody, Rng.root(0))


@pytest.mark.parametrize("seed", range(20))
def test_overlapping_crops_share_the_same_samples(seed: int) -> None:
    given = batch(1, ragged=True)
    first, second = make("overlap_crops", ONE, shortest=5)(given, Rng.root(seed))
    clean = clean_view(given)
    m = len(clean.data.values)
    ids = [view.ids["step"].view(m, -1) for view in (first, second)]
    shared = [view.params["shared"].tolist() for view in (first, second)]
    assert shared[0][1] == shared[1][1] >= 5
    assert shared[1][0] == 0
    assert sum(shared[0]) == ids[0].shape[1]
    parts = [each[:, start : start + count] for each, (start, count) in zip(ids, shared, strict=True)]
    assert torch.equal(parts[0], parts[1])
    assert int(ids[0][:, 0].max() - ids[0][:, 0].min()) > 0
    for view, each in zip((first, second), ids, strict=True):
        window, sample = each // T, each % T
        assert torch.equal(window, clean.ids["window"][:, None].expand_as(window))
        assert torch.equal(sample[:, 0], view.params["start"])
        for row in (0, m - 1):
            assert torch.equal(view.data.values[row], clean.data.values[row][:, sample[row]])
            assert torch.equal(view.data.visible[row], clean.data.visible[row][sample[row]])
    common = set(ids[0].flatten().tolist()) & set(ids[1].flatten().tolist())
    assert len(common) == m * shared[0][1], "the crops share samples that are not said to be shared"


def test_masked_hides_its_share_and_asks_for_it() -> None:
    given = batch(ragged=True)
    (view,) = make("masked", rate=0.5, span=5)(given, Rng.root(0))
    clean = clean_view(given)
    assert torch.equal(view.data.values, clean.data.values)
    m = len(clean.data.values)
    hidden = view.mask["step"].view(m, T)
    assert not bool((hidden & ~clean.data.visible).any())
    target = view.targets["signal"]
    assert target.level == "step"
    assert torch.equal(target.rows, view.mask["step"].nonzero()[:, 0])
    assert torch.equal(target.values, clean.data.values.transpose(1, 2).reshape(-1, C)[target.rows])
    (whole,) = make("masked", rate=0.5, span=5)(batch(), Rng.root(0))
    assert whole.mask["step"].view(-1, T).sum(1).unique().tolist() == [T // 2]
    assert VIEWS["masked"].outputs(VIEWS["masked"].options(), SPEC) == {"signal": C}


@pytest.mark.parametrize(("rate", "span"), [(0.15, 3), (0.5, 4), (0.8, 6)])
def test_geometric_masks_have_their_share_and_mean_length(rate: float, span: int) -> None:
    hidden = geometric_mask(torch.arange(3000), 400, rate, span, Rng.root(0))
    assert abs(float(hidden.float().mean()) - rate) < 0.02
    inner = hidden[:, 100:300].long()
    begins = (inner.diff(dim=1) == 1).sum()
    assert abs(float(inner[:, 1:].sum() / begins) / span - 1) < 0.06
    for edge, wanted in ((0.0, False), (1.0, True)):
        assert bool((geometric_mask(torch.arange(5), 7, edge, span, Rng.root(0)) == wanted).all())


def test_altered_asks_for_the_clean_signal() -> None:
    given = batch(absent=False)
    clean = clean_view(given).data.values
    (view,) = make("altered")(given, Rng.root(0))
    target = view.targets["signal"]
    assert target.rows is None
    assert torch.equal(target.values, clean.transpose(1, 2).reshape(-1, C))
    assert not torch.equal(view.data.values, clean)
    (some,) = make("altered", everywhere=False, transforms=[{"name": "time_mask", "rate": 0.25}])(given, Rng.root(0))
    rows = some.targets["signal"].rows
    assert rows is not None
    assert len(rows) == 0.25 * len(clean) * T
    assert float(some.data.values.transpose(1, 2).reshape(-1, C)[rows].abs().max()) == 0
    (ragged,) = make("altered")(batch(ragged=True), Rng.root(0))
    asked = ragged.targets["signal"]
    assert torch.equal(asked.rows, ragged.data.visible.flatten().nonzero()[:, 0])


def test_multitask_draws_each_answer_by_itself() -> None:
    given = batch(1, n=2000)
    (view,) = make("multitask", ONE, after=[])(given, Rng.root(0))
    names = ["arrow_of_time", "permutation", "time_warp"]
    answers = torch.stack([view.targets[name].values for name in names], 1)
    assert answers.dtype == torch.int64
    shares = torch.bincount(answers @ torch.tensor([4, 2, 1]), minlength=8) / 2000
    assert bool(((shares - 1 / 8).abs() < 0.03).all()), "the answers are not independent coins"
    clean = clean_view(given).data.values
    none = (answers == 0).all(1)
    assert torch.equal(view.data.values[none], clean[none])
    reversed_only = (answers == torch.tensor([1, 0, 0])).all(1)
    assert torch.equal(view.data.values[reversed_only], clean[reversed_only].flip(2))
    warped = (answers == torch.tensor([0, 0, 1])).all(1)
    assert not bool((view.data.values[warped] == clean[warped]).flatten(1).all(1).any())
    assert VIEWS["multitask"].outputs(VIEWS["multitask"].options(), ONE) == dict.fromkeys(names, 2)
    assert VIEWS["multitask"].provides(VIEWS["multitask"].options()) == {f"target:{name}" for name in names}


def test_multitask_turns_afterwards_and_that_is_no_answer() -> None:
    (view,) = make("multitask", ONE, rate=0)(batch(1), Rng.root(0))
    clean = clean_view(batch(1)).data.values
    assert all(int(target.values.max()) == 0 for target in view.targets.values())
    assert not torch.allclose(view.data.values, clean)
    mean, std = (torch.tensor(v)[:, None] for v in (SPEC.scale.mean, SPEC.scale.std))
    before, after = ((v * std + mean).norm(dim=1) for v in (clean, view.data.values))
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)


def test_multitask_refuses_two_answers_of_one_name() -> None:
    with pytest.raises(ValueError, match="one name"):
        VIEWS["multitask"].options(tasks=[{"name": "jitter"}, {"name": "jitter"}])


@pytest.mark.parametrize("channels", [0, 2, 3])
def test_which_transform_tells_what_was_done(channels: int) -> None:
    given = batch(1, n=600)
    of = [{"name": "arrow_of_time"}, {"name": "negate"}]
    (view,) = make("which_transform", ONE, of=of, channels=channels)(given, Rng.root(0))
    clean = clean_view(given).data.values
    mean, std = (torch.tensor(v)[:, None] for v in (SPEC.scale.mean, SPEC.scale.std))
    negated = (-(clean * std + mean) - mean) / std
    names = [f"transform_{channel}" for channel in range(channels)] or ["transform"]
    assert sorted(view.targets) == names
    options = VIEWS["which_transform"].options(of=of, channels=channels)
    assert VIEWS["which_transform"].outputs(options, ONE) == dict.fromkeys(names, 3)
    assert VIEWS["which_transform"].provides(options) == {f"target:{name}" for name in names}
    for channel in range(C):
        name = "transform" if not channels else f"transform_{channel}"
        classes = view.targets[name].values if name in view.targets else torch.zeros(600, dtype=torch.int64)
        if name in view.targets:
            assert bool(((torch.bincount(classes, minlength=3) / 600 - 1 / 3).abs() < 0.08).all())
        choices = torch.stack([clean, clean.flip(2), negated])[classes, torch.arange(600), channel]
        torch.testing.assert_close(view.data.values[:, channel], choices)


def test_which_transform_refuses_more_channels_than_there_are() -> None:
    with pytest.raises(UsageError, match="channels is 9"):
        make("which_transform", ONE, channels=9)


def test_misfitting_transforms_are_refused_before_training() -> None:
    short = replace(ONE, length=20, triads=())
    for name in ("pairs", "compose", "multitask", "which_transform"):
        with pytest.raises(UsageError, match="names none|4 segments"):
            make(name, short)
    with pytest.raises(UsageError, match="longer than the 20"):
        make("overlap_crops", short, shortest=30)


def test_labels_reach_every_view() -> None:
    given = replace(batch(absent=False), labels=torch.tensor([1, 0]), labelled=torch.tensor([4, 7]))
    for name in ("pairs", "compose", "identity", "masked", "altered", "multitask", "which_transform", "overlap_crops"):
        options = {"tasks": [{"name": "arrow_of_time"}]} if name == "multitask" else {}
        made: list[View] = make(name, **options)(given, Rng.root(0))
        for view in made:
            assert view.targets["label"].values.tolist() == [1, 0]
            assert view.targets["label"].rows.tolist() == [4, 7]


def test_a_list_of_transforms_is_written_as_a_recipe_writes_it() -> None:
    component = VIEWS["pairs"]
    options = component.options(first=[{"name": "rotation", "degrees": 30}, {"name": "time_warp"}])
    assert str(options.first) == "[{name: rotation, degrees: 30.0}, {name: time_warp}]"
    written = options.model_dump(mode="json")
    assert written["first"][0] == {"name": "rotation", "probability": 1.0, "degrees": 30.0, "together": True}
    assert component.options(**written) == options
    for wrong, words in (
        ({"name": "rotat"}, "rotat"),
        ({"name": "rotation", "degree": 3}, "degree"),
        ({"name": "jitter", "sigma": -1}, "greater than or equal to 0"),
        ({"degrees": 3}, "name"),
    ):
        with pytest.raises(ValueError, match=words):
            component.options(first=[wrong])


def test_every_transform_is_named_to_the_reader() -> None:
    told = VIEWS["compose"].options.model_fields["views"].description
    assert told is not None
    assert all(name in told for name in NAMES)
    assert len(NAMES) == 18
