"""Voxels, sparse convolution, rigid motions, ground and segments against dense formulations, loops and planted answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.cluster import DBSCAN
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn import functional as F

from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_lidar import geometry
from sslplug_lidar.geometry import SparseConv3d, Voxels, voxelise
from sslplug_lidar.geometry.voxels import REACH

OFFSETS = torch.tensor([0, 150, 150, 400])


def grid(seed: int = 0, side: float = 8.0) -> tuple[Tensor, Voxels]:
    xyz = side * torch.rand(400, 3, generator=Rng.root(seed).torch(), dtype=torch.float64)
    return xyz, voxelise(xyz, OFFSETS, 1.0)


class TestVoxels:
    def test_against_a_dictionary(self) -> None:
        xyz, voxels = grid()
        owner = geometry.owner_of(OFFSETS)
        cells = [(int(c), *map(math.floor, p)) for c, p in zip(owner, xyz.tolist())]
        names = sorted(set(cells))
        assert [(int(c), *row) for c, row in zip(voxels.cloud, voxels.coords.tolist())] == names
        assert [names[v] for v in voxels.of_point.tolist()] == cells
        assert voxels.offsets.tolist() == [0, *np.cumsum(np.bincount([n[0] for n in names], minlength=3))]

    def test_mean_times_count_is_the_sum(self) -> None:
        xyz, voxels = grid()
        count = torch.bincount(voxels.of_point, minlength=len(voxels))
        torch.testing.assert_close((voxels.mean(xyz) * count[:, None]).sum(0), xyz.sum(0))

    def test_one_point_a_voxel_returns_it(self) -> None:
        xyz = torch.tensor([[0.5, 0.5, 0.5], [-0.5, 2.5, 0.5], [3.5, -1.5, -7.5]])
        voxels = voxelise(xyz, torch.tensor([0, 3]), 1.0)
        torch.testing.assert_close(voxels.mean(xyz)[voxels.of_point], xyz)
        torch.testing.assert_close(voxels.centres[voxels.of_point], xyz)

    def test_keys_do_not_depend_on_the_other_points(self) -> None:
        xyz, voxels = grid()
        part = voxelise(xyz[:90], torch.tensor([0, 90]), 1.0)
        assert torch.equal(part.keys[part.of_point], voxels.keys[voxels.of_point[:90]])

    def test_coarser_halves(self) -> None:
        xyz, voxels = grid(side=16.0)
        shifted = xyz - 8
        voxels = voxelise(shifted, OFFSETS, 1.0)
        again = voxelise(shifted, OFFSETS, 2.0)
        assert torch.equal(voxels.coarser.keys, again.keys)
        assert torch.equal(voxels.coarser.of_point[voxels.of_point], again.of_point)
        assert voxels.coarser is voxels.coarser

    def test_no_points(self) -> None:
        voxels = voxelise(torch.zeros(0, 3), torch.tensor([0, 0, 0]), 1.0)
        assert len(voxels) == 0
        assert voxels.offsets.tolist() == [0, 0, 0]
        assert SparseConv3d(2, 3)(torch.zeros(0, 2), voxels).shape == (0, 3)

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.0 * (REACH + 2)])
    def test_points_out_of_reach_are_named(self, bad: float) -> None:
        xyz = torch.zeros(3, 3)
        xyz[1, 2] = bad
        with pytest.raises(DataError, match="Point 1 lies at"):
            voxelise(xyz, torch.tensor([0, 3]), 1.0)

    def test_size_must_be_positive(self) -> None:
        with pytest.raises(DataError, match="size 0"):
            voxelise(torch.zeros(1, 3), torch.tensor([0, 1]), 0.0)

    def test_neighbours_against_all_pairs(self) -> None:
        _, voxels = grid()
        places = {(int(c), *row): i for i, (c, row) in enumerate(zip(voxels.cloud, voxels.coords.tolist()))}
        want = set()
        for (c, x, y, z), i in places.items():
            for dx, dy, dz in itertools.product((-1, 0, 1), repeat=3):
                source = places.get((c, x + dx, y + dy, z + dz))
                if source is not None:
                    want.add(((dx + 1) * 9 + (dy + 1) * 3 + dz + 1, source, i))
        found = [(k, int(s), int(t)) for k, ss, ts in voxels.neighbours.pairs for s, t in zip(ss, ts)]
        assert set(found) == want
        assert len(found) == len(want)

    def test_neighbours_at_the_edge_of_the_grid(self) -> None:
        edge = float(REACH)
        xyz = torch.tensor([[0.0, 0.0, edge], [0.0, 1.0, -edge], [0.0, edge, 0.0], [1.0, -edge, 0.0]], dtype=torch.float64)
        voxels = voxelise(xyz + 0.1, torch.tensor([0, 4]), 1.0)
        assert {k: len(s) for k, s, _ in voxels.neighbours.pairs if len(s)} == {13: 4}


def to_dense(rows: Tensor, voxels: Voxels, side: int) -> Tensor:
    x, y, z = voxels.coords.T
    dense = rows.new_zeros(3, rows.shape[1], side, side, side)
    dense[voxels.cloud, :, x, y, z] = rows
    return dense


def at(dense: Tensor, voxels: Voxels) -> Tensor:
    x, y, z = voxels.coords.T
    return dense[voxels.cloud, :, x, y, z]


@pytest.mark.parametrize("kind", ["same", "down", "up"])
class TestSparseConvolution:
    def dense(self, kind: str, layer: SparseConv3d, rows: Tensor, voxels: Voxels) -> Tensor:
        kernel = layer.weight.unflatten(0, (3,) * 3 if kind == "same" else (2,) * 3)
        if kind == "same":
            return at(F.conv3d(to_dense(rows, voxels, 8), kernel.permute(4, 3, 0, 1, 2), layer.bias, padding=1), voxels)
        if kind == "down":
            out = F.conv3d(to_dense(rows, voxels, 8), kernel.permute(4, 3, 0, 1, 2), layer.bias, stride=2)
            return at(out, voxels.coarser)
        out = F.conv_transpose3d(to_dense(rows, voxels.coarser, 4), kernel.permute(3, 4, 0, 1, 2), layer.bias, stride=2)
        return at(out, voxels)

    def test_equals_dense(self, kind: str) -> None:
        _, voxels = grid()
        layer = SparseConv3d(3, 5, kind).double()  # type: ignore[arg-type]
        source = voxels.coarser if kind == "up" else voxels
        rows = torch.randn(len(source), 3, generator=Rng.root(1).torch(), dtype=torch.float64, requires_grad=True)
        ours, theirs = layer(rows, voxels), self.dense(kind, layer, rows, voxels)
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)
        weight = torch.randn(ours.shape, generator=Rng.root(2).torch(), dtype=torch.float64)
        wanted = (rows, layer.weight, layer.bias)
        a = torch.autograd.grad((ours * weight).sum(), wanted)
        b = torch.autograd.grad((theirs * weight).sum(), wanted)
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-11)

    def test_gradcheck(self, kind: str) -> None:
        xyz = 3 * torch.rand(12, 3, generator=Rng.root(0).torch(), dtype=torch.float64)
        voxels = voxelise(xyz, torch.tensor([0, 12]), 1.0)
        layer = SparseConv3d(2, 2, kind).double()  # type: ignore[arg-type]
        source = voxels.coarser if kind == "up" else voxels
        rows = torch.randn(len(source), 2, dtype=torch.float64, generator=Rng.root(1).torch(), requires_grad=True)

        def run(rows: Tensor, weight: Tensor) -> Tensor:
            out: Tensor = torch.func.functional_call(layer, {"weight": weight}, (rows, voxels))
            return out

        assert gradcheck(run, (rows, layer.weight.detach().clone().requires_grad_()))

    def test_outputs_keep_their_scale(self, kind: str) -> None:
        """On a full grid the variance of the output is a third of the input's, as nn.Conv3d's is."""
        side = torch.arange(8.0) + 0.5
        voxels = voxelise(torch.cartesian_prod(side, side, side), torch.tensor([0, 512]), 1.0)
        layer = SparseConv3d(32, 64, kind, bias=False)  # type: ignore[arg-type]
        rows = torch.randn(len(voxels.coarser if kind == "up" else voxels), 32, generator=Rng.root(0).torch())
        assert 0.15 < layer(rows, voxels).var().item() < 0.45


def test_sparse_convolution_under_autocast_keeps_its_precision() -> None:
    _, voxels = grid()
    layer = SparseConv3d(3, 4)
    rows = torch.randn(len(voxels), 3, generator=Rng.root(0).torch())
    with torch.autocast("cpu", torch.bfloat16):
        inside = layer(rows, voxels)
    torch.testing.assert_close(inside, layer(rows, voxels))


def motion(seed: int = 0) -> Tensor:
    """A drawn proper rotation and translation."""
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=Rng.root(seed).torch(), dtype=torch.float64))
    q = q * r.diagonal().sign()
    q = q * torch.linalg.det(q)
    return geometry.compose(q, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))


class TestRigid:
    def test_kabsch_recovers_a_motion(self) -> None:
        a = torch.randn(20, 3, generator=Rng.root(1).torch(), dtype=torch.float64)
        torch.testing.assert_close(geometry.kabsch(a, geometry.apply(motion(), a)), motion())

    def test_kabsch_in_batches_ignores_what_weighs_nothing(self) -> None:
        a = torch.randn(2, 20, 3, generator=Rng.root(1).torch(), dtype=torch.float64)
        b = torch.stack([geometry.apply(motion(i), a[i]) for i in range(2)])
        weights = torch.ones(2, 20)
        b[0, :5], weights[0, :5] = 9.0, 0.0
        torch.testing.assert_close(geometry.kabsch(a, b, weights), torch.stack([motion(0), motion(1)]))

    def test_kabsch_never_reflects(self) -> None:
        a = torch.randn(20, 3, generator=Rng.root(1).torch())
        found = geometry.kabsch(a, a * torch.tensor([1.0, 1.0, -1.0]))
        assert torch.linalg.det(found[:3, :3]).item() == pytest.approx(1.0)

    def test_kabsch_of_points_in_a_plane(self) -> None:
        a = torch.randn(20, 3, generator=Rng.root(1).torch(), dtype=torch.float64) * torch.tensor([1.0, 1.0, 0.0])
        torch.testing.assert_close(geometry.kabsch(a, geometry.apply(motion(), a)), motion())

    def test_kabsch_refuses(self) -> None:
        with pytest.raises(DataError, match="expected the same"):
            geometry.kabsch(torch.zeros(3, 3), torch.zeros(4, 3))
        with pytest.raises(DataError, match="expected the same"):
            geometry.kabsch(torch.zeros(0, 3), torch.zeros(0, 3))
        with pytest.raises(DataError, match="sum to nothing"):
            geometry.kabsch(torch.zeros(3, 3), torch.zeros(3, 3), torch.zeros(3))

    def test_inverse_and_own_motions(self) -> None:
        xyz = torch.randn(2, 3, generator=Rng.root(1).torch())
        both = torch.stack([motion(0), motion(1)])
        moved = geometry.apply(both, xyz)
        assert moved.dtype == torch.float32
        torch.testing.assert_close(moved[1:], geometry.apply(motion(1), xyz[1:]))
        torch.testing.assert_close(geometry.apply(geometry.inverse(both), moved), xyz, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(geometry.inverse(both) @ both, torch.eye(4, dtype=torch.float64).expand(2, 4, 4))

    def test_turning_is_counter_clockwise(self) -> None:
        turned = torch.tensor([1.0, 0, 0]) @ geometry.rotation_z(torch.tensor(math.pi / 2)).T
        torch.testing.assert_close(turned, torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)


def street() -> tuple[Tensor, Tensor, Tensor]:
    """A tilted ground with noise, a wall, a box; and which points are ground."""
    draw = Rng.root(0).torch()
    level = torch.rand(600, 3, generator=draw) * torch.tensor([20.0, 20.0, 0.0])
    level[:, 2] = 0.05 * level[:, 0] - 1.7 + 0.03 * torch.randn(600, generator=draw)
    wall = torch.rand(900, 3, generator=draw) * torch.tensor([20.0, 0.0, 5.0]) + torch.tensor([0.0, 20.0, 0.0])
    box = torch.rand(80, 3, generator=draw) + torch.tensor([5.0, 5.0, 0.5])
    xyz = torch.cat([level, wall, box])
    return xyz, torch.tensor([0, len(xyz)]), torch.arange(len(xyz)) < 600


class TestGround:
    def test_finds_the_plane_not_the_wall(self) -> None:
        xyz, offsets, true = street()
        assert torch.equal(geometry.ground(xyz, offsets, Rng.root(0)), true)
        assert torch.equal(geometry.ground(xyz, offsets, Rng.root(0)), geometry.ground(xyz, offsets, Rng.root(0)))

    def test_clouds_without_ground(self) -> None:
        xyz, _, true = street()
        wall = xyz[600:1500]
        packed = torch.cat([wall, xyz[:2], xyz])
        offsets = geometry.offsets_of(torch.tensor([900, 0, 2, len(xyz)]))
        found = geometry.ground(packed, offsets, Rng.root(0), tilt=15.0)
        assert not found[:902].any()
        assert torch.equal(found[902:], true)

    def test_points_all_at_one_spot(self) -> None:
        assert not geometry.ground(torch.ones(9, 3), torch.tensor([0, 9]), Rng.root(0)).any()


class TestClusters:
    def test_against_dbscan_largest_first(self) -> None:
        xyz, offsets, true = street()
        found = geometry.clusters(xyz, offsets, 1.0, 8, keep=~true)
        want = DBSCAN(eps=1.0, min_samples=8).fit_predict(xyz[~true].numpy())
        assert (found[true] == -1).all()
        assert found[600:1500].unique().tolist() == [0]
        assert found[1500:].unique().tolist() == [1]
        assert torch.equal(found[~true] == -1, torch.from_numpy(want) == -1)

    def test_cells_make_the_same_segments(self) -> None:
        xyz, offsets, true = street()
        found = geometry.clusters(xyz, offsets, 1.0, 8, keep=~true, cell=0.2)
        assert found[600:1500].unique().tolist() == [0]
        assert found[1500:].unique().tolist() == [1]

    def test_each_cloud_counts_from_zero_and_noise_is_none(self) -> None:
        xyz, _, _ = street()
        packed = torch.cat([xyz[1500:], xyz[1500:], torch.tensor([[0.0, 0, 0], [9.0, 0, 0]])])
        found = geometry.clusters(packed, geometry.offsets_of(torch.tensor([80, 0, 80, 2])), 1.0, 8)
        assert found.tolist() == [0] * 160 + [-1, -1]

    def test_only_the_largest_are_kept(self) -> None:
        sizes = [30, 10, 20]
        xyz = torch.cat([torch.full((size, 3), 5.0 * i) for i, size in enumerate(sizes)])
        found = geometry.clusters(xyz, torch.tensor([0, 60]), 0.5, 5, most=2)
        assert found.tolist() == [0] * 30 + [-1] * 10 + [1] * 20


def test_modules_hold_only_their_parameters() -> None:
    layer = SparseConv3d(3, 4)
    _, voxels = grid()
    layer(torch.zeros(len(voxels), 3), voxels)
    assert isinstance(layer, nn.Module)
    assert set(layer.state_dict()) == {"weight", "bias"}
