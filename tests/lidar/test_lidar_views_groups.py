"""Groups of points that views share, sweeps in one frame, hidden patches and hidden sides of clouds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders import ENCODERS
from sslplug_lidar.geometry import apply, compose, inverse, rotation_z
from sslplug_lidar.spec import CloudSpec, Sensor
from sslplug_lidar.views import VIEWS
from sslplug_lidar.views.groups import shared_groups
from sslplug_lidar.views.occluded import visible
from sslplug_lidar.views.patches import hidden_of

SPEC = CloudSpec(("intensity",), 300, 10.0, Sensor(16, tuple(-0.4 + 0.05 * ring for ring in range(16)), 360), sweeps=True)
MOVES = [{"name": "rotation"}, {"name": "flip"}, {"name": "scale"}, {"name": "translation"}]


def clouds(*sizes: int, seed: int = 0) -> Clouds:
    """Clouds of points around the sensor, numbered 10, 11, ... over the data."""
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.randn(sum(sizes), 3, generator=generator) * torch.tensor([6.0, 6.0, 1.5])
    offsets = torch.tensor([0, *np.cumsum(sizes)])
    index = torch.arange(len(sizes)) + 10
    features = torch.rand(len(xyz), 1, generator=generator)
    return Clouds(offsets, xyz, features, index, 1000 * index, torch.cat([torch.arange(size) for size in sizes]))


def driven(now: Clouds, shift: float = 1.5, turn: float = 0.2) -> Clouds:
    """The sweeps with the same points as predecessors, as seen from where the sensor was."""
    n = len(now.index)
    pose = compose(rotation_z(torch.full((n,), turn, dtype=torch.float64)), torch.tensor([[shift, 0.0, 0.0]] * n).double())
    xyz = apply(inverse(pose)[now.cloud_of()], now.xyz)
    before = replace(now, xyz=xyz, index=now.index - 5, start=now.start - 5000)
    return replace(now, previous=before, pose=pose, flow=now.xyz - xyz)


def build(name: str, spec: CloudSpec = SPEC, **options: object):
    """One of the plugin's view sets."""
    return VIEWS[name].build(VIEWS[name].options(**options), spec)


@pytest.mark.parametrize("seed", range(5))
def test_shared_groups_are_those_of_a_loop(seed: int) -> None:
    draw = np.random.default_rng(seed)
    codes = [torch.from_numpy(draw.integers(-1, 12, size)) for size in (40, 25, 30)]
    ids, places = shared_groups(codes, 2, 1000, Rng.root(seed))
    wanted = [g for g in range(12) if all(int((code == g).sum()) >= 2 for code in codes)]
    assert ids.tolist() == wanted
    for code, place in zip(codes, places, strict=True):
        assert place.tolist() == [wanted.index(g) if g in wanted else -1 for g in code.tolist()]
    few, _ = shared_groups(codes, 1, 3, Rng.root(seed))
    assert len(few) == 3
    assert set(few.tolist()) <= set(range(12))
    none, places = shared_groups([codes[0], codes[1] + 100], 1, 10, Rng.root(0))
    assert not len(none)
    assert all(bool((place == -1).all()) for place in places)


def test_matched_points_are_the_same_points() -> None:
    batch = clouds(200, 150)
    steps = [*MOVES, {"name": "point_drop", "drop": [0.3, 0.3]}]
    views = build("grouped", first=steps, levels=["match"], match={"points": 100})(batch, Rng.root(1))
    where = []
    for view in views:
        place, ids = view.params["match"], view.ids["match"]
        rows = (place >= 0).nonzero()[:, 0]
        assert len(ids) == 100
        assert sorted(place[rows].tolist()) == list(range(100))
        assert torch.equal(ids[place[rows]], view.ids["point"][rows])
        back = torch.linalg.inv(view.params["motion"])[view.data.cloud_of()]
        where.append(apply(back, view.data.xyz)[rows[place[rows].argsort()]])
    assert torch.equal(views[0].ids["match"], views[1].ids["match"])
    assert torch.allclose(where[0], where[1], atol=1e-4), "matched points do not coincide once motions are undone"


def test_cells_are_columns_of_the_clean_cloud() -> None:
    batch = clouds(200, 150)
    options = {"levels": ["cell"], "cell": {"size": 2.0, "fewest": 2}}
    view = build("grouped", first=MOVES, **options)(batch, Rng.root(2))[0]
    naive: dict[tuple, list[int]] = {}
    for row, (cloud, point) in enumerate(zip(batch.cloud_of().tolist(), batch.xyz.tolist(), strict=True)):
        naive.setdefault((cloud, math.floor(point[0] / 2), math.floor(point[1] / 2)), []).append(row)
    wanted = {tuple(rows) for rows in naive.values() if len(rows) >= 2}
    place = view.params["cell"]
    assert {tuple((place == cell).nonzero()[:, 0].tolist()) for cell in range(len(view.ids["cell"]))} == wanted
    cubes = build("grouped", first=MOVES, levels=["cell"], cell={"size": 2.0, "columns": False})(batch, Rng.root(2))[0]
    assert len(cubes.ids["cell"]) > len(view.ids["cell"])


@pytest.mark.parametrize("motion", ["pose", "flow"])
def test_sweeps_meet_in_one_frame(motion: str) -> None:
    batch = driven(clouds(300, 200))
    options = {"levels": ["match", "cell"], "cell": {"size": 1.0}, "radius": 0.05, "now": MOVES, "motion": motion}
    before, now = build("sweeps", **options)(batch, Rng.root(3))
    assert (before.role, now.role) == ("previous", "now")
    assert torch.equal(before.ids["cloud"], batch.index)
    assert torch.equal(now.ids["cloud"], batch.index)
    assert torch.equal(before.ids["point"], batch.previous.point_ids())
    # The same points in the same order: point i of one is point i of the other.
    assert torch.equal(before.params["match"], now.params["match"])
    assert int((now.params["match"] >= 0).sum()) == 500
    agree = (before.params["cell"] == now.params["cell"]).float().mean()
    assert agree > 0.99  # but for points on the edge of a cell
    lost = build("sweeps", **{**options, "motion": "pose"})(replace(batch, pose=inverse(batch.pose)), Rng.root(3))
    assert len(lost[1].ids["match"]) < 25, "a wrong pose matches as well as the right one"


def test_aligned_occupancy_overlaps_more_than_unaligned() -> None:
    batch = driven(clouds(800, seed=5), shift=3.0)

    def overlap(pose: Tensor) -> float:
        views = build("sweeps", cell={"size": 1.0}, now=[])(replace(batch, pose=pose), Rng.root(0))
        return len(views[0].ids["cell"])

    assert overlap(batch.pose) > 1.6 * overlap(torch.eye(4, dtype=torch.float64)[None])


def test_a_first_sweep_is_its_own_predecessor_and_unknown_flow_matches_nothing() -> None:
    batch = driven(clouds(100, 80, 60))
    keep = torch.ones(240, dtype=torch.bool)
    keep[100:180] = False
    before = batch.previous.keep(keep)
    flow = batch.flow[keep].clone()
    flow[:40] = torch.nan
    pose = batch.pose.clone()
    pose[2] = torch.nan
    batch = replace(batch, previous=replace(before, index=torch.tensor([5, -1, 7])), pose=pose, flow=flow)
    options = {"levels": ["match", "cell", "segment"], "radius": 0.05, "now": []}
    first, _ = build("sweeps", **options)(batch, Rng.root(0))
    assert torch.equal(first.data.lengths, torch.tensor([100, 80, 60]))
    own = first.data.take(torch.tensor([1, 2]))
    assert torch.equal(own.xyz, batch.xyz[100:])
    assert torch.equal(own.point_ids(), batch.point_ids()[100:])
    moved, _ = build("sweeps", **options, motion="flow")(batch, Rng.root(0))
    assert bool((moved.params["match"][:40] == -1).all())
    assert bool((moved.params["cell"][:40] == -1).all())
    assert bool((moved.params["match"][40:100] >= 0).all())
    assert bool((moved.params["segment"][:40] == -1).all())
    for missing, word in (({"previous": None, "flow": None}, "sweeps before"), ({"pose": None}, "no pose")):
        with pytest.raises(UsageError, match=word):
            build("sweeps", **options)(replace(batch, **missing), Rng.root(0))


def street() -> Clouds:
    """Ground with two boxes on it, twice."""
    draw = torch.Generator().manual_seed(1)
    ground = torch.cat([20 * torch.rand(400, 2, generator=draw) - 10, 0.02 * torch.randn(400, 1, generator=draw)], 1)
    boxes = [torch.rand(60, 3, generator=draw) + torch.tensor([x, 2.0, 0.8]) for x in (-6.0, 4.0)]
    one = torch.cat([ground, *boxes])
    whole = clouds(520, 520)
    return replace(whole, xyz=torch.cat([one, one]))


def test_segments_are_the_things_on_the_ground() -> None:
    batch = street()
    options = {"levels": ["segment"], "segment": {"fewest": 5}}
    views = build("grouped", first=[*MOVES, {"name": "point_drop", "drop": [0.2, 0.2]}], **options)(batch, Rng.root(4))
    for view in views:
        assert len(view.ids["segment"]) == 6
        kind = torch.where(view.data.number < 400, 0, torch.where(view.data.number < 460, 1, 2)) + 3 * view.data.cloud_of()
        pairs = {pair for pair in zip(kind.tolist(), view.params["segment"].tolist(), strict=True) if pair[1] >= 0}
        assert len(pairs) == 6, "segments and things are not one to one"
    bare = build("grouped", first=MOVES, levels=["segment"], segment={"keep_ground": False})(batch, Rng.root(4))[0]
    assert len(bare.ids["segment"]) == 4
    before, now = build("sweeps", now=[], **options)(driven(batch), Rng.root(4))
    assert torch.equal(before.params["segment"], now.params["segment"])
    assert len(now.ids["segment"]) == 6


def test_thirty_eight_of_sixty_four_patches_are_hidden() -> None:
    assert hidden_of(64, 0.6) == 38
    assert hidden_of(5, 0.6) == 3
    assert hidden_of(7, 0.0) == 0
    batch = clouds(300, 200, 12)
    for strategy in ("random", "block"):
        view = build("patches", groups=64, size=8, strategy=strategy)(batch, Rng.root(5))[0]
        offsets, hidden = view.params["patch/offsets"], view.mask["patch"]
        assert offsets.diff().tolist() == [64, 64, 12]
        counts = [int(part.sum()) for part in hidden.split(offsets.diff().tolist())]
        assert counts == [38, 38, 7]
        assert torch.equal(view.targets["patch"].rows, hidden.nonzero()[:, 0])
        assert view.targets["patch"].values.shape == (83, 24)
    centres = view.data.xyz[view.params["patch/centre"]][:64]
    away = torch.cdist(centres, centres)
    spread = [away[hidden[:64]][:, part].mean() for part in (hidden[:64], ~hidden[:64])]
    assert spread[0] < spread[1], "a block is not in one place"


def test_what_is_to_be_drawn_does_not_depend_on_where_the_cloud_is() -> None:
    batch = clouds(300, 200)
    views = build("patches", groups=16, size=8, steps=[])
    here, there = views(batch, Rng.root(6))[0], views(replace(batch, xyz=batch.xyz + 64.0), Rng.root(6))[0]
    assert torch.allclose(here.targets["patch"].values, there.targets["patch"].values, atol=1e-4)
    ball = build("patches", kind="ball", radius=2.0, size=16, groups=40, attributes=True, steps=[])
    view = ball(batch, Rng.root(6))[0]
    values = view.targets["patch"].values.unflatten(1, (16, 4))
    there = values.isfinite().all(2)
    assert bool(there.any(1).all())
    assert not bool(there.all())
    assert values[..., :3][there].norm(dim=1).max() <= 2.0 + 1e-5
    member, rows = view.params["patch/member"], view.targets["patch"].rows
    assert torch.equal(values[..., 3][there], batch.features[member[rows], 0][there])


def test_hidden_points_do_not_reach_the_encoder() -> None:
    batch = clouds(300, 200)
    component = ENCODERS["patch_transformer"]
    encoder = component.build(component.options(groups=16, size=8, points=False), SPEC).eval()
    view = build("patches", groups=16, size=8, steps=[])(batch, Rng.root(7))[0]
    visible_points = view.params["patch/member"][~view.mask["patch"]].unique()
    moved = batch.xyz + 5.0
    moved[visible_points] = batch.xyz[visible_points]
    first, second = (encoder(replace(view, data=replace(view.data, xyz=xyz))) for xyz in (batch.xyz, moved))
    assert torch.equal(first["cloud"], second["cloud"])
    assert torch.equal(first["patch"], second["patch"])
    assert not bool(first["patch"][view.mask["patch"]].any())
    assert bool(first["patch"][~view.mask["patch"]].any())


def test_a_camera_sees_part_of_a_cloud_and_two_cameras_more() -> None:
    sphere = torch.nn.functional.normalize(torch.randn(1500, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    batch = replace(clouds(1500), xyz=sphere)
    eye = torch.tensor([[0.6, 0.0, 0.8]])
    front, back = (visible(batch, direction, 10, 0.1) for direction in (eye, -eye))
    toward = sphere @ eye[0]
    assert bool(front[toward > 0.9].all())
    assert front[toward < -0.5].float().mean() < 0.05
    assert int((front | back).sum()) > 1.5 * int(front.sum())
    view = build("occluded", points=64)(batch, Rng.root(8))[0]
    assert torch.isin(view.ids["point"], batch.point_ids()).all()
    assert 0 < len(view.data.xyz) < 1100
    full = view.targets["complete"].values.view(64, 3)
    near = torch.cdist(full.double(), apply(view.params["motion"][0], sphere).double()).amin(1)
    assert near.max() < 1e-5, "the complete cloud has points that the cloud has not"
    few = build("occluded", points=64)(clouds(40), Rng.root(8))[0].targets["complete"].values
    assert int(few.view(64, 3).isfinite().all(1).sum()) == 40
