"""Transforms of clouds: what moved can be moved back, points keep their numbers, shares are what they say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from sslplug.contracts import Target
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug.testing.leaves import differences, snapshot
from sslplug_lidar.batch import Clouds
from sslplug_lidar.geometry import ring_of
from sslplug_lidar.spec import CloudSpec, Sensor
from sslplug_lidar.views import VIEWS
from sslplug_lidar.views.step import NAMES

SENSOR = Sensor(16, tuple(-0.4 + 0.05 * ring for ring in range(16)), 360)
SPEC = CloudSpec(("intensity", "time"), 300, 10.0, SENSOR, sweeps=True)
OBJECTS = replace(SPEC, sensor=None, sweeps=False)
STEPS = [{"name": name} | ({"points": 20} if name == "sample" else {}) for name in NAMES]


def clouds(*sizes: int, seed: int = 0) -> Clouds:
    """Clouds of points all around the sensor, numbered 10, 11, ... over the data, a thousand points apart."""
    generator = torch.Generator().manual_seed(seed)
    m, n = sum(sizes), len(sizes)
    xyz = torch.randn(m, 3, generator=generator) * torch.tensor([6.0, 6.0, 1.5])
    offsets = torch.tensor([0, *np.cumsum(sizes)])
    number = torch.cat([torch.arange(size) for size in sizes])
    index = torch.arange(n) + 10
    return Clouds(offsets, xyz, torch.rand(m, 2, generator=generator), index, 1000 * index, number)


def make(steps: list[dict], spec: CloudSpec = SPEC):
    """The views of two such lists."""
    component = VIEWS["pairs"]
    return component.build(component.options(first=steps), spec)


def clean_of(batch: Clouds, ids: Tensor) -> Tensor:
    """Positions in the batch of the points with these numbers."""
    order = batch.point_ids().argsort()
    return order[torch.searchsorted(batch.point_ids()[order], ids)]


def undone(view) -> Tensor:
    """Coordinates with the view's motion taken back, in float64, by a loop."""
    back = torch.linalg.inv(view.params["motion"])
    parts = view.data.xyz.double().split(view.data.lengths.tolist())
    return torch.cat([part @ one[:3, :3].T + one[:3, 3] for part, one in zip(parts, back, strict=True)])


@pytest.mark.parametrize("step", STEPS, ids=NAMES)
def test_points_keep_their_numbers_and_motions_can_be_undone(step: dict) -> None:
    name = step["name"]
    batch = clouds(300, 40, 9, 200)
    before = snapshot(batch)
    state = torch.get_rng_state()
    first, second = make([step])(batch, Rng.root(1))
    assert torch.equal(state, torch.get_rng_state())
    again = make([step])(batch, Rng.root(1))
    assert not differences(snapshot([first, second]), snapshot(again)), "the same rng gives other views"
    assert not differences(before, snapshot(batch)), "the batch was written into"
    assert differences(snapshot(first), snapshot(second)), "both views are alike"
    for view in (first, second):
        source = clean_of(batch, view.ids["point"])
        assert torch.equal(batch.point_ids()[source], view.ids["point"])
        assert torch.equal(view.ids["cloud"], batch.index)
        off = (undone(view) - batch.xyz[source].double()).abs().max()
        assert off < (0.06 if name == "jitter" else 1e-4)
        if name != "intensity_jitter":
            assert torch.equal(view.data.features, batch.features[source])
        if name != "sector_mix":  # there, points come from other clouds
            assert torch.equal(view.data.index[view.data.cloud_of()], batch.index[batch.cloud_of()[source]])


def test_every_transform_in_one_chain() -> None:
    batch = clouds(300, 280, 310)
    chain = [{"name": name} for name in NAMES if name not in ("jitter", "intensity_jitter")]
    for view in make(chain)(batch, Rng.root(2)):
        source = clean_of(batch, view.ids["point"])
        assert torch.allclose(undone(view), batch.xyz[source].double(), atol=1e-4)
        assert 0 < len(source) < len(batch.xyz)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sector_mix"])
def test_a_cloud_is_changed_alike_in_any_batch(name: str) -> None:
    batch = clouds(120, 60, 200)
    whole = make([{"name": name}])(batch, Rng.root(3))[0].data
    alone = make([{"name": name}])(batch.take(torch.tensor([1])), Rng.root(3))[0].data
    rows = slice(*whole.offsets[1:3].tolist())
    assert torch.equal(whole.number[rows], alone.number)
    assert torch.allclose(whole.xyz[rows], alone.xyz, atol=1e-5)
    assert torch.allclose(whole.features[rows], alone.features, atol=1e-6)


@pytest.mark.parametrize("step", STEPS, ids=NAMES)
def test_probability_zero_changes_nothing_and_one_half_spares_half_of_the_clouds(step: dict) -> None:
    batch = clouds(*[30] * 100)
    never = make([step | {"probability": 0.0}])(batch, Rng.root(4))[0]
    assert torch.equal(never.data.xyz, batch.xyz)
    assert torch.equal(never.data.features, batch.features)
    half, always = (make([step | {"probability": p}])(batch, Rng.root(4))[0] for p in (0.5, 1.0))
    touched = [float(_touched(view.data, batch)) for view in (half, always)]
    assert abs(touched[0] - touched[1] / 2) < 0.13


def _touched(data: Clouds, batch: Clouds) -> float:
    """Share of clouds that are not as they were."""
    parts = [torch.cat([c.xyz, c.features], 1).split(c.lengths.tolist()) for c in (data, batch)]
    return np.mean([not torch.equal(one, other) for one, other in zip(*parts, strict=True)])


@pytest.mark.parametrize(
    ("step", "share"),
    [
        ({"name": "point_drop", "drop": [0.2, 0.6]}, 0.4),
        ({"name": "range_drop", "drop": [0.1, 0.5]}, 0.3),
        ({"name": "cuboid_drop", "drop": [0.0, 0.4]}, 0.2),
        ({"name": "cuboid_crop", "drop": [0.2, 0.6]}, 0.4),
        ({"name": "sector_crop", "drop": [0.3, 0.3]}, 0.3),
        ({"name": "sample", "points": 60}, 0.8),
    ],
)
def test_declared_shares_of_points_are_dropped(step: dict, share: float) -> None:
    batch = clouds(*[300] * 60)
    views = make([step])
    assert views.rates[f"0/{step['name']}"] == pytest.approx(share)
    kept = np.mean([len(view.data.xyz) / len(batch.xyz) for view in views(batch, Rng.root(5))])
    assert kept == pytest.approx(1 - share, abs=0.03)


def test_what_is_dropped_is_what_the_name_says() -> None:
    batch = clouds(*[400] * 5)
    gone = make([{"name": "range_drop", "drop": [0.3, 0.3]}])(batch, Rng.root(6))[0]
    for cloud in range(5):
        whole, part = (data.take(torch.tensor([cloud])).xyz.norm(dim=1) for data in (batch, gone.data))
        assert len(part) == 280
        assert part.max() <= whole.sort().values[280]
    beams = make([{"name": "rotation", "axis": "any"}, {"name": "beam_drop", "rate": 0.5}])
    lost = []
    for view in beams(batch, Rng.root(7)):
        source = clean_of(batch, view.ids["point"])
        for cloud in range(5):
            mine = batch.take(torch.tensor([cloud]))
            ring = ring_of(mine.xyz, SENSOR)
            kept = torch.isin(mine.point_ids(), view.ids["point"])
            for one in ring.unique():
                assert kept[ring == one].unique().numel() == 1, "a beam was dropped in part"
                lost.append(float(~kept[ring == one][0]))
        assert len(source)
    assert np.mean(lost) == pytest.approx(0.5, abs=0.12)
    box = make([{"name": "cuboid_drop", "drop": [0.4, 0.4]}])(batch, Rng.root(8))[0]
    for cloud in range(5):
        mine = batch.take(torch.tensor([cloud]))
        inside = mine.xyz[~torch.isin(mine.point_ids(), box.ids["point"])]
        low, high = inside.amin(0), inside.amax(0)
        within = ((mine.xyz > low) & (mine.xyz < high)).all(1).sum()
        assert len(inside) == 160
        assert within <= 160


def test_small_clouds_are_spared() -> None:
    batch = clouds(7, 300)
    view = make([{"name": "point_drop", "drop": [0.95, 0.95], "fewest": 8}])(batch, Rng.root(9))[0]
    assert view.data.lengths[0] == 7
    assert 8 <= view.data.lengths[1] < 40


def test_rotations_are_rotations() -> None:
    batch = clouds(*[8] * 2000)
    turned = make([{"name": "rotation", "degrees": 30}])(batch, Rng.root(10))[0].params["motion"][:, :3, :3]
    angle = torch.atan2(turned[:, 1, 0], turned[:, 0, 0])
    assert angle.abs().max() <= math.radians(30) + 1e-6
    assert angle.abs().max() > math.radians(29)
    assert torch.equal(turned[:, 2], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(2000, 3))
    free = make([{"name": "rotation", "axis": "any"}])(batch, Rng.root(10))[0].params["motion"][:, :3, :3]
    assert torch.allclose(free @ free.transpose(1, 2), torch.eye(3, dtype=torch.float64).expand(2000, 3, 3), atol=1e-6)
    assert torch.allclose(torch.linalg.det(free), torch.ones(2000, dtype=torch.float64))
    # Uniform over SO(3): the mean is 0, the mean square of every entry 1/3.
    assert free.mean(0).abs().max() < 0.06
    assert (free.square().mean(0) - 1 / 3).abs().max() < 0.04
    little = make([{"name": "rotation", "axis": "any", "degrees": 20}])(batch, Rng.root(10))[0].params["motion"]
    cosine = ((little[:, 0, 0] + little[:, 1, 1] + little[:, 2, 2]) - 1) / 2
    assert torch.arccos(cosine.clamp(-1, 1)).max() <= math.radians(20) + 1e-6
    mirrored = make([{"name": "flip"}])(batch, Rng.root(11))[0].params["motion"]
    assert (mirrored[:, 0, 0] == -1).double().mean() == pytest.approx(0.5, abs=0.05)
    tilted = make([{"name": "tilt"}])(batch, Rng.root(11))[0].params["motion"][:, :3, :3]
    assert torch.allclose(torch.linalg.det(tilted), torch.ones(2000, dtype=torch.float64))
    assert 0.0 < (tilted[:, 2, 2].arccos()).mean() < 0.2


def test_mixed_sectors_come_from_the_next_cloud() -> None:
    batch = clouds(300, 300, 300)
    view = make([{"name": "sector_mix", "width": 0.4}])(batch, Rng.root(12))[0]
    source = clean_of(batch, view.ids["point"])
    assert torch.equal(view.data.xyz, batch.xyz[source])
    home, here = batch.cloud_of()[source], view.data.cloud_of()
    assert set((home - here).remainder(3).tolist()) == {0, 1}
    for cloud in range(3):
        turn = torch.atan2(view.data.xyz[:, 1], view.data.xyz[:, 0])
        own, foreign = (turn[(here == cloud) & ((home == cloud) == mine)] for mine in (True, False))
        assert 60 < len(foreign) < 180
        joint = torch.cat(
            [torch.stack([own, torch.zeros_like(own)], 1), torch.stack([foreign, torch.ones_like(foreign)], 1)]
        )
        ring = joint[joint[:, 0].argsort(), 1]
        assert int((ring != ring.roll(1)).sum()) == 2, "own and foreign points do not form two arcs"


def test_labels_follow_points_and_clouds() -> None:
    batch = clouds(100, 100)
    points = replace(batch, labels=Target("point", batch.number.clone(), torch.arange(200)))
    view = make([{"name": "sector_mix"}, {"name": "point_drop", "drop": [0.5, 0.5]}])(points, Rng.root(13))[0]
    target = view.targets["label"]
    assert torch.equal(target.values, batch.number[clean_of(batch, view.ids["point"])][target.rows])
    whole = replace(batch, labels=Target("cloud", torch.tensor([4]), torch.tensor([1])))
    target = make([{"name": "sample", "points": 10}])(whole, Rng.root(13))[0].targets["label"]
    assert target.level == "cloud"
    assert target.rows.tolist() == [1]


def test_turned_views_tell_their_class() -> None:
    component = VIEWS["turned"]
    options = component.options(classes=6, degrees=90, flip=True, views=2, steps=[{"name": "scale"}])
    batch = clouds(*[20] * 400)
    first, second = component.build(options, OBJECTS)(batch, Rng.root(14))
    assert component.outputs(options, OBJECTS) == {"rotation": 6, "flip": 2}
    assert not torch.equal(first.params["angle"], second.params["angle"])
    angle, bins, flipped = first.params["angle"], first.targets["rotation"].values, first.targets["flip"].values
    assert torch.equal(bins, ((angle + math.pi / 2) / (math.pi / 6)).floor().long())
    assert set(bins.tolist()) == set(range(6))
    assert flipped.double().mean() == pytest.approx(0.5, abs=0.08)
    assert torch.allclose(undone(first), batch.xyz.double(), atol=1e-4)
    factor = first.params["motion"][:, 2, 2]
    # The mirror comes after the turn: x as turned, y perhaps negated.
    x, y = batch.xyz[::20, 0].double(), batch.xyz[::20, 1].double()
    assert torch.allclose(first.data.xyz[::20, 0].double(), factor * (angle.cos() * x - angle.sin() * y), atol=1e-4)
    sign = 1 - 2 * flipped.double()
    assert torch.allclose(first.data.xyz[::20, 1].double(), factor * sign * (angle.sin() * x + angle.cos() * y), atol=1e-4)


def test_what_does_not_fit_the_clouds_is_refused() -> None:
    for name in ("beam_drop", "sector_crop", "sector_mix"):
        with pytest.raises(UsageError, match="without a sensor"):
            make([{"name": name}], OBJECTS)
    with pytest.raises(UsageError, match="colour"):
        make([{"name": "intensity_jitter", "channels": ["colour"]}])
    with pytest.raises(UsageError, match="leave the transform out"):
        make([{"name": "intensity_jitter"}], replace(OBJECTS, channels=()))
    for wrong in ({"name": "point_drop", "drop": [0.5, 0.2]}, {"name": "scale", "low": 2.0, "high": 1.0}, {"name": "spin"}):
        with pytest.raises(ValidationError):
            VIEWS["pairs"].options(first=[wrong])
    with pytest.raises(UsageError, match="no consecutive sweeps"):
        VIEWS["sweeps"].build(VIEWS["sweeps"].options(), OBJECTS)


def test_channels_that_are_not_named_keep_their_values() -> None:
    batch = clouds(100)
    view = make([{"name": "intensity_jitter", "channels": ["time"]}])(batch, Rng.root(15))[0]
    assert torch.equal(view.data.features[:, 0], batch.features[:, 0])
    assert not torch.equal(view.data.features[:, 1], batch.features[:, 1])
