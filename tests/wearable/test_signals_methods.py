"""Methods of signals against independent implementations in float64, written with plain loops from the papers' equations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Assembly, Progress, View
from sslplug.errors import DataError, UsageError
from sslplug.objectives import OBJECTIVES
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.encoders import ENCODERS
from sslplug_sequence.signals.methods import METHODS, clan, collossl, cpc, ts2vec
from sslplug_sequence.signals.spec import Scale, SignalSpec

DEVICES = ("torso", "arm", "leg")


def spec(channels: int = 3, length: int = 64, devices: tuple[str, ...] = ("wrist",)) -> SignalSpec:
    names = tuple(f"c{number}" for number in range(channels))
    return SignalSpec(names, devices, length, 50.0, ((0, 1, 2),), Scale((0.0,) * channels, (1.0,) * channels))


@dataclass(frozen=True)
class Fixed:
    """Views that are always the same."""

    made: Sequence[View]
    rates: dict[str, float] = field(default_factory=dict)

    def __call__(self, batch: Any, rng: Rng) -> list[View]:
        return list(self.made)


def assembled(method: str, views: Any, encoder: nn.Module, of: SignalSpec, **options: Any) -> nn.Module:
    def objective(dim: int) -> nn.Module:
        component = OBJECTIVES["infonce"]
        made: nn.Module = component.build(component.options(temperature=0.2), dim)
        return made

    assembly = Assembly(of, "window", views, encoder, lambda: encoder, objective, _never, {}, _never)
    component = METHODS[method]
    torch.manual_seed(1)
    made: nn.Module = component.build(component.options(**options), assembly)
    return made


def _never(*_: Any) -> Any:
    raise AssertionError("this method asks for no such part")


def encoder(name: str, of: SignalSpec, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    component = ENCODERS[name]
    made: nn.Module = component.build(component.options(**options), of)
    return made


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def signals(rows: int, length: int, seed: int = 0, **more: Any) -> View:
    return View(Signals(normal(rows, 3, length, seed=seed).float()), **more)


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


# TS2Vec


def slow_hierarchical(a: np.ndarray, b: np.ndarray, alpha: float, valid: np.ndarray) -> float:
    """The paper's algorithm 1 and equations 1 and 2, one anchor at a time; the mean over scales as in the release."""

    def anchor(own: np.ndarray, partner: np.ndarray, others: list[np.ndarray]) -> float:
        return float(np.log(sum(math.exp(own @ other) for other in [partner, *others])) - own @ partner)

    losses = []
    while True:
        m, count, _ = a.shape
        inst, temp = [], []
        for one, two in ((a, b), (b, a)):
            for i in range(m):
                for t in range(count):
                    if not valid[i, t]:
                        continue
                    rows = [j for j in range(m) if j != i and valid[j, t]]
                    inst.append(anchor(one[i, t], two[i, t], [two[j, t] for j in rows] + [one[j, t] for j in rows]))
                    times = [s for s in range(count) if s != t and valid[i, s]]
                    temp.append(anchor(one[i, t], two[i, t], [two[i, s] for s in times] + [one[i, s] for s in times]))
        losses.append(alpha * np.mean(inst) + ((1 - alpha) * np.mean(temp) if count > 1 else 0.0))
        if count == 1:
            return float(np.mean(losses))
        half = count // 2
        least = np.where(valid[:, :, None], 0.0, -np.inf)
        a, b = ((x + least)[:, : 2 * half].reshape(m, half, 2, -1).max(2) for x in (a, b))
        valid = valid[:, : 2 * half].reshape(m, half, 2).any(2)
        a, b = (np.where(valid[:, :, None], x, 0.0) for x in (a, b))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_hierarchical_loss_is_the_papers(alpha: float, count: int) -> None:
    a, b = normal(4, count, 5, seed=1), normal(4, count, 5, seed=2)
    want = slow_hierarchical(a.numpy(), b.numpy(), alpha, np.ones((4, count), bool))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "float", Tensor.double)  # the same formula in float64
        found = ts2vec.hierarchical_loss(a, b, alpha)
    assert float(found) == pytest.approx(want, abs=1e-10)
    assert float(ts2vec.hierarchical_loss(a.float(), b.float(), alpha)) == pytest.approx(want, abs=1e-5)


def test_samples_past_the_end_are_neither_anchors_nor_negatives() -> None:
    a, b = normal(4, 9, 5, seed=1), normal(4, 9, 5, seed=2)
    valid = torch.arange(9) < torch.tensor([9, 5, 4, 1])[:, None]
    want = slow_hierarchical(a.numpy(), b.numpy(), 0.5, valid.numpy())
    x, y = a.float().requires_grad_(), b.float().requires_grad_()
    found = ts2vec.hierarchical_loss(x, y, 0.5, valid)
    assert float(found.detach()) == pytest.approx(want, abs=1e-5)
    found.backward()
    for rows in (x, y):
        assert rows.grad is not None
        assert bool(torch.isfinite(rows.grad).all())
        assert float(rows.grad[~valid].abs().max()) == 0


def test_a_shared_stretch_past_every_end_costs_nothing() -> None:
    x, y = (normal(3, 6, 4, seed=seed).float().requires_grad_() for seed in (1, 2))
    loss = ts2vec.hierarchical_loss(x, y, 0.5, torch.zeros(3, 6, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0
    assert x.grad is not None
    assert float(x.grad.abs().max()) == 0


def test_contrast_survives_large_dot_products() -> None:
    a = (30 * normal(3, 6, 8)).float().requires_grad_()
    loss = ts2vec.hierarchical_loss(a, a.detach().roll(1, 0), 0.5)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert a.grad is not None
    assert bool(torch.isfinite(a.grad).all())


def crops(of: tuple[slice, slice], rows: int = 6, lengths: Sequence[int] | None = None) -> list[View]:
    """Two crops of the same series; ids name the absolute samples."""
    values = normal(rows, 3, 40).float()
    ids = torch.arange(rows * 40).view(rows, 40)
    visible = None if lengths is None else torch.arange(40) < torch.tensor(lengths)[:, None]
    made = []
    for part in of:
        shown = None if visible is None else visible[:, part]
        made.append(View(Signals(values[:, :, part], shown), ids={"step": ids[:, part].flatten()}))
    return made


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ((0, 30), (10, 40), (10, 30)),
        ((10, 40), (0, 30), (10, 30)),
        ((0, 40), (12, 20), (12, 20)),
        ((0, 40), (0, 40), (0, 40)),
    ],
)
def test_crops_are_aligned_by_their_samples(
    first: tuple[int, int], second: tuple[int, int], shared: tuple[int, int]
) -> None:
    ids = torch.arange(80).view(2, 40)
    a, b = ids[:, slice(*first)], ids[:, slice(*second)]
    left, right = ts2vec.overlap(a, b)
    assert a[0, left].tolist() == b[0, right].tolist() == list(range(*shared))


def test_crops_that_cannot_be_aligned_are_refused() -> None:
    ids = torch.arange(80).view(2, 40)
    with pytest.raises(DataError, match="share no stretch"):
        ts2vec.overlap(ids[:, :10], ids[:, 20:])
    shifted = torch.stack([ids[0, 5:20], ids[1, 6:21]])
    with pytest.raises(DataError, match="lies alike in all 2 rows"):
        ts2vec.overlap(ids[:, :30], shifted)
    made = assembled("ts2vec", Fixed([signals(3, 20), signals(3, 20)]), encoder("ts2vec", spec(), depth=1), spec())
    with pytest.raises(DataError, match="ids of level 'step'"):
        made(None, Rng.root(0))


def test_ts2vec_compares_the_shared_samples_alone() -> None:
    made = assembled(
        "ts2vec", Fixed(crops((slice(0, 30), slice(10, 40)))), encoder("ts2vec", spec(), depth=2), spec()
    ).eval()
    a, b, valid = made._shared(made.student, None, Rng.root(0))
    rows = [made.student(view)["step"].view(6, 30, -1) for view in made.views(None, Rng.root(0))]
    assert torch.equal(a, rows[0][:, 10:])
    assert torch.equal(b, rows[1][:, :20])
    assert valid is None
    want = ts2vec.hierarchical_loss(a, b, 0.5)
    assert torch.equal(made(None, Rng.root(0))["hierarchical"], want)


def test_what_is_evaluated_is_the_mean_of_the_steps() -> None:
    made = assembled("ts2vec", Fixed(crops((slice(0, 30), slice(10, 40)))), encoder("ts2vec", spec(), depth=1), spec())
    steps = []
    for step in range(4):
        with torch.no_grad():
            for parameter in made.student.parameters():
                parameter.add_(0.1 * (step + 1))
        steps.append([p.detach().clone() for p in made.student.parameters()])
        made.after_step(Progress(0, 1, step, 4))
    for number, mean in enumerate(made.encoder.parameters()):
        torch.testing.assert_close(mean.detach(), torch.stack([values[number] for values in steps]).mean(0))
    assert all(p.requires_grad for p in made.encoder.parameters()), "fine-tuning starts from these"
    made(None, Rng.root(0))["hierarchical"].backward()
    assert all(p.grad is None for p in made.encoder.parameters())
    assert all(p.grad is not None and bool(p.grad.any()) for p in made.student.parameters())
    without = assembled("ts2vec", made.views, encoder("ts2vec", spec(), depth=1), spec(), average=False)
    assert without.encoder is without.student


def test_ts2vec_on_ragged_series() -> None:
    views = Fixed(crops((slice(0, 30), slice(10, 40)), lengths=[40, 33, 25, 14, 12, 11]))
    made = assembled("ts2vec", views, encoder("ts2vec", spec(), depth=2), spec())
    loss = total(made(None, Rng.root(0)))
    loss.backward()
    assert bool(torch.isfinite(loss))
    seen = made.observe(None, Rng.root(0))
    shared = sum(min(length, 30) - 10 for length in (40, 33, 25, 14, 12, 11))
    assert seen["view0"].shape == seen["view1"].shape == (shared, 320)
    assert bool(torch.isfinite(seen["view0"]).all())


# CPC and TS-TCC


def slow_predictive(contexts: np.ndarray, latents: np.ndarray, maps: np.ndarray) -> float:
    """(m, w) contexts, (m, K, d) coming latents, (K, w, d) maps: van den Oord et al. 2018, equation 4, mean over i and k."""
    m, horizons = latents.shape[:2]
    losses = []
    for k in range(horizons):
        for i in range(m):
            scores = np.array([latents[j, k] @ (contexts[i] @ maps[k]) for j in range(m)])
            losses.append(np.log(np.exp(scores).sum()) - scores[i])
    return float(np.mean(losses))


def test_predictive_loss_is_infonce_over_windows() -> None:
    contexts, coming, maps = normal(5, 2, 6, seed=1), normal(5, 2, 3, 4, seed=2), normal(3, 6, 4, seed=3)
    want = np.mean([slow_predictive(contexts[:, s].numpy(), coming[:, s].numpy(), maps.numpy()) for s in range(2)])
    found = cpc.predictive_loss(contexts.float(), coming.float(), maps.float())
    assert float(found) == pytest.approx(want, rel=1e-5)


def test_cpc_predicts_frames_after_its_starts() -> None:
    of = spec()
    made = assembled("cpc", Fixed([signals(5, 64)]), encoder("gru", of, width=16), of, horizons=7, starts=3).eval()
    rng = Rng.root(5)
    starts = torch.randint(64 - 7, (3,), generator=rng.fork("start", 0).torch()).tolist()
    embedding = made.encoder(signals(5, 64))
    contexts = embedding["frame"].detach().double().view(5, 64, -1).numpy()
    latents = embedding["latent"].detach().double().view(5, 64, -1).numpy()
    maps = made.maps.detach().double().numpy()
    want = np.mean([slow_predictive(contexts[:, t], latents[:, t + 1 : t + 8], maps) for t in starts])
    assert float(made(None, rng)["cpc"].detach()) == pytest.approx(want, rel=1e-5)
    assert not torch.equal(made(None, Rng.root(6))["cpc"], made(None, rng)["cpc"]), "starts are drawn from rng"


def test_ts_tcc_is_the_papers_loss() -> None:
    of = spec(length=64)
    views = [signals(6, 64, seed=1), signals(6, 64, seed=2)]
    made = assembled("ts_tcc", Fixed(views), encoder("tstcc", of), of, horizons=4, dropout=0.0).eval()
    rng = Rng.root(2)
    frames = []
    for view in views:
        rows = made.encoder(view)["frame"].detach().view(6, -1, 128)
        frames.append(rows / rows.norm(dim=2, keepdim=True))
    count = frames[0].shape[1]
    start = int(torch.randint(count - 4, (), generator=rng.fork("start").torch()))
    contexts = [made.context(rows[:, : start + 1]).detach() for rows in frames]
    maps = made.maps.detach().double().numpy()
    temporal = sum(
        slow_predictive(contexts[v].double().numpy(), frames[1 - v][:, start + 1 : start + 5].double().numpy(), maps)
        for v in (0, 1)
    )
    z = torch.cat([made.projector(context) for context in contexts]).detach().double().numpy()
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    near = z @ z.T / 0.2
    contextual = np.mean(
        [np.log(sum(math.exp(near[i, j]) for j in range(12) if j != i)) - near[i, (i + 6) % 12] for i in range(12)]
    )
    terms = made(None, rng)
    assert float(terms["temporal"].detach()) == pytest.approx(temporal, rel=1e-4)
    assert float(terms["contextual"].detach()) == pytest.approx(0.7 * contextual, rel=1e-4)
    assert set(terms) == {"temporal", "contextual"}


def test_ts_tcc_never_sums_up_what_it_predicts() -> None:
    of = spec(length=64)
    made = assembled("ts_tcc", Fixed([signals(3, 64), signals(3, 64)]), encoder("tstcc", of), of, horizons=4)
    starts = set()
    for seed in range(40):
        frames, _, start = made._seen(None, Rng.root(seed))
        assert 0 <= start < start + 4 < frames[0].shape[1]
        starts.add(start)
    assert starts == set(range(frames[0].shape[1] - 4)), "every start that leaves room is drawn"


@pytest.mark.parametrize(("method", "name"), [("cpc", "gru"), ("ts_tcc", "tstcc")])
def test_too_short_or_ragged_windows_are_refused(method: str, name: str) -> None:
    of = spec(length=64)
    made = assembled(method, Fixed([signals(3, 64), signals(3, 64)]), encoder(name, of), of, horizons=64)
    with pytest.raises(DataError, match="method.horizons"):
        made(None, Rng.root(0))
    if method == "cpc":
        visible = torch.ones(3, 64, dtype=torch.bool)
        visible[0, 50:] = False
        ragged = View(Signals(normal(3, 3, 64).float() * visible[:, None], visible))
        made = assembled(method, Fixed([ragged]), encoder(name, of), of)
        with pytest.raises(DataError, match="ts2vec"):
            made(None, Rng.root(0))


def test_methods_of_two_views_refuse_other_numbers() -> None:
    of = spec(length=64)
    one = Fixed([signals(3, 64), signals(3, 64, role="negative")])
    with pytest.raises(UsageError, match="'ts_tcc' compares two views but found 1"):
        assembled("ts_tcc", one, encoder("tstcc", of), of)(None, Rng.root(0))


# ColloSSL


def device_views(windows: int) -> list[View]:
    """Three devices: arm resembles torso, leg moves three times as much."""
    base = normal(windows, 3, 64)
    values = (base, base + 0.1 * normal(windows, 3, 64, seed=1), 3 * normal(windows, 3, 64, seed=2))
    return [View(Signals(value.float()), role=device) for device, value in zip(DEVICES, values, strict=True)]


def slow_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        gap = float(((x - y) ** 2).sum())
        return sum(math.exp(-gap / (2 * sigma)) for sigma in (1e-4, 1e-3, 0.01, 0.1, 1, 5, 10, 15, 20, 25, 30, 100))

    def mean(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean([[kernel(one, two) for two in y] for one in x]))

    return mean(a, a) + mean(b, b) - 2 * mean(a, b)


def test_discrepancy_is_squared_mmd() -> None:
    a, b = normal(6, 10, seed=1), 1.0 + normal(7, 10, seed=2)
    assert float(collossl.discrepancy(a, b)) == pytest.approx(slow_discrepancy(a.numpy(), b.numpy()), abs=1e-9)
    assert float(collossl.discrepancy(a, a)) == pytest.approx(0.0, abs=1e-12)


def test_collossl_is_the_papers_loss() -> None:
    of = spec(devices=DEVICES)
    made = assembled("collossl", Fixed(device_views(8)), encoder("tpn", of), of, anchor="torso", draws=2).eval()
    views, rng = device_views(8), Rng.root(4)
    z = torch.stack([made.encoder(view)["window"] for view in views], 1).detach().double().numpy()
    z /= np.linalg.norm(z, axis=2, keepdims=True)
    norms = np.linalg.norm(torch.stack([view.data.values for view in views], 1).double().numpy(), axis=2)
    norms /= norms.mean()
    distance = {device: max(slow_discrepancy(norms[:, 0], norms[:, device]), 1e-4) for device in (1, 2)}
    assert distance[1] < distance[2], "the arm resembles the torso"
    closest = 1 / min(distance.values())
    weight = {device: (1 / distance[device]) / closest for device in distance}
    assert weight[1] == 1
    generator = rng.fork("negatives", 0).torch()
    orders = [torch.randperm(8, generator=generator).tolist() for _ in range(4)]
    losses = []
    for i in range(8):
        positive = math.exp(z[i, 0] @ z[i, 1] / 0.05)
        negative = sum(
            weight[device] * math.exp(z[i, 0] @ z[orders[n][i], device] / 0.05) for n, device in enumerate((1, 2, 1, 2))
        )
        losses.append(-math.log(positive / (positive + negative)))
    assert float(made(None, rng)["devices"].detach()) == pytest.approx(np.mean(losses), rel=1e-4)


def test_device_loss_falls_as_the_positive_comes_nearer() -> None:
    anchor, negatives = normal(5, 4, seed=1), normal(2, 5, 4, seed=2)
    away = normal(5, 4, seed=3)
    values = [
        float(collossl.device_loss(anchor, share * anchor + (1 - share) * away, negatives, torch.ones(2), 0.5))
        for share in (0.0, 0.3, 0.6, 0.9, 1.0)
    ]
    assert values == sorted(values, reverse=True)
    start = away.clone().requires_grad_()
    collossl.device_loss(anchor, start, negatives, torch.ones(2), 0.5).backward()
    assert start.grad is not None
    moved = start.detach() - 0.1 * start.grad
    assert bool((torch.cosine_similarity(anchor, moved) > torch.cosine_similarity(anchor, away)).all())
    near = [float(collossl.device_loss(anchor, away, s * anchor + negatives, torch.ones(2), 0.5)) for s in (0.0, 1.0, 3.0)]
    assert near == sorted(near), "the loss rises as negatives come nearer"


def test_collossl_says_what_it_needs() -> None:
    with pytest.raises(UsageError, match="two or more devices"):
        assembled("collossl", Fixed([]), encoder("tpn", spec()), spec())
    of = spec(devices=DEVICES)
    with pytest.raises(UsageError, match="no device 'head'; this data has torso, arm, leg"):
        assembled("collossl", Fixed([]), encoder("tpn", of), of, anchor="head")
    with pytest.raises(UsageError, match="leg among them; found torso, arm"):
        assembled("collossl", Fixed(device_views(4)[:2]), encoder("tpn", of), of, anchor="leg")(None, Rng.root(0))
    with pytest.raises(UsageError, match="found none. Choose the views devices"):
        assembled("collossl", Fixed([signals(3, 64), signals(3, 64)]), encoder("tpn", of), of)(None, Rng.root(0))
    with pytest.raises(DataError, match="one window"):
        assembled("collossl", Fixed(device_views(1)), encoder("tpn", of), of)(None, Rng.root(0))


def test_collossl_without_an_anchor_averages_all_devices() -> None:
    of = spec(devices=DEVICES)
    tpn = encoder("tpn", of)
    each = [
        assembled("collossl", Fixed(device_views(6)), tpn, of, anchor=device).eval()(None, Rng.root(3))["devices"]
        for device in DEVICES
    ]
    every = assembled("collossl", Fixed(device_views(6)), tpn, of).eval()(None, Rng.root(3))["devices"]
    torch.testing.assert_close(every, torch.stack(each).mean())


# CLAN


def test_clan_is_the_papers_loss() -> None:
    rows, others = normal(6, 4, seed=1), normal(5, 4, seed=2)
    unit, far = (x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True) for x in (rows, others))

    def mean_above(values: list[float]) -> float:
        kept = [value for value in values if value > 1e-6]
        return sum(kept) / len(kept)

    together = mean_above([(1 - unit[i] @ unit[j]) / 2 for i in range(6) for j in range(6) if i != j])
    apart = mean_above([0.7 - (1 - unit[i] @ far[j]) / 2 for i in range(6) for j in range(5)])
    terms = clan.clan_terms(rows, others, 0.3, 0.7)
    assert float(terms["together"]) == pytest.approx(0.3 * together, rel=1e-5)
    assert float(terms["apart"]) == pytest.approx(0.7 * apart, rel=1e-5)


def test_clan_is_zero_with_zero_gradient_when_nothing_is_left_to_do() -> None:
    rows = torch.ones(4, 3).requires_grad_()
    terms = clan.clan_terms(rows, -torch.ones(4, 3), 0.5, 0.5)
    total(terms).backward()
    assert float(total(terms).detach()) == 0
    assert rows.grad is not None
    assert float(rows.grad.abs().max()) == 0


def test_the_pull_together_alone_collapses_and_the_negatives_prevent_it() -> None:
    of = spec(length=64)
    views = Fixed([signals(32, 64, seed=1), View(Signals(2 * normal(32, 3, 64, seed=3).float() + 1), role="negative")])

    def spread(alpha: float) -> float:
        made = assembled("clan", views, encoder("tpn", of, dropout=0.0), of, alpha=alpha)
        optimiser = torch.optim.Adam(made.parameters(), lr=3e-3)
        for step in range(25):
            optimiser.zero_grad()
            total(made(None, Rng.root(step))).backward()
            optimiser.step()
        both = torch.cat([made.projector(made.encoder(view)["window"]) for view in views.made]).detach()
        directions = nn.functional.normalize(both, dim=1)
        return float(1 - (directions @ directions.t()).mean())

    assert spread(1.0) < 0.02
    assert spread(0.5) > 0.2


def test_the_training_mean_is_the_least_anomalous_direction() -> None:
    train = normal(20, 6, seed=1) + torch.tensor([3.0, 0, 0, 0, 0, 0])
    rows = torch.cat([train.mean(0)[None], -train.mean(0)[None], train])
    found = clan.score(train, rows)
    assert float(found[0]) == pytest.approx(-1) == float(found.min())
    assert float(found[1]) == pytest.approx(1)
    torch.testing.assert_close(found, clan.score(train, 5 * rows))


def test_clan_needs_negatives_and_company() -> None:
    of = spec(length=64)
    with pytest.raises(UsageError, match="role 'negative'"):
        assembled("clan", Fixed([signals(3, 64)]), encoder("tpn", of), of)(None, Rng.root(0))
    single = Fixed([signals(1, 64), signals(1, 64, role="negative")])
    with pytest.raises(DataError, match="one window"):
        assembled("clan", single, encoder("tpn", of), of)(None, Rng.root(0))


# All


def setups() -> dict[str, tuple[Callable[[], Any], str, dict[str, Any]]]:
    pair = [signals(6, 64, seed=1), signals(6, 64, seed=2)]
    return {
        "ts2vec": (lambda: Fixed(crops((slice(0, 30), slice(10, 40)))), "ts2vec", {"depth": 1}),
        "ts_tcc": (lambda: Fixed(pair), "tstcc", {}),
        "cpc": (lambda: Fixed(pair[:1]), "gru", {"width": 16}),
        "collossl": (lambda: Fixed(device_views(6)), "tpn", {}),
        "clan": (lambda: Fixed([pair[0], signals(6, 64, seed=3, role="negative")]), "tpn", {}),
    }


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_learns_repeats_and_observes(method: str) -> None:
    views, name, options = setups()[method]
    of = spec(length=64, devices=DEVICES)
    made = assembled(method, views(), encoder(name, of, **options), of).eval()
    assert made(None, Rng.root(1)).keys() == made(None, Rng.root(2)).keys()
    first, second = total(made(None, Rng.root(1))), total(made(None, Rng.root(1)))
    assert torch.equal(first, second)
    made.train()
    before = {key: value.clone() for key, value in made.state_dict().items()}
    seen = made.observe(None, Rng.root(1))
    assert made.training
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items()), "looking changes nothing"
    assert not any(rows.requires_grad for rows in seen.values())
    assert len({rows.shape for rows in seen.values()}) == 1
    learned = [p for key, p in made.named_parameters() if method != "ts2vec" or not key.startswith("encoder.")]
    optimiser = torch.optim.Adam(learned, lr=1e-3)
    losses = []
    for step in range(25):
        optimiser.zero_grad()
        loss = total(made(None, Rng.root(step)))
        loss.backward()
        if step == 0:
            assert all(p.grad is not None for p in learned), [k for k, p in made.named_parameters() if p.grad is None]
        optimiser.step()
        made.after_step(Progress(0, 1, step, 25))
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_needs_name_levels_that_options_choose() -> None:
    component = METHODS["cpc"]
    assert component.needs(component.options(context="step")) == {"level:step", "level:latent"}
    assert METHODS["clan"].needs(SimpleNamespace()) == {"negatives"}
