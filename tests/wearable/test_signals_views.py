"""Every transform against its definition, written out plainly; and what all of them promise."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.spec import Scale, SignalSpec
from sslplug_sequence.signals.views.step import NAMES, Step
from sslplug_sequence.signals.views.transform import Rows, Transform, sample_at
from sslplug_sequence.signals.views.turning import rotation

M, C, T = 200, 6, 90
PLAIN = SignalSpec(
    ("ax", "ay", "az", "gx", "gy", "gz"),
    ("wrist",),
    T,
    30.0,
    ((0, 1, 2), (3, 4, 5)),
    Scale((0.1, -0.2, 0.9, 0.0, 0.0, 0.0), (0.5, 0.6, 0.4, 2.0, 1.0, 1.5)),
)
SCALED = replace(PLAIN, scale=replace(PLAIN.scale, standardised=True))
OF_ROWS = sorted(set(NAMES) - {"jitter", "uniform_noise", "mixup", "batch_standardise"})


def make(name: str, **options: Any) -> Transform:
    made: Transform = Step.model_validate({"name": name, **options}).root
    return made


def signals(seed: int = 0, ragged: bool = False) -> tuple[Signals, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(M, C, T, generator=generator).cumsum(2) * 0.1
    if not ragged:
        return Signals(values), torch.arange(M) * 3
    lengths = torch.randint(50, T + 1, (M,), generator=generator)
    visible = torch.arange(T) < lengths[:, None]
    return Signals(values * visible[:, None], visible), torch.arange(M) * 3


def run(transform: Transform, given: tuple[Signals, Tensor], spec: SignalSpec = PLAIN, seed: int = 1) -> Tensor:
    return transform(*given, Rng.root(seed), spec).values


def ramp() -> tuple[Signals, Tensor]:
    """Channel c of row r is the sample's number + 1000 c + 10000 r: a value says where it is from."""
    place = torch.arange(T) + 1000.0 * torch.arange(C)[:, None] + 10000.0 * torch.arange(M)[:, None, None]
    return Signals(place), torch.arange(M)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ragged", [False, True])
def test_promises_of_every_transform(name: str, ragged: bool) -> None:
    given = signals(ragged=ragged)
    before = given[0].values.clone()
    changed = run(make(name), given)
    assert changed.shape == before.shape
    assert changed.dtype == torch.float32
    assert bool(changed.isfinite().all())
    assert torch.equal(given[0].values, before), "wrote into the batch"
    assert not torch.equal(changed, before)
    assert torch.equal(changed, run(make(name), given)), "the same rng, another view"
    assert not torch.equal(changed, run(make(name), given, seed=2)) or name in (
        "negate",
        "arrow_of_time",
        "batch_standardise",
    )
    assert torch.equal(run(make(name, probability=0), given), before)
    half = run(make(name, probability=0.5), given)
    same = (half == before).flatten(1).all(1)
    assert 0.35 < float(same.float().mean()) < 0.75
    if ragged:
        visible = given[0].visible
        assert visible is not None
        assert bool((changed.transpose(1, 2)[~visible] == 0).all()), "padding is no longer zero"


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_row_is_changed_alike_whatever_the_batch(name: str) -> None:
    given, numbers = signals()
    transform = make(name)
    some = torch.tensor([5, 3, 150])
    alone = transform(Signals(given.values[some]), numbers[some], Rng.root(4), PLAIN).values
    torch.testing.assert_close(alone, run(transform, (given, numbers), seed=4)[some], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("jitter", {"sigma": 0}),
        ("scaling", {"sigma": 0}),
        ("uniform_noise", {"rate": 0}),
        ("time_mask", {"rate": 0}),
        ("channel_mask", {"rate": 0}),
        ("channel_mask", {"rate": 0, "block": True}),
        ("time_alteration", {"rate": 0}),
        ("mixup", {"most": 0}),
        ("time_warp", {"sigma": 0}),
        ("rotation", {"degrees": 0}),
        ("crop", {"least": 1}),
        ("frequency_mask", {"rate": 0}),
        ("resized_crop", {"least": 1, "most": 1, "canvas": 1}),
    ],
)
@pytest.mark.parametrize("spec", [PLAIN, SCALED])
def test_nothing_asked_nothing_changed(name: str, options: dict[str, Any], spec: SignalSpec) -> None:
    given = signals()
    torch.testing.assert_close(run(make(name, **options), given, spec), given[0].values, rtol=1e-5, atol=1e-5)


def test_jitter_is_relative_to_the_channel() -> None:
    flat = (Signals(torch.zeros(M, C, T)), torch.arange(M))
    for spec, std in ((PLAIN, PLAIN.scale.std), (SCALED, (1.0,) * 6)):
        found = run(make("jitter", sigma=0.3), flat, spec).std((0, 2)) / torch.tensor(std)
        torch.testing.assert_close(found, torch.full((6,), 0.3), rtol=0.03, atol=0)


def test_scaling_has_a_factor_a_channel_window_or_sample() -> None:
    ones = (Signals(torch.ones(M, C, T)), torch.arange(M))
    for per, distinct in (("channel", (M, C, 1)), ("window", (M, 1, 1)), ("sample", (M, 1, T))):
        made = run(make("scaling", per=per, mean=2, sigma=1.1), ones)
        axes = [axis for axis in range(3) if distinct[axis] == 1]
        for axis in axes:
            torch.testing.assert_close(made, made.mean(axis, keepdim=True).expand_as(made))
        factors = made[tuple(slice(0, size) for size in distinct)]
        assert abs(float(factors.mean()) - 2) < 0.25
        assert abs(float(factors.std()) - 1.1) < 0.2


@pytest.mark.parametrize("name", ["scaling", "negate", "rotation", "axis_switch"])
def test_physical_changes_are_the_same_on_standardised_batches(name: str) -> None:
    raw, numbers = signals()
    mean, std = (torch.tensor(v)[:, None] for v in (PLAIN.scale.mean, PLAIN.scale.std))
    standardised = Signals((raw.values - mean) / std)
    wanted = run(make(name), (raw, numbers), PLAIN)
    torch.testing.assert_close(run(make(name), (standardised, numbers), SCALED) * std + mean, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["rotation", "axis_switch"])
def test_turning_keeps_norms_and_turns_sensors_together(name: str) -> None:
    given = signals()
    made = run(make(name), given)
    for triad in PLAIN.triads:
        torch.testing.assert_close(made[:, list(triad)].norm(dim=1), given[0].values[:, list(triad)].norm(dim=1))
    # Both sensors by one matrix: inner products between them stay too.
    before = (given[0].values[:, :3] * given[0].values[:, 3:]).sum(1)
    torch.testing.assert_close((made[:, :3] * made[:, 3:]).sum(1), before, rtol=1e-4, atol=1e-4)
    alone = run(make(name, together=False), given)
    assert not torch.allclose((alone[:, :3] * alone[:, 3:]).sum(1), before, atol=1e-2)


def test_rotation_matrices_are_products_about_z_y_x() -> None:
    angles = torch.rand(50, 3, dtype=torch.float64) * 6 - 3
    for row, made in zip(angles.tolist(), rotation(angles).numpy(), strict=True):
        (z, y, x) = row
        rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
        ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
        rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
        np.testing.assert_allclose(made, rx @ ry @ rz, atol=1e-12)


def test_axis_switch_draws_all_six_orders() -> None:
    made = run(make("axis_switch"), ramp())
    orders = (made[:, :3, 0] % 10000 // 1000).long()
    found = {tuple(order) for order in orders.tolist()}
    assert len(found) == 6
    assert torch.equal((made[:, 3:, 0] % 10000 // 1000).long() - 3, orders)


def test_turning_finds_triads_that_are_not_in_order() -> None:
    spec = replace(PLAIN, triads=((5, 3, 1),))
    given = signals()
    made = run(make("rotation"), given, spec)
    assert torch.equal(made[:, [0, 2, 4]], given[0].values[:, [0, 2, 4]])
    torch.testing.assert_close(made[:, [1, 3, 5]].norm(dim=1), given[0].values[:, [1, 3, 5]].norm(dim=1))


@pytest.mark.parametrize(("segments", "shortest", "up_to"), [(4, 11, False), (8, 4, True), (2, 1, False)])
def test_permutation_moves_whole_segments_of_all_channels(segments: int, shortest: int, up_to: bool) -> None:
    made = run(make("permutation", segments=segments, shortest=shortest, up_to=up_to), ramp())
    source = made - 1000.0 * torch.arange(C)[:, None] - 10000.0 * torch.arange(M)[:, None, None]
    assert torch.equal(source, source[:, :1].expand_as(source)), "channels were permuted each by itself"
    for row in source[:, 0].long().tolist():
        assert sorted(row) == list(range(T))
        cuts = [0, *(t for t in range(1, T) if row[t] != row[t - 1] + 1), T]
        sizes = [b - a for a, b in zip(cuts, cuts[1:])]
        assert min(sizes) >= shortest
        assert len(sizes) <= segments
    if not up_to:
        same = float((source[:, 0] == torch.arange(T)).all(1).float().mean())
        assert abs(same - 1 / math.factorial(segments)) < 0.1
    assert len({tuple(row) for row in source[:, 0].tolist()}) > M / 5


def test_permutation_of_one_channel_stands_in_for_all() -> None:
    whole = run(make("permutation", segments=4, shortest=5), ramp())
    one = run(make("permutation", segments=4, shortest=5, channel=1), ramp())
    assert torch.equal(one, whole[:, 1:2].expand_as(whole))
    assert not torch.equal(one, whole)
    with pytest.raises(UsageError, match=r"channel 9 of signals with \d+ channels"):
        make("permutation", segments=2, shortest=1, channel=9).check(PLAIN)


def test_permutation_of_ragged_rows_stays_inside_them() -> None:
    given = signals(ragged=True)
    made = run(make("permutation"), given)
    lengths = given[0].visible.sum(1)  # type: ignore[union-attr]
    for row in range(0, M, 7):
        before, after = (v[row, 0, : lengths[row]].sort().values for v in (given[0].values, made))
        torch.testing.assert_close(after, before)


def test_time_warp_against_plain_numpy() -> None:
    given, numbers = signals()
    rng = Rng.root(3)
    made = make("time_warp", sigma=0.2, knots=6)(given, numbers, rng, PLAIN).values
    first, second = rng.uniform(numbers, 12).double().chunk(2, dim=1)
    knots = 1 + 0.2 * np.sqrt(-2 * np.log1p(-first.numpy())) * np.cos(2 * np.pi * second.numpy())
    for row in range(0, M, 20):
        speed = np.maximum(CubicSpline(np.linspace(0, T - 1, 6), knots[row])(np.arange(T)), 0.05)
        place = np.concatenate([[0], np.cumsum(speed[1:])])
        place *= (T - 1) / place[-1]
        for channel in range(C):
            wanted = np.interp(place, np.arange(T), given.values[row, channel].double().numpy())
            np.testing.assert_allclose(made[row, channel].numpy(), wanted, atol=2e-4)


def test_time_warp_of_channels_differs() -> None:
    same = run(make("time_warp"), ramp()) % 1000
    torch.testing.assert_close(same, same[:, :1].expand_as(same), atol=0.2, rtol=0)
    alone = run(make("time_warp", per="channel"), ramp()) % 1000
    assert float((alone - alone[:, :1]).abs().amax()) > 1


def test_arrow_of_time_reverses() -> None:
    given = signals(ragged=True)
    made = run(make("arrow_of_time"), given)
    lengths = given[0].visible.sum(1).tolist()  # type: ignore[union-attr]
    for row, length in enumerate(lengths):
        assert torch.equal(made[row, :, :length], given[0].values[row, :, :length].flip(1))


def test_crop_is_a_stretch_resampled() -> None:
    made = run(make("crop", least=0.5), ramp())[:, 0] - 10000.0 * torch.arange(M)[:, None]
    steps = made.diff(dim=1)
    torch.testing.assert_close(steps, steps.mean(1, keepdim=True).expand_as(steps), atol=0.3, rtol=0)
    share = (made[:, -1] - made[:, 0]) / (T - 1)
    assert 0.49 < float(share.min()) < 0.55
    assert float(share.max()) > 0.95
    assert float(made.min()) >= 0
    assert float(made.max()) <= T - 1


def test_sample_at_is_linear_interpolation() -> None:
    values = torch.randn(3, 2, 11, dtype=torch.float64)
    place = torch.rand(3, 7, dtype=torch.float64) * 10
    made = sample_at(values, place)
    for row in range(3):
        for channel in range(2):
            wanted = np.interp(place[row].numpy(), np.arange(11), values[row, channel].numpy())
            np.testing.assert_allclose(made[row, channel].numpy(), wanted, atol=1e-12)


def test_time_mask_zeroes_one_stretch() -> None:
    made = run(make("time_mask", rate=0.2), (Signals(torch.ones(M, C, T)), torch.arange(M)))
    hidden = made == 0
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))
    assert hidden[:, 0].sum(1).tolist() == [18] * M
    assert ((hidden[:, 0].long().diff(dim=1) == 1).sum(1) + hidden[:, 0, 0].long()).tolist() == [1] * M
    starts = hidden[:, 0].long().argmax(1)
    assert int(starts.min()) < 5
    assert int(starts.max()) > 65


@pytest.mark.parametrize("block", [False, True])
def test_channel_mask_zeroes_its_share(block: bool) -> None:
    many = (Signals(torch.ones(4000, C, 2)), torch.arange(4000))
    transform = make("channel_mask", rate=0.5, block=block)
    hidden = run(transform, many)[:, :, 0] == 0
    assert abs(float(hidden.float().mean()) - transform.share(PLAIN)) < 0.02
    if block:
        assert int(hidden.sum(1).max()) == 3
        starts = (hidden.long().diff(dim=1) == 1).sum(1) + hidden[:, 0].long()
        assert int(starts.max()) == 1


def test_frequency_mask_takes_a_band_out_and_nothing_else() -> None:
    given = signals()
    made = run(make("frequency_mask", rate=0.2), given)
    before, after = (torch.fft.rfft(v.double(), dim=2) for v in (given[0].values, made))
    gone = after.abs().amax(1) < 1e-3
    assert gone[:, 1:].sum(1).tolist() == [round(0.2 * (T // 2))] * M
    kept = ~gone[:, None].expand_as(before)
    torch.testing.assert_close(after[kept], before[kept], atol=1e-4, rtol=0)
    torch.testing.assert_close(made.mean(2), given[0].values.mean(2), atol=1e-5, rtol=0)


def test_frequency_mask_of_spectrograms_takes_bins() -> None:
    spec = replace(PLAIN, bins=3, triads=())
    made = run(make("frequency_mask", rate=0.34), (Signals(torch.ones(M, C, T)), torch.arange(M)), spec)
    hidden = (made == 0).view(M, 2, 3, T)
    assert hidden.sum(2).unique().tolist() == [1]
    assert torch.equal(hidden[:, 0], hidden[:, 1])


@pytest.mark.parametrize("per", ["window", "channel"])
def test_alteration_strikes_fifteen_percent(per: str) -> None:
    given = signals()
    made = run(make("time_alteration", zero=1.0, per=per), given)
    assert abs(float((made != given[0].values).float().mean()) - 0.15) < 0.03
    kinds = run(make("time_alteration"), given)
    rows = (kinds != given[0].values).any(1).any(1)
    assert abs(float(rows.float().mean()) - 0.9) < 0.06
    zeros = (kinds == 0).all(1).any(1)
    assert abs(float(zeros.float().mean()) - 0.8) < 0.08


def test_uniform_noise_replaces_its_share() -> None:
    given = signals()
    for per in ("sample", "channel"):
        transform = make("uniform_noise", rate=0.3, per=per)
        made = run(transform, given)
        struck = made != given[0].values
        assert abs(float(struck.float().mean()) - 0.3) < 0.04
        mean, std = (torch.tensor(v)[:, None] for v in (PLAIN.scale.mean, PLAIN.scale.std))
        noise = ((made - mean) / std)[struck]
        assert float(noise.abs().max()) <= 1.7 + 1e-5
        assert abs(float(noise.std()) - 1.7 / math.sqrt(3)) < 0.03
        if per == "channel":
            assert torch.equal(struck.any(2), struck.all(2))


def test_mixup_adds_a_share_of_another_row() -> None:
    own = torch.eye(M).unsqueeze(1)
    spec = replace(PLAIN, channels=("x",), triads=(), scale=Scale((0.0,), (1.0,)))
    made = run(make("mixup", most=0.4), (Signals(own), torch.arange(M)), spec)[:, 0]
    shares = made.diagonal()
    assert float(shares.min()) >= 0.6
    other = made - torch.diag(shares)
    assert (other > 0).sum(1).max() == 1
    torch.testing.assert_close(other.sum(1), 1 - shares)
    same = torch.ones(M, 1, T) * 2.5
    torch.testing.assert_close(run(make("mixup"), (Signals(same), torch.arange(M)), spec), same)


@pytest.mark.parametrize("standardised", [False, True])
def test_mixup_of_spectrograms_adds_energies(standardised: bool) -> None:
    scale = Scale((-1.0, 2.0), (2.0, 0.5), standardised)
    spec = replace(PLAIN, channels=("x@0", "x@1"), triads=(), bins=2, scale=scale)
    values = torch.randn(2, 2, 5)
    made = run(make("mixup"), (Signals(values), torch.arange(2)), spec)
    mean, std = (torch.tensor(v)[:, None] if standardised else w for v, w in ((scale.mean, 0.0), (scale.std, 1.0)))
    energy, mixed = (values * std + mean).exp(), (made * std + mean).exp()
    share = Rng.root(1).fork("share").uniform(torch.arange(2))[:, :, None] * 0.4
    torch.testing.assert_close(mixed, (1 - share) * energy + share * energy.flip(0), rtol=1e-4, atol=1e-5)


def test_resized_crop_stays_on_the_canvas() -> None:
    made = run(make("resized_crop", least=0.6, most=1.5), (Signals(torch.ones(M, C, T)), torch.arange(M)))
    inside = made > 0.99
    assert 0.6 < float(inside.float().mean()) < 0.99
    assert bool((inside.float().mean(2) > 0.3).all())
    small = run(make("resized_crop", least=0.5, most=0.5, canvas=1), ramp())[:, 0] % 10000
    steps = small[:, 5:-5].diff(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 0.5), atol=0.15, rtol=0)


def test_batch_standardise() -> None:
    for ragged in (False, True):
        given = signals(ragged=ragged)
        made = run(make("batch_standardise"), given)
        seen = made.transpose(1, 2)[given[0].visible] if ragged else made
        assert abs(float(seen.mean())) < 1e-4
        assert abs(float(seen.std(correction=0)) - 1) < 1e-4


def test_randomized_quantization_keeps_order_and_few_levels() -> None:
    given = signals()
    made = run(make("randomized_quantization", regions=5), given)
    for row in range(0, M, 11):
        for channel in range(C):
            order = given[0].values[row, channel].argsort()
            after = made[row, channel][order]
            assert len(after.unique()) <= 5
            assert bool((after.diff() >= 0).all())
    low, high = given[0].values.amin(2, keepdim=True), given[0].values.amax(2, keepdim=True)
    assert bool((made >= low - 1e-5).all())
    assert bool((made <= high + 1e-5).all())


def test_misfits_are_refused_by_name() -> None:
    without = replace(PLAIN, triads=())
    with pytest.raises(UsageError, match="rotation.*names none"):
        make("rotation").check(without)
    with pytest.raises(UsageError, match="axis_switch"):
        make("axis_switch").check(without)
    with pytest.raises(UsageError, match="4 segments of 30 samples"):
        make("permutation", shortest=30).check(PLAIN)


def test_rows_say_their_lengths() -> None:
    given, numbers = signals(ragged=True)
    assert given.visible is not None
    assert torch.equal(Rows(given.values, given.visible, numbers, PLAIN).lengths, given.visible.sum(1))
