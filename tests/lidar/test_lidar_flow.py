"""Scene flow: its numbers, correspondence, refinement, the two methods and the tasks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.flow.correspondence import Transport, log_transport, soft_flow
from sslplug_lidar.flow.flow_net import FlowNet, FlowNetOptions
from sslplug_lidar.flow.flow_net import build as build_net
from sslplug_lidar.flow.just_go import JustGo, JustGoOptions
from sslplug_lidar.flow.metrics import flow_errors
from sslplug_lidar.flow.pairs import Selection, choose, pairs_of, spread
from sslplug_lidar.flow.refine import Refinement, around, refine, roughness
from sslplug_lidar.flow.scoop import Scoop, ScoopOptions
from sslplug_lidar.flow.set_conv import SetConv, SetConvEncoder, SetConvOptions
from sslplug_lidar.flow.sweep_pairs import SweepPairs, SweepPairsOptions
from sslplug_lidar.flow.sweep_pairs import build as build_views
from sslplug_lidar.flow.tasks import embedded_flow, flow_tasks
from sslplug_lidar.spec import CloudSpec


def cloud(points: int, seed: int) -> Tensor:
    return torch.rand(points, 3, generator=Rng.root(seed).torch()) * torch.tensor([8.0, 8.0, 3.0])


def packed(clouds: list[Tensor], first: int = 0) -> Clouds:
    lengths = torch.tensor([len(c) for c in clouds])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return Clouds(
        offsets=offsets,
        xyz=torch.cat(clouds),
        features=torch.zeros(int(offsets[-1]), 0),
        index=torch.arange(len(clouds)) + first,
        start=offsets[:-1],
        number=torch.cat([torch.arange(len(c)) for c in clouds]),
    )


def pair_batch(clouds: list[Tensor], shift: Tensor) -> Clouds:
    before = packed(clouds)
    return replace(packed([c + shift for c in clouds], first=10), previous=before)


class Whole:
    """Views that hand the batch over as it is."""

    rates: dict[str, float] = {}

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        return [View(batch)]


def test_errors_of_known_flow() -> None:
    true = np.array([[1.0, 0, 0], [10, 0, 0], [0, 1, 0], [0, 0, 0], [np.nan, 0, 0]])
    # errors .04 (4 %), .4 (4 %), .08 (8 %), .5 (of nothing), unknown
    predicted = true + np.array([[0.04, 0, 0], [0, 0.4, 0], [0, 0, 0.08], [0.5, 0, 0], [7, 7, 7]])
    found = flow_errors(predicted, true)
    assert found["epe"] == pytest.approx((0.04 + 0.4 + 0.08 + 0.5) / 4)
    assert found["acc_strict"] == pytest.approx(2 / 4)
    assert found["acc_relaxed"] == pytest.approx(3 / 4)
    assert found["outliers"] == pytest.approx(2 / 4)
    with pytest.raises(DataError, match="no point of this pair"):
        flow_errors(predicted[4:], true[4:])
    with pytest.raises(DataError, match="one a point"):
        flow_errors(predicted[:2], true)


def test_balanced_transport_keeps_every_mass() -> None:
    score = torch.rand(7, 5, generator=Rng.root(0).torch(), dtype=torch.float64)
    within = torch.ones(7, 5, dtype=torch.bool)
    mass = log_transport(score, within, Transport(eps=0.1, gamma=float("inf"), steps=200)).exp()
    assert torch.allclose(mass.sum(1), torch.full((7,), 1 / 7, dtype=torch.float64))
    assert torch.allclose(mass.sum(0), torch.full((5,), 1 / 5, dtype=torch.float64))
    nearly = log_transport(score, within, Transport(eps=0.1, gamma=1e6, steps=200)).exp()
    assert torch.allclose(nearly.sum(1), torch.full((7,), 1 / 7, dtype=torch.float64), atol=1e-5)


def test_one_unbalanced_step_is_the_plain_formula() -> None:
    score = torch.rand(6, 4, generator=Rng.root(1).torch(), dtype=torch.float64)
    within = torch.rand(6, 4, generator=Rng.root(2).torch()) < 0.8
    eps, gamma = 0.3, 0.7
    kernel = ((score - 1) / eps).exp() * within
    power = gamma / (gamma + eps)
    b = (1 / 4 / kernel.sum(0)) ** power
    a = (1 / 6 / (kernel @ b)) ** power
    found = log_transport(score, within, Transport(eps=eps, gamma=gamma)).exp()
    assert torch.allclose(found, a[:, None] * kernel * b)


def test_soft_flow_respects_reach_and_sparse_support() -> None:
    source, target = torch.zeros(2, 3), torch.tensor([[1.0, 0, 0], [0, 30, 0]])
    source[1, 0] = 500.0
    features = torch.eye(2)
    flow, sure = soft_flow(source, target, features[[1, 0]], features, Transport())
    # Point 0 looks like the target 30 m away, which is out of reach: only the other is left, unlike it.
    assert torch.allclose(flow[0], torch.tensor([1.0, 0, 0]))
    assert sure[0] == 0
    assert torch.equal(flow[1], torch.zeros(3))
    assert sure[1] == 0
    assert torch.isfinite(flow).all()


def test_soft_flow_has_finite_gradients_where_a_point_is_alone() -> None:
    rows = torch.rand(3, 4, generator=Rng.root(3).torch(), requires_grad=True)
    source = torch.tensor([[0.0, 0, 0], [1, 0, 0], [900, 0, 0]])
    eps = torch.tensor(0.1, requires_grad=True)
    flow, sure = soft_flow(source, source[:2] + 0.1, rows, rows[:2].detach(), Transport(eps=eps))
    (flow.square().sum() + sure.sum()).backward()
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()
    assert torch.isfinite(eps.grad).all()
    assert rows.grad[2].abs().sum() == 0


def test_identical_features_far_apart_are_found_exactly() -> None:
    source = cloud(40, 4)
    order = torch.randperm(40, generator=Rng.root(5).torch())
    shift = torch.tensor([0.6, -0.4, 0.1])
    flow, sure = soft_flow(source, (source + shift)[order], torch.eye(40), torch.eye(40)[order], Transport())
    assert torch.allclose(flow, shift.expand(40, 3), atol=1e-4)
    assert torch.allclose(sure, torch.ones(40), atol=1e-4)


def test_set_conv_is_the_convolution_over_edges() -> None:
    xyz, features = cloud(20, 6), torch.rand(20, 5, generator=Rng.root(7).torch())
    near = around(xyz, 4)
    torch.manual_seed(0)
    layer = SetConv(5, 8)
    edges = (features[near] @ layer.point.weight.T + layer.point.bias) + (xyz[near] - xyz[:, None]) @ layer.place.weight.T
    expected = nn.functional.leaky_relu(layer.norm(edges.amax(1)), 0.1)
    assert torch.allclose(layer(features, xyz, near), expected, atol=1e-5)


def test_set_conv_embeddings_do_not_change_with_a_shift() -> None:
    torch.manual_seed(0)
    encoder = SetConvEncoder(SetConvOptions(widths=(8, 16), neighbours=6), 0).eval()
    clouds = packed([cloud(30, 8), cloud(20, 9)])
    moved = replace(clouds, xyz=clouds.xyz + torch.tensor([3.0, -2.0, 1.0]))
    with torch.no_grad():
        assert torch.allclose(encoder(View(clouds))["point"], encoder(View(moved))["point"], atol=1e-5)


def test_refined_flow_of_a_rigid_shift_is_within_two_centimetres() -> None:
    source = cloud(512, 10)
    shift = torch.tensor([0.2, 0.2, 0.1]) / torch.tensor(0.3)
    shift = 0.3 * shift / shift.norm()
    target = source + shift
    torch.manual_seed(0)
    encoder = SetConvEncoder(SetConvOptions(widths=(16, 32), neighbours=16), 0).eval()
    with torch.no_grad():
        rows = encoder(View(packed([source, target])))["point"]
    flow, sure = soft_flow(source, target, rows[:512], rows[512:], Transport(eps=0.003))
    before = float((flow - shift).norm(dim=1).mean())
    refined = refine(source, target, flow, sure, Refinement())
    after = float((refined - shift).norm(dim=1).mean())
    assert after < 0.02 < before  # features that were never trained, but do not change with a shift
    noisy = flow + 0.1 * torch.randn(512, 3, generator=Rng.root(0).torch())
    mended = refine(source, target, noisy, torch.ones(512), Refinement())
    assert float((mended - shift).norm(dim=1).mean()) < 0.02 < float((noisy - shift).norm(dim=1).mean())


def test_roughness_is_the_mean_difference_of_neighbours() -> None:
    flow = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 2, 0]])
    near = torch.tensor([[1], [0], [1]])
    assert roughness(flow, near) == pytest.approx((1 + 1 + 2) / 3)
    xyz = torch.tensor([[0.0, 0, 0], [1, 0, 0], [5, 0, 0]])
    assert around(xyz, 1)[:, 0].tolist() == [1, 0, 1]


class Told(nn.Module):
    """An encoder whose flow is told: the same vector for every point, its opposite on the way back."""

    def __init__(self, there: Tensor, back: Tensor) -> None:
        super().__init__()
        self.answers = [there, back]
        self.dims = {"flow": 3}

    def forward(self, view: View) -> Embedding:
        return Embedding({"flow": self.answers.pop(0).expand(len(view.data.previous.xyz), 3)})


def test_just_go_is_zero_for_the_true_flow_and_not_for_rest() -> None:
    shift = torch.tensor([0.3, 0.0, 0.0])
    grid = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0), torch.arange(2.0))
    batch = pair_batch([grid, grid + 0.5], shift)
    true = JustGo(JustGoOptions(), Whole(), Told(shift, -shift))(batch, Rng.root(0))
    assert {name: float(value) for name, value in true.items()} == pytest.approx({"nearest": 0.0, "cycle": 0.0}, abs=1e-9)
    rest = JustGo(JustGoOptions(), Whole(), Told(torch.zeros(3), torch.zeros(3)))(batch, Rng.root(0))
    assert float(rest["nearest"]) == pytest.approx(0.3**2 / 2, rel=1e-4)
    # The anchor is half-way to the true place, so resting on the way back is wrong too; without an anchor it is not.
    assert float(rest["cycle"]) == pytest.approx(0.15**2 / 2, rel=1e-4)
    free = JustGo(JustGoOptions(anchor=1.0), Whole(), Told(torch.zeros(3), torch.zeros(3)))(batch, Rng.root(0))
    assert float(free["cycle"]) == 0.0


def test_just_go_learns_a_shift_without_labels() -> None:
    shift = torch.tensor([0.25, -0.15, 0.0])
    batch = pair_batch([cloud(96, 11), cloud(80, 12)], shift)
    torch.manual_seed(0)
    net = FlowNet(FlowNetOptions(widths=(16, 16), neighbours=8, candidates=12, hidden=16, smoothing=1), 0)
    method = JustGo(JustGoOptions(), Whole(), net)
    adam = torch.optim.Adam(method.parameters(), lr=0.01)

    def error() -> float:
        with torch.no_grad():
            return float((net(View(batch))["flow"] - shift).norm(dim=1).mean())

    untrained = error()
    for step in range(40):
        loss = torch.stack(list(method(batch, Rng.root(step)).values())).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert error() < min(0.5 * untrained, float(shift.norm()))


def test_flow_net_uses_every_parameter() -> None:
    torch.manual_seed(0)
    net = FlowNet(FlowNetOptions(widths=(8, 8), neighbours=4, candidates=4, hidden=8, smoothing=1), 0)
    batch = pair_batch([cloud(20, 13), cloud(12, 14)], torch.tensor([0.1, 0, 0]))
    embedding = net(View(batch))
    assert {level: tuple(rows.shape) for level, rows in embedding.levels.items()} == {
        "point": (32, 8),
        "cloud": (2, 8),
        "flow": (32, 3),
    }
    sum(
        (rows * torch.randn(rows.shape, generator=Rng.root(0).torch())).sum() for rows in embedding.levels.values()
    ).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters())
    with torch.no_grad():
        alone = packed([cloud(20, 13)])
        itself = net(View(replace(alone, previous=alone)))["flow"]
        assert torch.equal(net(View(alone))["flow"], itself)


def test_scoop_terms_of_perfect_features_are_nothing() -> None:
    class Names(nn.Module):
        dims = {"point": 24}

        def forward(self, view: View) -> Embedding:
            return Embedding({"point": torch.eye(24)[view.data.number]})

    shift = torch.tensor([0.4, 0.1, 0.0])
    batch = pair_batch([cloud(24, 15), cloud(24, 16)], shift)
    method = Scoop(ScoopOptions(eps=1e-6), Whole(), Names())
    terms = method(batch, Rng.root(0))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"match": 0, "sure": 0, "smooth": 0}, abs=1e-3
    )
    soft = Scoop(ScoopOptions(eps=1.0), Whole(), Names())(batch, Rng.root(0))
    assert soft["sure"].item() > 0.01
    sum(soft.values()).backward()


def test_scoop_learns_features_that_are_sure() -> None:
    batch = pair_batch([cloud(64, 17)], torch.tensor([0.3, 0.0, 0.0]))
    torch.manual_seed(1)
    method = Scoop(ScoopOptions(), Whole(), SetConvEncoder(SetConvOptions(widths=(16, 16), neighbours=8), 0))
    adam = torch.optim.Adam(method.parameters(), lr=0.01)
    totals = []
    for step in range(30):
        loss = torch.stack(list(method(batch, Rng.root(step)).values())).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        totals.append(loss.item())
    assert totals[-1] < 0.85 * totals[0]
    assert method.log_eps.grad is not None
    assert method.log_eps.item() < 0.0


def test_sweep_pairs_thin_turn_and_flip_without_touching_the_batch() -> None:
    before, now = [cloud(60, 18), cloud(50, 19), cloud(40, 20)], [cloud(60, 21), cloud(50, 22), cloud(40, 23)]
    previous = packed(before)
    previous = replace(previous.keep(previous.cloud_of() != 1), index=torch.tensor([0, -1, 2]))
    batch = replace(packed(now, first=10), previous=previous)
    kept = batch.xyz.clone()
    still = SweepPairs(SweepPairsOptions(points=16, ground=True, flip=0.0, turn=0.0))
    view = still(batch, Rng.root(0))[0].data
    assert view.index.tolist() == [10, 12]  # the one without a sweep before is left out
    assert view.lengths.tolist() == view.previous.lengths.tolist() == [16, 16]
    assert torch.equal(view.xyz, batch.take(torch.tensor([0, 2])).xyz[_places(batch, view)])
    flipped = SweepPairs(SweepPairsOptions(points=16, ground=True, flip=1.0, turn=0.0))(batch, Rng.root(0))[0].data
    assert torch.equal(flipped.xyz, view.previous.xyz)
    assert torch.equal(flipped.previous.xyz, view.xyz)
    turned = SweepPairs(SweepPairsOptions(points=16, ground=True, flip=0.0))(batch, Rng.root(0))[0].data
    assert torch.allclose(turned.xyz.norm(dim=1), view.xyz.norm(dim=1), atol=1e-5)
    assert torch.equal(turned.xyz[:, 2], view.xyz[:, 2])
    assert not torch.allclose(turned.xyz, view.xyz)
    assert torch.equal(batch.xyz, kept)
    with pytest.raises(UsageError, match="no sweeps before"):
        still(packed(now), Rng.root(0))
    for method in (JustGo(JustGoOptions(), Whole(), nn.Identity()), Scoop(ScoopOptions(), Whole(), nn.Identity())):
        with pytest.raises(UsageError, match="no pair of consecutive sweeps"):
            method(packed(now), Rng.root(0))
    objects = CloudSpec((), 100, 1.0)
    with pytest.raises(UsageError, match="no consecutive sweeps"):
        build_views(SweepPairsOptions(), objects)
    with pytest.raises(UsageError, match="no consecutive sweeps"):
        build_net(FlowNetOptions(), objects)


def _places(batch: Clouds, view: Clouds) -> Tensor:
    chosen = batch.take(torch.tensor([0, 2]))
    return chosen.offsets[:-1].repeat_interleave(view.lengths) + view.number


def drive_set(sweeps: int = 4, points: int = 300, known: bool = True) -> CloudSet:
    """Walls and posts that a sensor passes at 0.4 m a sweep, one box of them moving by itself."""
    rng = Rng.root(24).numpy()
    scene = rng.random((points, 3)) * [20, 20, 4] - [10, 10, 0]
    own = np.zeros((points, 3))
    own[:40, 1] = 0.7
    xyz, flow, poses = [], [], []
    for number in range(sweeps):
        pose = np.eye(4)
        pose[0, 3] = 0.4 * number
        poses.append(pose)
        xyz.append(scene + own * number - pose[:3, 3])
        flow.append(own - [0.4, 0, 0])
    offsets = np.arange(sweeps + 1, dtype=np.int64) * points
    return CloudSet(
        "drive",
        offsets,
        np.concatenate(xyz).astype(np.float32),
        np.zeros((sweeps * points, 0), np.float32),
        before=np.arange(sweeps) - 1,
        poses=np.stack(poses),
        flow=np.concatenate(flow).astype(np.float32) if known else None,
    )


def test_pairs_know_their_rows_and_flow() -> None:
    clouds = drive_set()
    chosen = Selection(points=50, dense=120, reach=9.0, ground=True)
    pairs = pairs_of(clouds, np.arange(4), chosen, Rng.root(0))
    assert len(pairs) == 3
    for number, pair in enumerate(pairs, start=1):
        assert len(pair.source) == 50
        assert len(pair.target) == 120
        assert np.allclose(clouds.xyz[pair.source_rows.numpy()], pair.source.numpy(), atol=1e-6)
        assert np.allclose(clouds.xyz[pair.target_rows.numpy()], pair.target.numpy(), atol=1e-6)
        assert (pair.flow_rows - pair.source_rows == 0).all()  # every sweep but the last is one before
        moved = pair.source.numpy() + pair.flow.numpy()
        assert np.allclose(moved, clouds.xyz[pair.source_rows.numpy() + 300], atol=1e-5), number
        assert pair.source.norm(dim=1).max() < 9
    at_rest = pairs_of(drive_set(known=False), np.arange(4), chosen, Rng.root(0))[0]
    assert torch.allclose(at_rest.flow, torch.tensor([-0.4, 0, 0], dtype=torch.float64).expand(50, 3))
    assert spread(np.arange(10), 3).tolist() == [0, 4, 9]
    thin = choose(pairs[0].before, Selection(cell=3.0, reach=9.0, ground=True), Rng.root(0))
    cells = np.floor(pairs[0].before[thin].numpy() / 3.0)
    assert len(np.unique(cells, axis=0)) == len(thin) < len(pairs[0].before)


def test_flow_tasks_tell_good_from_bad_embeddings() -> None:
    clouds = drive_set()
    tasks = flow_tasks(clouds, np.arange(4), "all", Selection(points=64, dense=300, reach=99.0, ground=True))
    assert set(tasks) == {"flow", "flow-refined", "flow-movers"}
    names = np.tile(np.eye(300, dtype=np.float32), (4, 1))
    good = tasks["flow"].measure({"point": names})
    assert good["epe"].shape == (3,)
    assert good["epe"].max() < 1e-3
    assert good["acc_strict"].min() == 1.0
    zero = tasks["flow"].baselines["zero"]()
    assert 0.4 < zero["epe"].mean() < 0.6
    moving = tasks["flow-movers"].baselines["zero"]()["epe"]
    assert np.allclose(moving, np.hypot(0.4, 0.7), atol=1e-6)
    assert tasks["flow"].baselines["icp"]()["epe"].mean() < 0.5 * zero["epe"].mean()
    worse = tasks["flow"].measure({"point": np.roll(names, 1, axis=1) * 2})  # the same embeddings under other names
    assert np.allclose(worse["epe"], good["epe"], atol=1e-3)
    random = Rng.root(5).numpy().normal(size=(1200, 4)).astype(np.float32)
    assert tasks["flow"].measure({"point": random})["epe"].mean() > zero["epe"].mean()
    told = tasks["flow"].measure({"point": names, "flow": np.zeros((900, 3), np.float32)})
    assert np.allclose(told["epe"], zero["epe"])
    with pytest.raises(DataError, match="3 numbers for each point"):
        tasks["flow"].measure({"point": names, "flow": np.zeros((5, 3), np.float32)})
    assert flow_tasks(replace(clouds, before=None), np.arange(4), "none") == {}
    assert flow_tasks(replace(clouds, flow=None, poses=None), np.arange(4), "none") == {}


def test_flow_of_a_pair_is_the_same_however_embeddings_are_scaled() -> None:
    clouds = drive_set()
    pair = pairs_of(clouds, np.array([1]), Selection(points=20, dense=60, ground=True), Rng.root(0))[0]
    rows = Rng.root(3).numpy().normal(size=(1200, 5)).astype(np.float32)
    first, sure = embedded_flow(pair, {"point": rows})
    second, again = embedded_flow(pair, {"point": rows * 7})
    assert torch.allclose(first, second, atol=1e-4)
    assert torch.allclose(sure, again, atol=1e-4)
