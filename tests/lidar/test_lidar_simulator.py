"""The simulator against brute force, known distances and its own physics."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sslplug.randomness import Rng
from sslplug_lidar.simulator import city
from sslplug_lidar.simulator.drive import ROOM, as_matrix, drive, surroundings
from sslplug_lidar.simulator.objects import OBJECTS
from sslplug_lidar.simulator.parts import BOX, CYLINDER, ELLIPSOID, Parts, joined, part, things
from sslplug_lidar.simulator.rays import meet
from sslplug_lidar.simulator.route import LEFT, RIGHT, STRAIGHT, route
from sslplug_lidar.simulator.shots import shots
from sslplug_lidar.simulator.spinning import GROUND, Spinning, directions, even_sensor, sweep

QUIET = Spinning(even_sensor(12, 90), noise=0.0, dropout=0.0, farthest=60.0)


def quiet(parts: Parts) -> Parts:
    """Surfaces that reflect everything, without holes: no beam is lost."""
    n = len(parts)
    return replace(parts, reflectivity=np.full(n, 50.0), porosity=np.zeros(n), rough=np.zeros(n))


@pytest.mark.parametrize("kind", [BOX, ELLIPSOID, CYLINDER])
def test_rays_meet_surfaces_where_marching_finds_them(kind: int) -> None:
    draw = np.random.default_rng(kind)
    half = draw.uniform(0.3, 1.5, (200, 3))
    origin = draw.normal(0, 4, (200, 3))
    aim = draw.normal(0, 0.7, (200, 3)) - origin
    direction = aim / np.linalg.norm(aim, axis=1, keepdims=True)

    def inside(points: np.ndarray) -> np.ndarray:
        scaled = points / half[:, None]
        if kind == BOX:
            return (np.abs(scaled) <= 1).all(2)
        if kind == ELLIPSOID:
            return (scaled**2).sum(2) <= 1
        return ((scaled[..., :2] ** 2).sum(2) <= 1) & (np.abs(scaled[..., 2]) <= 1)

    steps = np.arange(0, 15, 0.005)
    marched = inside(origin[:, None] + direction[:, None] * steps[None, :, None])
    outside = ~marched[:, 0]
    first = np.where(marched.any(1), steps[marched.argmax(1)], np.inf)
    distance, cosine = meet(np.full(200, kind), origin, direction, half)
    both = outside & np.isfinite(first) & np.isfinite(distance)
    assert both.sum() > 60
    np.testing.assert_allclose(distance[both], first[both], atol=0.0051)
    # A grazing hit shorter than a step may be missed by marching, never the other way.
    assert not (outside & np.isfinite(first) & np.isinf(distance)).any()
    assert np.isinf(distance[~outside]).all(), "a ray that starts inside misses"
    assert ((cosine[both] >= 0) & (cosine[both] <= 1 + 1e-9)).all()


def test_known_distances_and_angles() -> None:
    kind = np.array([BOX, ELLIPSOID, CYLINDER, CYLINDER])
    origin = np.array([[-5.0, 0, 0], [-5, 0, 0], [-5, 0, 0], [0.2, 0, 9]])
    direction = np.array([[1.0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, -1]])
    distance, cosine = meet(kind, origin, direction, np.array([[1.0, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]]))
    np.testing.assert_allclose(distance, [4, 4, 4, 6])
    np.testing.assert_allclose(cosine, 1)


def test_a_sweep_equals_casting_every_beam_at_every_piece() -> None:
    draw = np.random.default_rng(3)
    made = [OBJECTS[name](draw) for name in (*OBJECTS, "car", "pole")]
    place = np.stack([draw.uniform(-20, 20, len(made)), draw.uniform(-20, 20, len(made)), np.zeros(len(made))], 1)
    slab = part(BOX, (0, 0, 0.05), (9.0, 9.0, 0.05), 0.3)  # the sensor stands above it
    parts = quiet(joined([things([*made, slab]).placed(np.vstack([place, np.zeros(3)]), draw.uniform(0, 6, len(made) + 1))]))
    position, yaw = np.array([1.0, -2.0]), 0.7
    seen = sweep(parts, position, yaw, QUIET, np.random.default_rng(0))

    beams = directions(QUIET.sensor).reshape(-1, 3)
    cos, sin = np.cos(yaw), np.sin(yaw)
    world = beams @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    nearest = np.where(beams[:, 2] < 0, QUIET.height / np.maximum(-beams[:, 2], 1e-12), np.inf)
    owner = np.full(len(beams), GROUND)
    for k in range(len(parts)):
        c, s = np.cos(parts.yaw[k]), np.sin(parts.yaw[k])
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        origin = (np.array([*position, QUIET.height]) - parts.centre[k]) @ turn.T
        n = len(beams)
        distance, _ = meet(
            np.full(n, parts.kind[k]), np.tile(origin, (n, 1)), world @ turn.T, np.tile(parts.half[k], (n, 1))
        )
        closer = distance < nearest
        nearest[closer], owner[closer] = distance[closer], parts.owner[k]
    ray = seen.ring * QUIET.sensor.azimuths + seen.azimuth
    np.testing.assert_allclose(np.linalg.norm(seen.xyz, axis=1), nearest[ray], rtol=1e-9)
    assert (seen.owner == owner[ray]).all()
    # Everything but dim ground comes back.
    expected = (nearest <= QUIET.farthest) & (nearest >= QUIET.nearest) & (owner != GROUND)
    assert set(np.flatnonzero(expected)) <= set(ray)


def test_ground_lies_at_the_sensors_height_and_noise_along_the_beam() -> None:
    nothing = part(BOX, (500.0, 0, 0), (1, 1, 1), 1.0)
    seen = sweep(nothing, np.zeros(2), 0.0, replace(QUIET, farthest=30.0), np.random.default_rng(0))
    np.testing.assert_allclose(seen.xyz[:, 2], -QUIET.height)
    wall = quiet(part(BOX, (10.5, 0, 0), (0.5, 200, 50), 1.0))
    noisy = sweep(wall, np.zeros(2), 0.0, replace(QUIET, noise=0.05, sensor=even_sensor(40, 720)), np.random.default_rng(1))
    hit = noisy.owner == 0
    beam = noisy.xyz[hit] / np.linalg.norm(noisy.xyz[hit], axis=1, keepdims=True)
    off = np.linalg.norm(noisy.xyz[hit], axis=1) - 10.0 / beam[:, 0]
    assert hit.sum() > 3000
    assert abs(off.mean()) < 0.005
    assert off.std() == pytest.approx(0.05, rel=0.06)


def test_dropout_porosity_and_intensity() -> None:
    sensor = even_sensor(60, 720, -10, 10)
    wall = part(BOX, (10.5, 0, 0), (0.5, 60, 20), 50.0)
    full = sweep(wall, np.zeros(2), 0.0, replace(QUIET, sensor=sensor), np.random.default_rng(0))
    some = sweep(wall, np.zeros(2), 0.0, replace(QUIET, sensor=sensor, dropout=0.3), np.random.default_rng(0))
    count = (full.owner == 0).sum()
    assert (some.owner == 0).sum() / count == pytest.approx(0.7, abs=0.02)
    thin = sweep(
        replace(wall, porosity=np.array([0.6])), np.zeros(2), 0.0, replace(QUIET, sensor=sensor), np.random.default_rng(0)
    )
    assert (thin.owner == 0).sum() / count == pytest.approx(0.4, abs=0.02)
    grey = sweep(
        replace(wall, reflectivity=np.array([0.6])),
        np.zeros(2),
        0.0,
        replace(QUIET, sensor=sensor),
        np.random.default_rng(0),
    )
    hit = grey.owner == 0
    slant = grey.xyz[hit, 0] / np.linalg.norm(grey.xyz[hit], axis=1)
    assert np.corrcoef(slant, grey.intensity[hit])[0, 1] > 0.8, "facing surfaces are brighter than grazed ones"


def test_motion_is_the_integral_of_speed_and_turn() -> None:
    still = np.zeros(1)
    scene = city.placed(
        [("car", OBJECTS["car"](np.random.default_rng(0)))], np.array([[1.0, 2, 0]]), still + 0.5, still + 6, still + 0.4
    )
    position, yaw = scene.at(1.5)
    t = np.linspace(0, 1.5, 20001)
    angle = 0.5 + 0.4 * t
    expected = [1 + np.trapezoid(6 * np.cos(angle), t), 2 + np.trapezoid(6 * np.sin(angle), t), 0]
    np.testing.assert_allclose(position[0], expected, atol=1e-6)
    assert yaw[0] == pytest.approx(1.1)


@pytest.mark.parametrize("turn", [LEFT, RIGHT])
def test_four_equal_turns_lead_back(turn: int) -> None:
    loop = route((2, 3), 1, [turn] * 4)
    first, last = loop.at(np.array([0.0, loop.length]))
    np.testing.assert_allclose(first[:2], last[:2], atol=1e-9)
    assert abs(last[2] - first[2]) == pytest.approx(2 * np.pi)
    along = np.linspace(0, loop.length, 2000)
    gaps = np.hypot(*np.diff(loop.at(along)[:, :2], axis=0).T)
    np.testing.assert_allclose(gaps, along[1], rtol=2e-3)  # one metre along is one metre: no jump between pieces


def test_routes_keep_to_the_right_lane() -> None:
    straight = route((0, 0), 0, [STRAIGHT]).at(np.array([0.0, 30.0, 60.0]))
    np.testing.assert_allclose(straight, [[-30, -2, 0], [0, -2, 0], [30, -2, 0]], atol=1e-9)


def test_a_place_looks_the_same_to_every_drive_of_one_city() -> None:
    one, again, other = city.block(3, -2, Rng.root(1)), city.block(3, -2, Rng.root(1)), city.block(3, -2, Rng.root(2))
    np.testing.assert_array_equal(one.parts.centre, again.parts.centre)
    assert one.position.shape != other.position.shape or not np.allclose(one.position, other.position)
    corner = np.array([3, -2]) * city.BLOCK
    assert (one.position[:, :2] >= corner).all()
    assert (one.position[:, :2] <= corner + city.BLOCK).all()
    kinds = set(one.label[1:])
    assert {city.CLASSES.index("wall"), city.CLASSES.index("car")} <= kinds


@pytest.fixture(scope="module")
def driven():
    path = route((3, 5), 1, [RIGHT]).at(14 + 2.0 * np.arange(3))
    spinning = Spinning(even_sensor(24, 240), farthest=40.0)
    return drive(path, 0.2, Rng.root(1), Rng.root(2), spinning), path, spinning


def test_flow_moves_matter_rigidly_and_the_ground_by_ego_motion_alone(driven) -> None:
    made, path, spinning = driven
    ego = np.linalg.inv(made.poses[1]) @ made.poses[0]
    seen = made.returns[0]
    static = (seen.owner == GROUND) | (made.scene.speed[seen.owner] == 0)
    expected = seen.xyz @ ego[:3, :3].T + ego[:3, 3] - seen.xyz
    np.testing.assert_allclose(made.flow[0][static], expected[static], atol=1e-9)
    moving = np.flatnonzero(~static)
    assert len(moving) > 5, "this drive meets something that moves"
    assert (np.linalg.norm(made.flow[0][moving] - expected[moving], axis=1) > 0.05).mean() > 0.9
    ends = seen.xyz + made.flow[0]
    for owner in np.unique(seen.owner[moving]):
        rows = np.flatnonzero(seen.owner == owner)
        before = np.linalg.norm(seen.xyz[rows][:, None] - seen.xyz[rows][None], axis=2)
        after = np.linalg.norm(ends[rows][:, None] - ends[rows][None], axis=2)
        np.testing.assert_allclose(before, after, atol=1e-9)
    assert np.isnan(made.flow[-1]).all()
    np.testing.assert_allclose(made.poses[0], as_matrix(path[0], spinning.height))


def test_flow_leads_onto_the_next_sweep_where_things_stand_upright(driven) -> None:
    made, _, _ = driven
    upright = np.isin(made.label[0], [city.CLASSES.index(name) for name in ("car", "van", "wall", "pole", "person")])
    tree = cKDTree(made.returns[1].xyz)
    moved = tree.query((made.returns[0].xyz + made.flow[0])[upright])[0]
    unmoved = tree.query(made.returns[0].xyz[upright])[0]
    assert np.median(moved) < 0.6 * np.median(unmoved)


def test_drives_are_functions_of_their_seeds(driven) -> None:
    made, path, spinning = driven
    again = drive(path, 0.2, Rng.root(1), Rng.root(2), spinning)
    for a, b in zip(made.returns, again.returns):
        np.testing.assert_array_equal(a.xyz, b.xyz)
    other = drive(path[:1], 0.2, Rng.root(1), Rng.root(3), spinning)
    assert len(other.returns[0].xyz) != len(made.returns[0].xyz)


def test_nothing_that_moves_comes_close_to_the_sensor() -> None:
    path = route((3, 5), 1, [STRAIGHT]).at(2.0 * np.arange(8))
    scene = surroundings(path, Rng.root(1), Rng.root(4), 40.0, 20.0, 0.2)
    for number, pose in enumerate(path):
        position, _ = scene.at(0.2 * number)
        moving = scene.speed > 0
        assert np.hypot(*(position[moving, :2] - pose[:2]).T).min() > ROOM
    assert moving.sum() > 20


def test_shots_hold_one_class_each_above_the_ground() -> None:
    spinning = Spinning(even_sensor(24, 360), farthest=30.0)
    seen = shots(120, 8, spinning, Rng.root(0))
    assert len(seen.points) == len(seen.label) == 120
    assert min(map(len, seen.points)) >= 8
    assert len(np.unique(seen.label)) == len(OBJECTS)
    for points in seen.points:
        np.testing.assert_allclose(points[:, :2].min(0) + points[:, :2].max(0), 0, atol=1e-4)
        assert points[:, 2].min() > -0.2  # height above the ground, within the noise
        assert ((points[:, 3] >= 0) & (points[:, 3] <= 1)).all()
    tall = {
        name: np.median([p[:, 2].max() for p, c in zip(seen.points, seen.label) if c == k]) for k, name in enumerate(OBJECTS)
    }
    assert tall["car"] < tall["van"]
