"""Geometry on packed clouds against naive loops, k-d trees, dense formulations and known values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.autograd import gradcheck

from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_lidar import geometry
from sslplug_lidar.geometry import neighbours, patches, segments
from sslplug_lidar.geometry.packing import like_sized, offsets_of, owner_of, padded_rows, place_of
from sslplug_lidar.geometry.patches import ball_patches, spacing_of
from sslplug_lidar.geometry.projection import column_of, project, ring_of
from sslplug_lidar.spec import Sensor

LENGTHS = [40, 0, 1, 17, 90]


def cloud(lengths: list[int], seed: int = 0, dim: int = 3) -> tuple[Tensor, Tensor]:
    offsets = offsets_of(torch.tensor(lengths))
    return torch.randn(int(offsets[-1]), dim, generator=Rng.root(seed).torch()), offsets


def spans(offsets: Tensor) -> list[tuple[int, int]]:
    return list(itertools.pairwise(offsets.tolist()))


class TestPacking:
    def test_owners_and_places(self) -> None:
        offsets = offsets_of(torch.tensor([2, 0, 3]))
        assert offsets.tolist() == [0, 2, 2, 5]
        assert owner_of(offsets).tolist() == [0, 0, 2, 2, 2]
        assert place_of(offsets).tolist() == [0, 1, 0, 1, 2]

    def test_groups_waste_at_most_half(self) -> None:
        lengths = torch.tensor([5, 100, 0, 60, 3, 99, 4])
        groups = like_sized(lengths)
        assert sorted(torch.cat(groups).tolist()) == [0, 1, 3, 4, 5, 6]
        assert all(2 * int(lengths[g].min()) >= int(lengths[g].max()) for g in groups)
        assert like_sized(torch.tensor([0, 0])) == like_sized(torch.tensor([], dtype=torch.int64)) == []

    def test_padded_rows(self) -> None:
        rows, real = padded_rows(torch.tensor([0, 2, 5]), torch.tensor([1, 0]))
        assert rows.tolist() == [[2, 3, 4], [0, 1, 0]]
        assert real.tolist() == [[True] * 3, [True, True, False]]


class TestSegments:
    def test_against_loops(self) -> None:
        values, owner = torch.randn(30, 4, generator=Rng.root(0).torch()), torch.arange(30) % 5
        owner = torch.where(owner == 3, 0, owner)
        for found, reduce in (
            (segments.segment_sum(values, owner, 6), lambda rows: rows.sum(0)),
            (segments.segment_mean(values, owner, 6), lambda rows: rows.mean(0)),
            (segments.segment_max(values, owner, 6), lambda rows: rows.amax(0)),
        ):
            for i in range(6):
                part = values[owner == i]
                torch.testing.assert_close(found[i], reduce(part) if len(part) else torch.zeros(4))

    @pytest.mark.parametrize("pool", [segments.segment_sum, segments.segment_mean, segments.segment_max])
    def test_gradients(self, pool: object) -> None:
        values = torch.randn(9, 2, generator=Rng.root(0).torch(), dtype=torch.float64, requires_grad=True)
        assert gradcheck(lambda v: pool(v, torch.tensor([0, 0, 2, 2, 2, 3, 3, 0, 2]), 5), values)  # type: ignore[operator]


def naive_farthest(points: np.ndarray, count: int) -> list[int]:
    start = ((points - points.mean(0)) ** 2).sum(1).argmax()
    chosen = [int(start)]
    while len(chosen) < count:
        away = [
            -1.0 if i in chosen else min(((points[i] - points[j]) ** 2).sum() for j in chosen) for i in range(len(points))
        ]
        chosen.append(int(np.argmax(away)))
    return chosen


class TestFarthestPoints:
    @pytest.mark.parametrize("count", [1, 7, 25])
    def test_against_a_loop(self, count: int) -> None:
        xyz, offsets = cloud(LENGTHS)
        rows, kept = geometry.farthest_points(xyz, offsets, count)
        for (a, b), (c, d) in zip(spans(offsets), spans(kept)):
            want = naive_farthest(xyz[a:b].numpy(), min(count, b - a)) if b > a else []
            assert (rows[c:d] - a).tolist() == want

    def test_share_rounds_up(self) -> None:
        xyz, offsets = cloud(LENGTHS)
        assert geometry.farthest_points(xyz, offsets, 0.25)[1].diff().tolist() == [10, 0, 1, 5, 23]

    def test_duplicates_are_chosen_once_and_last(self) -> None:
        xyz = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [5, 0, 0]])
        rows, _ = geometry.farthest_points(xyz, torch.tensor([0, 5]), 9)
        assert rows.tolist()[:3] == [4, 0, 3]
        assert sorted(rows.tolist()) == [0, 1, 2, 3, 4]

    def test_start_is_drawn(self) -> None:
        xyz, offsets = cloud([50] * 20)
        starts = [geometry.farthest_points(xyz, offsets, 3, Rng.root(seed)) for seed in (0, 1, 0)]
        assert torch.equal(starts[0][0], starts[2][0])
        first = starts[0][0][::3] - offsets[:-1]
        assert len(first.unique()) > 8
        assert bool(((first >= 0) & (first < 50)).all())

    def test_order_of_points_does_not_matter(self) -> None:
        xyz, offsets = cloud([60])
        order = torch.randperm(60, generator=Rng.root(2).torch())
        one, two = (geometry.farthest_points(points, offsets, 20)[0] for points in (xyz, xyz[order]))
        assert torch.equal(xyz[one], xyz[order][two])

    def test_covers_better_than_chance(self) -> None:
        xyz, offsets = cloud([400])
        far = geometry.farthest_points(xyz, offsets, 20)[0]
        drawn = torch.randperm(400, generator=Rng.root(0).torch())[:20]
        assert torch.cdist(xyz, xyz[far]).amin(1).max() < torch.cdist(xyz, xyz[drawn]).amin(1).max()

    def test_spacing_ends_a_cloud(self) -> None:
        xyz, offsets = cloud([200, 3, 120])
        xyz[200:203] *= 0.001
        rows, kept = geometry.farthest_points(xyz, offsets, 100, spacing=0.9)
        whole, ends = geometry.farthest_points(xyz, offsets, 100)
        for (a, b), (c, d), (e, _) in zip(spans(kept), spans(offsets), spans(ends)):
            assert torch.equal(rows[a:b], whole[e : e + b - a])
            apart = torch.pdist(xyz[rows[a:b]])
            assert not len(apart) or apart.min() >= 0.9
            assert torch.cdist(xyz[c:d], xyz[rows[a:b]]).amin(1).max() < 0.9

    @pytest.mark.parametrize("count", [0, 0.0, 1.5, -2])
    def test_refuses(self, count: float) -> None:
        with pytest.raises(UsageError, match="Farthest points"):
            geometry.farthest_points(*cloud([3]), count)


@pytest.fixture(params=["tree", "distances"])
def search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both searches; in the second, few distances at a time, compared exactly."""
    if request.param == "distances":
        monkeypatch.setattr(neighbours, "_by_tree", neighbours._by_distance)
        monkeypatch.setattr(neighbours, "PIECE", 256)


@pytest.mark.usefixtures("search")
class TestNeighbours:
    def test_nearest_against_a_tree(self) -> None:
        xyz, offsets = cloud(LENGTHS)
        query, query_offsets = cloud([5, 0, 4, 30, 7], 1)
        rows, away = geometry.nearest(query, query_offsets, xyz, offsets, 6)
        for (a, b), (c, d) in zip(spans(query_offsets), spans(offsets)):
            if b > a:
                k = min(6, d - c)
                distance, want = cKDTree(xyz[c:d].numpy()).query(query[a:b].numpy(), np.arange(1, k + 1))
                assert np.array_equal(rows[a:b, :k] - c, want)
                torch.testing.assert_close(away[a:b, :k], torch.tensor(distance**2, dtype=torch.float32))
                assert bool((rows[a:b, k:] == rows[a:b, :1]).all())

    def test_ball_against_a_loop(self) -> None:
        xyz, offsets = cloud(LENGTHS)
        query, query_offsets = cloud([5, 0, 4, 30, 7], 1)
        rows, away = geometry.ball(query, query_offsets, xyz, offsets, 0.8, 5)
        for (a, b), (c, d) in zip(spans(query_offsets), spans(offsets)):
            for q in range(a, b):
                near = ((xyz[c:d] - query[q]) ** 2).sum(1).sqrt()
                order = [int(i) for i in near.argsort(stable=True) if near[i] <= 0.8][:5]
                want = order or [int(near.argmin())]
                want += [want[0]] * (5 - len(want))
                assert (rows[q] - c).tolist() == want
                torch.testing.assert_close(away[q].sqrt(), near[want])

    def test_one_point_and_no_queries(self) -> None:
        one = torch.zeros(1, 3), torch.tensor([0, 1])
        rows, away = geometry.nearest(*one, *one, 4)
        assert rows.tolist() == [[0] * 4]
        assert away.tolist() == [[0.0] * 4]
        assert geometry.nearest(torch.zeros(0, 3), torch.tensor([0, 0]), *one, 2)[0].shape == (0, 2)

    def test_coinciding_points(self) -> None:
        xyz, offsets = torch.zeros(9, 3), torch.tensor([0, 9])
        rows, away = geometry.nearest(xyz[:2], torch.tensor([0, 2]), xyz, offsets, 4)
        assert all(len(set(row)) == 4 for row in rows.tolist())
        assert not away.any()

    def test_queries_without_points_are_refused(self) -> None:
        with pytest.raises(DataError, match="Cloud 1 of the batch has 2 queries"):
            geometry.nearest(torch.zeros(3, 3), torch.tensor([0, 1, 3]), torch.zeros(2, 3), torch.tensor([0, 2, 2]), 1)

    @pytest.mark.parametrize(("k", "radius"), [(0, 1.0), (3, 0.0), (3, -1.0)])
    def test_refuses(self, k: int, radius: float) -> None:
        with pytest.raises(UsageError, match="Neighbours"):
            geometry.ball(*cloud([3]), *cloud([3]), radius, k)

    def test_gradient_of_the_distances(self) -> None:
        query, query_offsets = cloud([3, 4], 1)
        xyz, offsets = cloud([6, 2])
        inputs = query.double().requires_grad_(), xyz.double().requires_grad_()
        assert gradcheck(lambda a, b: geometry.nearest(a, query_offsets, b, offsets, 2)[1], inputs)


def test_distances_are_held_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    whole = torch.cdist

    def watched(a: Tensor, b: Tensor, **options: object) -> Tensor:
        sizes.append(len(a) * len(b))
        return whole(a, b, **options)

    monkeypatch.setattr(torch, "cdist", watched)
    monkeypatch.setattr(neighbours, "PIECE", 1000)
    rows, offsets = cloud([200], dim=8)
    geometry.neighbour_rows(rows, offsets, rows, offsets, 3)
    assert max(sizes) <= 1000
    assert sum(sizes) == 200 * 200


def test_neighbours_of_features() -> None:
    rows, offsets = cloud([40, 30], dim=16)
    found = geometry.neighbour_rows(rows, offsets, rows, offsets, 5)
    for a, b in spans(offsets):
        assert torch.equal(found[a:b] - a, torch.cdist(rows[a:b], rows[a:b]).topk(5, largest=False)[1])


class TestChamfer:
    def test_known_value(self) -> None:
        one = torch.zeros(1, 3), torch.tensor([0, 1])
        two = torch.tensor([[1.0, 0, 0], [2.0, 0, 0]]), torch.tensor([0, 2])
        assert geometry.chamfer(*one, *two).item() == pytest.approx(3.5)

    def test_itself_and_permutation(self) -> None:
        a, offsets = cloud([30, 20])
        b, b_offsets = cloud([10, 25], 1)
        assert geometry.chamfer(a, offsets, a, offsets).tolist() == [0.0, 0.0]
        order = torch.cat([torch.arange(9, -1, -1), 10 + torch.randperm(25, generator=Rng.root(0).torch())])
        torch.testing.assert_close(
            geometry.chamfer(a, offsets, b, b_offsets), geometry.chamfer(a, offsets, b[order], b_offsets)
        )

    def test_value_and_gradient_of_the_dense_form(self) -> None:
        (a, offsets), (b, b_offsets) = cloud([30, 5, 1]), cloud([20, 25, 3], 1)
        a, b = a.double().requires_grad_(), b.double().requires_grad_()
        dense = []
        for (c, d), (e, f) in zip(spans(offsets), spans(b_offsets)):
            away = (a[c:d, None] - b[None, e:f]).square().sum(2)
            dense.append(away.amin(1).mean() + away.amin(0).mean())
        found = geometry.chamfer(a, offsets, b, b_offsets)
        torch.testing.assert_close(found, torch.stack(dense))
        weight = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
        ours = torch.autograd.grad((found * weight).sum(), (a, b))
        theirs = torch.autograd.grad((torch.stack(dense) * weight).sum(), (a, b))
        torch.testing.assert_close(ours, theirs)

    def test_pairs_of_equal_size(self) -> None:
        a, b = torch.randn(6, 7, 3, generator=Rng.root(0).torch()), torch.randn(6, 5, 3, generator=Rng.root(1).torch())
        want = geometry.chamfer(a.flatten(0, 1), torch.arange(7) * 7, b.flatten(0, 1), torch.arange(7) * 5)
        torch.testing.assert_close(geometry.chamfer_each(a, b), want)
        assert gradcheck(geometry.chamfer_each, (a[:2].double().requires_grad_(), b[:2].double().requires_grad_()))

    def test_empty_pairs(self) -> None:
        a, offsets = cloud([3, 0])
        assert geometry.chamfer(a, offsets, a, offsets).tolist() == [0.0, 0.0]
        with pytest.raises(DataError, match="no point"):
            geometry.chamfer(a, offsets, a[:0], torch.zeros(3, dtype=torch.int64))


class TestInterpolation:
    def test_a_centre_finds_itself_and_weights_are_inverse_distances(self) -> None:
        centres, offsets = cloud([6])
        values = torch.randn(6, 4, generator=Rng.root(3).torch())
        at_centres = geometry.interpolate(values, *geometry.near_weights(centres, offsets, centres, offsets))
        torch.testing.assert_close(at_centres, values, atol=1e-5, rtol=1e-5)
        query = torch.tensor([[0.2, 0.1, 0.0]])
        found = geometry.interpolate(values, *geometry.near_weights(query, torch.tensor([0, 1]), centres, offsets))
        away = ((centres - query) ** 2).sum(1)
        near = away.argsort()[:3]
        weights = (1 / away[near]) / (1 / away[near]).sum()
        torch.testing.assert_close(found[0], weights @ values[near])


class TestPatches:
    def test_members_are_the_nearest(self) -> None:
        xyz, offsets = cloud([50, 4])
        found = patches(xyz, offsets, 6, 5)
        assert found.offsets.tolist() == [0, 6, 10]
        assert torch.equal(found.member[:, 0], found.centre)
        assert found.owner.tolist() == [0] * 6 + [1] * 4
        assert found.distinct[:6].all()
        assert found.distinct[6:].sum(1).tolist() == [4] * 4
        away = torch.cdist(xyz[found.centre[:6]], xyz[:50])
        assert torch.equal(found.member[:6], away.topk(5, largest=False)[1])

    def test_positions_see_only_what_is_visible(self) -> None:
        xyz, offsets = cloud([50])
        found = patches(xyz, offsets, 6, 5)
        visible = torch.tensor([True, True, False, True, False, False])
        positions = found.positions(xyz, visible)
        torch.testing.assert_close(positions[visible].mean(0), torch.zeros(3), atol=1e-6, rtol=0)
        torch.testing.assert_close(found.positions(xyz + 7, visible), positions, atol=1e-5, rtol=0)
        torch.testing.assert_close(positions[2] - positions[0], xyz[found.centre[2]] - xyz[found.centre[0]])

    def test_params_round_trip(self) -> None:
        xyz, offsets = cloud([50])
        found = patches(xyz, offsets, 6, 5)
        again = type(found).of(found.params())
        assert again is not None
        assert torch.equal(again.member, found.member)
        assert type(found).of({}) is None

    @pytest.mark.parametrize("overlap", [0.0, 0.3, 0.8])
    def test_balls_overlap_by_volume(self, overlap: float) -> None:
        away = spacing_of(1.0, overlap)
        points = 2 * torch.rand(200_000, 3, generator=Rng.root(0).torch()) - 1
        inside = points[points.norm(dim=1) <= 1]
        shared = ((inside - torch.tensor([away, 0.0, 0.0])).norm(dim=1) <= 1).float().mean()
        assert shared.item() == pytest.approx(overlap, abs=0.01)

    def test_volumes_are_greedy_non_maximum_suppression(self) -> None:
        xyz, offsets = cloud([80])
        apart = spacing_of(0.7, 0.25)
        kept: list[int] = []
        for row in geometry.farthest_points(xyz, offsets, 80)[0].tolist():
            if all((xyz[row] - xyz[other]).norm() >= apart for other in kept):
                kept.append(row)
        found = ball_patches(xyz, offsets, 0.7, 4, 0.25, 80)
        assert found.centre.tolist() == kept
        assert (found.local(xyz).norm(dim=2) <= 0.7 + 1e-6).all()


SENSOR = Sensor(4, tuple(math.radians(e) for e in (-20, -10, -2, 4)), 12)


class TestProjection:
    def points(self) -> tuple[Tensor, Tensor]:
        """One point in the middle of every pixel, ring by ring, at ranges 1, 2, ..."""
        ring, column = torch.arange(48) // 12, torch.arange(48) % 12
        elevation = torch.tensor(SENSOR.elevations)[ring]
        azimuth = column * 2 * math.pi / 12
        unit = torch.stack([azimuth.cos() * elevation.cos(), azimuth.sin() * elevation.cos(), elevation.sin()], 1)
        return unit * (1 + torch.arange(48.0))[:, None], torch.tensor([0, 48])

    def test_every_pixel_once(self) -> None:
        xyz, offsets = self.points()
        assert ring_of(xyz, SENSOR).tolist() == (torch.arange(48) // 12).tolist()
        assert column_of(xyz, SENSOR).tolist() == (torch.arange(48) % 12).tolist()
        found = project(xyz, offsets, SENSOR)
        assert found.pixel.tolist() == list(range(48))
        image = found.image(xyz)
        assert image.shape == (1, 3, 4, 12)
        torch.testing.assert_close(image[0].norm(dim=0).flatten(), 1 + torch.arange(48.0))
        torch.testing.assert_close(found.points(image), xyz)

    def test_the_nearest_is_shown(self) -> None:
        xyz, _ = self.points()
        both = torch.cat([xyz[5:6] * 3, xyz[5:6], xyz[5:6], xyz[20:21]])
        found = project(both, torch.tensor([0, 0, 3, 4]), SENSOR)
        assert found.pixel.tolist() == [48 + 5] * 3 + [96 + 20]
        assert found.shown.tolist() == [1, 3]
        torch.testing.assert_close(found.points(found.image(both))[:3], both[1:2].expand(3, 3))

    def test_beyond_the_beams(self) -> None:
        xyz = torch.tensor([[1.0, 0, 5.0], [1.0, 0, -5.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [-1.0, -0.0, 0.0]])
        assert ring_of(xyz, SENSOR)[:2].tolist() == [3, 0]
        assert bool((column_of(xyz, SENSOR) < 12).all())
