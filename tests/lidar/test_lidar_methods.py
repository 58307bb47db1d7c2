"""Losses of the plugin's recipes against equations, loops and values known by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Assembly, Embedding, Progress, View
from sslplug.errors import DataError, UsageError
from sslplug.methods import METHODS as ENGINE
from sslplug.objectives import OBJECTIVES
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.decoders import DECODERS
from sslplug_lidar.encoders import ENCODERS
from sslplug_lidar.geometry import apply, chamfer_each, compose, inverse, rotation_z
from sslplug_lidar.group_levels import POOLS, GroupLevels, with_groups
from sslplug_lidar.methods import METHODS
from sslplug_lidar.objectives import OBJECTIVES as OWN
from sslplug_lidar.spec import CloudSpec, Sensor
from sslplug_lidar.views import VIEWS

SPEC = CloudSpec(("intensity",), 100, 10.0, Sensor(8, tuple(-0.3 + 0.05 * ring for ring in range(8)), 360), sweeps=True)
END = Progress(0, 1, 1, 1)


def clouds(*sizes: int, features: int = 1, seed: int = 0) -> Clouds:
    """Clouds around the sensor, numbered 10, 11, ... over the data."""
    draw = torch.Generator().manual_seed(seed)
    m, offsets = sum(sizes), torch.tensor([0, *sizes]).cumsum(0)
    index, number = torch.arange(len(sizes)) + 10, torch.cat([torch.arange(size) for size in sizes])
    xyz = torch.randn(m, 3, generator=draw) * 5
    return Clouds(offsets, xyz, torch.randn(m, features, generator=draw), index, 1000 * index, number)


def driven(now: Clouds) -> Clouds:
    """The same points as the sweeps before, as seen from where the sensor was."""
    turn = torch.full((len(now.index),), 0.3, dtype=torch.float64)
    pose = compose(rotation_z(turn), torch.tensor([[1.0, 0.5, 0.0]], dtype=torch.float64).expand(len(turn), 3))
    before = replace(now, xyz=apply(inverse(pose)[now.cloud_of()], now.xyz), index=now.index - 5)
    return replace(now, previous=before, pose=pose)


def number(value: Tensor) -> float:
    """A loss as a plain number."""
    return float(value.detach())


class Table(nn.Module):
    """An encoder that gives each point what ``rule`` makes of the view, and a cloud the mean."""

    def __init__(self, rule: Callable[[View], Tensor], dim: int) -> None:
        super().__init__()
        self.rule, self.scale = rule, nn.Parameter(torch.ones(dim))
        self.dims = {"point": dim, "cloud": dim}

    def forward(self, view: View) -> Embedding:
        points = self.rule(view) * self.scale
        owner = view.data.cloud_of()
        cloud = POOLS["cell"](points, owner, len(view.data.index))
        return Embedding({"point": points, "cloud": cloud}, {"point": owner})


def assemble(encoder: nn.Module, views: object, objective: str, **options: object) -> Assembly:
    """The parts a method is built from."""
    table = {**OBJECTIVES, **OWN}
    made = table[objective].build(table[objective].options(**options), 0)
    return Assembly(
        SPEC, "cloud", views, encoder, lambda: encoder, lambda dim: made,
        lambda choice: DECODERS[choice.name].build(DECODERS[choice.name].options(**choice.given()), SPEC, encoder.dims),
        {}, lambda *parts: encoder,
    )  # fmt: skip


def method(table: object, name: str, assembly: Assembly, **options: object) -> nn.Module:
    """One method."""
    return table[name].build(table[name].options(**options), assembly)


def views(name: str, **options: object):
    """One view set."""
    return VIEWS[name].build(VIEWS[name].options(**options), SPEC)


@pytest.mark.parametrize("tau", [0.07, 0.5])
def test_point_info_nce_of_orthonormal_features(tau: float) -> None:
    """log(1 + (M - 1) e^(-1 / tau)), for the same orthonormal features in both views."""
    codes = torch.eye(60)
    encoder = GroupLevels(Table(lambda view: codes[view.data.number], 60))
    pair = views("grouped", levels=["match"], match={"points": 40}, first=[{"name": "point_drop", "drop": [0.1, 0.1]}])
    options = {"temperature": tau, "negatives": "inter"}
    loss = method(ENGINE, "joint", assemble(encoder, pair, "infonce", **options), level="match")(clouds(60), Rng.root(0))
    assert number(loss["infonce"]) == pytest.approx(math.log(1 + 39 * math.exp(-1 / tau)), abs=1e-5)


def test_point_info_nce_against_its_equation_and_a_wrong_order() -> None:
    batch, codes = clouds(30, 20), torch.randn(50, 8, generator=torch.Generator().manual_seed(3))
    encoder = GroupLevels(Table(lambda view: codes[view.data.number + 30 * view.data.cloud_of()] + view.data.xyz[:, :1], 8))
    pair = views("grouped", levels=["match"], first=[{"name": "rotation"}])
    joint = method(ENGINE, "joint", assemble(encoder, pair, "infonce", temperature=0.1, negatives="inter"), level="match")
    loss = number(joint(batch, Rng.root(1))["infonce"])
    made = pair(batch, Rng.root(1))
    rows = [torch.nn.functional.normalize(encoder(view)["match"], dim=1) for view in made]
    scores = rows[0] @ rows[1].T / 0.1
    wanted = -(scores.log_softmax(1).diagonal().mean() + scores.log_softmax(0).diagonal().mean()) / 2
    assert loss == pytest.approx(number(wanted), abs=1e-5)
    one = joint.score(rows, [view.ids["match"] for view in made])
    two = joint.score([rows[1], rows[0]], [view.ids["match"] for view in made])
    assert number(one["infonce"]) == pytest.approx(number(two["infonce"]), abs=1e-5)
    wrong = joint.score(rows, [made[0].ids["match"], made[1].ids["match"].roll(1)])
    assert number(wrong["infonce"]) > loss + 0.5


def test_group_levels_pool_what_a_loop_pools() -> None:
    batch = clouds(60, 50)
    inner = Table(lambda view: torch.cat([view.data.xyz, view.data.features], 1), 4)
    encoder = GroupLevels(inner)
    pair = views("grouped", first=[{"name": "point_drop"}], cell={"size": 4.0}, segment={"reach": 3.0, "fewest": 2})
    for view in pair(batch, Rng.root(2)):
        embedding = encoder(view)
        for level in ("match", "cell", "segment"):
            rows, place = embedding["point"], view.params[level]
            assert len(view.ids[level]) == len(embedding[level]) > 0
            for group in range(len(view.ids[level])):
                mine = rows[place == group]
                wanted = mine.amax(0) if level == "segment" else mine.mean(0)
                assert torch.allclose(embedding[level][group], wanted, atol=1e-6)
    hidden = views("patches", groups=6, size=5)(batch, Rng.root(2))[0]
    embedding, members = encoder(hidden), hidden.params["patch/member"]
    for patch, rows in zip(embedding["patch"], members, strict=True):
        assert torch.equal(patch, embedding["point"][rows].amax(0))
    assert encoder.dims == dict.fromkeys(("point", "cloud", "match", "cell", "segment", "patch"), 4)
    assert torch.equal(embedding.owner["patch"], torch.tensor([0] * 6 + [1] * 6))
    assert set(encoder(views("identity")(batch, Rng.root(0))[0]).levels) == {"point", "cloud"}
    plain = ENCODERS["patch_transformer"]
    assert "level:cell" not in with_groups(plain).provides(plain.options(points=False))
    assert "level:cell" in with_groups(plain).provides(plain.options())


def physical(view: View) -> Tensor:
    """What belongs to a point wherever it is seen from."""
    return view.data.features.expand(-1, 3) * torch.tensor([1.0, -2.0, 0.5]) + torch.tensor([0.3, 0.0, 1.0])


def one_way(batch_rule: Callable[[View], Tensor], **options: object) -> nn.Module:
    """One-way prediction whose heads are the identity."""
    sweeps = views("sweeps", now=[{"name": "rotation"}], cell={"size": 1.0})
    made = method(
        METHODS,
        "one_way",
        assemble(GroupLevels(Table(batch_rule, 3)), sweeps, "cosine"),
        projector=(),
        predictor=(),
        **options,
    )
    nn.init.eye_(made.predictor[0].weight)
    nn.init.zeros_(made.predictor[0].bias)
    return made


def test_the_flow_term_is_zero_for_an_equivariant_feature() -> None:
    batch = driven(clouds(200, 150))
    still, wrong = one_way(physical)(batch, Rng.root(3)), one_way(lambda view: view.data.xyz)(batch, Rng.root(3))
    assert number(still["cosine"]) == pytest.approx(0.0, abs=0.02)  # points on the edge of a cell may change it
    assert number(wrong["cosine"]) > 0.5
    unmoved = replace(batch, pose=torch.eye(4, dtype=torch.float64).repeat(2, 1, 1))
    assert number(one_way(physical)(unmoved, Rng.root(3))["cosine"]) > 10 * number(still["cosine"]) + 0.01


def test_the_flow_term_teaches_the_student_of_the_current_sweep_alone() -> None:
    seen: dict[str, Tensor] = {}

    def leaf(view: View) -> Tensor:
        rows = seen.setdefault(view.role, physical(view).requires_grad_())
        return rows + 0.1 * rows**2

    made = one_way(leaf)
    sum(made(driven(clouds(100)), Rng.root(4)).values()).backward()
    assert seen["now"].grad is not None
    assert seen["previous"].grad is None
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in made.teacher.parameters())
    student, teacher = made.encoder.encoder.scale, made.teacher[0].encoder.scale
    with torch.no_grad():
        student.add_(1.0)
    before = teacher.clone()
    made.after_step(END)
    assert torch.allclose(teacher, 0.99 * before + 0.01 * student)
    made.views = views("pairs")
    with pytest.raises(UsageError, match="role"):
        made(driven(clouds(100)), Rng.root(4))


def things() -> Clouds:
    """Two sweeps of five boxes, far from each other, seen twice."""
    batch = clouds(100, 100)
    middle = torch.tensor([[10.0 * thing, 0.0, 0.0] for thing in range(5)])
    return driven(
        replace(
            batch,
            xyz=torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
            + middle.repeat(2, 1).repeat_interleave(20, 0),
        )
    )


def test_tarl_against_its_equation() -> None:
    batch, codes = things(), torch.randn(100, 6, generator=torch.Generator().manual_seed(5))
    encoder = Table(lambda view: codes[view.data.number] + 0.1 * view.data.xyz[:, :1], 6)
    sweeps = views("sweeps", levels=["segment"], now=[{"name": "flip"}], segment={"ground": 0.0, "reach": 2.0, "fewest": 3})
    assembly = assemble(encoder, sweeps, "infonce", temperature=0.1, negatives="inter", symmetric=False)
    made = method(METHODS, "segment_points", assembly, width=16, heads=2, hidden=32)
    loss = made(batch, Rng.root(6))["infonce"]
    pair, total = sweeps(batch, Rng.root(6)), 0.0
    assert len(pair[0].ids["segment"]) == 10
    for a, b in ((0, 1), (1, 0)):
        keys, anchors, owner = [], [], []
        for segment in range(10):
            mine = (pair[b].params["segment"] == segment).nonzero()[:, 0]
            keys.append(made.projector(encoder(pair[b])["point"][mine]).mean(0))
            mine = (pair[a].params["segment"] == segment).nonzero()[:, 0]
            rows = made.predictor(made.among(made.projector(encoder(pair[a])["point"][mine])[None])[0])
            anchors.append(rows)
            owner += [segment] * len(rows)
        unit = [torch.nn.functional.normalize(rows, dim=1) for rows in (torch.cat(anchors), torch.stack(keys))]
        total += number(nn.functional.cross_entropy(unit[0] @ unit[1].T / 0.1, torch.tensor(owner))) / 2
    assert number(loss) == pytest.approx(total, abs=2e-5)
    loss.backward()
    assert all(p.grad is None for p in made.teacher.parameters())
    assert all(p.grad is not None and bool(p.grad.any()) for p in made.among.parameters())
    few = method(METHODS, "segment_points", assembly, width=16, heads=2, points=7)
    rows, ids = few._anchors(encoder(pair[0])["point"], pair[0], Rng.root(0))
    assert len(rows) == 70
    assert torch.bincount(torch.searchsorted(pair[0].ids["segment"], ids)).tolist() == [7] * 10
    with pytest.raises(UsageError, match="grouped"):
        method(METHODS, "segment_points", assemble(encoder, views("pairs"), "infonce"), width=16)(batch, Rng.root(0))


def chamfer(**options: object) -> nn.Module:
    """The objective."""
    return OWN["chamfer"].build(OWN["chamfer"].options(**options), 0)


def test_chamfer_has_its_known_value_and_the_dense_gradient() -> None:
    a, b = torch.zeros(1, 6), torch.tensor([[1.0, 0, 0, 2, 0, 0]])
    assert number(chamfer()([a, b])["chamfer"]) == pytest.approx(1 + (1 + 4) / 2)
    draw = torch.Generator().manual_seed(6)
    left, right = torch.randn(7, 5, 3, generator=draw, requires_grad=True), torch.randn(7, 5, 3, generator=draw)
    value = chamfer()([left.flatten(1), right.flatten(1)])["chamfer"]
    assert number(value) == pytest.approx(number(chamfer_each(left.detach(), right).mean()), abs=1e-6)
    (found,) = torch.autograd.grad(value, left)
    away = (left[:, :, None] - right[:, None]).square().sum(3)
    (wanted,) = torch.autograd.grad((away.amin(2).mean(1) + away.amin(1).mean(1)).mean(), left)
    assert torch.allclose(found, wanted, atol=1e-6)
    shuffled = right[:, torch.randperm(5, generator=draw)]
    assert torch.allclose(chamfer()([left.flatten(1), shuffled.flatten(1)])["chamfer"], value)
    assert number(chamfer()([right.flatten(1), shuffled.flatten(1)])["chamfer"]) == 0.0


def test_missing_points_count_nowhere_and_attributes_are_compared_in_place() -> None:
    draw = torch.Generator().manual_seed(7)
    drawn, true = torch.randn(1, 4, 4, generator=draw), torch.randn(1, 4, 4, generator=draw)
    padded = true.clone()
    padded[:, 2:] = torch.nan
    told = torch.randn(1, 4, 1, generator=draw)
    terms = chamfer(channels=4, attributes=1, weight=2.0)(
        [torch.cat([drawn.flatten(1), told.flatten(1)], 1), padded.flatten(1)]
    )
    away = (drawn[0][:, None] - true[0][None, :2]).square().sum(2)
    assert number(terms["chamfer"]) == pytest.approx(number(away.amin(1).mean() + away.amin(0).mean()), abs=1e-6)
    assert number(terms["attributes"]) == pytest.approx(
        2 * number((told[0, :2, 0] - true[0, :2, 3]).square().mean()), abs=1e-6
    )
    for prediction, target in ((torch.zeros(2, 6), torch.zeros(2, 9)), (torch.zeros(0, 6), torch.zeros(0, 6))):
        with pytest.raises(DataError, match="expected rows"):
            chamfer()([prediction, target])
    with pytest.raises(DataError, match="row 1"):
        chamfer()([torch.zeros(2, 6), torch.tensor([[0.0] * 6, [torch.nan] * 6])])


def point_mae(attributes: bool = False):
    """Point-MAE on patches of 8 points."""
    encoder = ENCODERS["patch_transformer"]
    transformer = encoder.build(encoder.options(groups=12, size=8, width=32, layers=1, points=False), SPEC)
    kind = {"kind": "ball", "radius": 3.0} if attributes else {}
    hidden = views("patches", groups=12, size=8, steps=[], attributes=attributes, **kind)
    decoder = {"name": "patches", "size": 8, "width": 32, "layers": 1, "features": attributes, "attributes": attributes}
    options = {"channels": 4, "attributes": 1} if attributes else {}
    return method(ENGINE, "masked", assemble(transformer, hidden, "chamfer", **options), decoder=decoder)


@pytest.mark.parametrize("attributes", [False, True])
def test_point_mae_learns_with_every_parameter_and_does_not_care_where_the_cloud_is(attributes: bool) -> None:
    torch.manual_seed(0)
    made, batch = point_mae(attributes), clouds(100, 80)
    loss = sum(made(batch, Rng.root(8)).values())
    loss.backward()
    dead = [name for name, p in made.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert not [name for name in dead if "decoder" in name], dead
    made.eval()
    here, there = (sum(made(replace(batch, xyz=batch.xyz + far), Rng.root(8)).values()) for far in (0.0, 32.0))
    assert number(here) == pytest.approx(number(there), rel=1e-4)


def test_drawn_points_do_not_see_where_hidden_points_are() -> None:
    torch.manual_seed(0)
    made, batch = point_mae(attributes=True).eval(), clouds(100)
    (view,) = made.views(batch, Rng.root(9))
    shown = view.params["patch/member"][~view.mask["patch"]].unique()
    centres = view.params["patch/centre"]
    xyz = batch.xyz + 0.2
    xyz[shown], xyz[centres] = batch.xyz[shown], batch.xyz[centres]
    predictions = []
    for points in (batch.xyz, xyz):
        moved = replace(view, data=replace(view.data, xyz=points))
        predictions.append(made.predictor.decoder(moved, made.encoder(moved))["patch"])
    drawn, told = (torch.stack(predictions)[:, :, part] for part in (slice(0, 32), slice(32, None)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(told[0], told[1])


def test_a_decoder_for_other_patches_is_refused() -> None:
    made = point_mae()
    made.views = views("patches", groups=12, size=9)
    with pytest.raises(UsageError, match=r"views\.size"):
        made(clouds(100), Rng.root(0))
    component = DECODERS["patches"]
    with pytest.raises(UsageError, match="level patch"):
        component.build(component.options(), SPEC, {"point": 3})
    with pytest.raises(UsageError, match="no features"):
        component.build(component.options(attributes=True), replace(SPEC, channels=()), {"patch": 3})


def test_a_rotation_invariant_encoder_tells_no_angle() -> None:
    """Its rows are the same whatever the class, so that no head can beat chance; an encoder that is not, is told apart."""
    turned = views("turned", views=2)
    first, second = turned(clouds(50, 50), Rng.root(10))
    assert not torch.equal(first.targets["rotation"].values, second.targets["rotation"].values)
    blind, seeing = Table(lambda view: view.data.xyz.norm(dim=1, keepdim=True), 1), Table(lambda view: view.data.xyz, 3)
    assert torch.allclose(blind(first)["cloud"], blind(second)["cloud"], atol=1e-5)
    assert not torch.allclose(seeing(first)["cloud"], seeing(second)["cloud"], atol=0.1)
