"""Encoders: finite, trainable, equivariant to the order of points, blind to what is hidden, and right on hand-made cases."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sslplug.contracts import View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders import ENCODERS
from sslplug_lidar.encoders.pooling import pool
from sslplug_lidar.encoders.rows import RowBatchNorm
from sslplug_lidar.geometry import patches, rotation_z
from sslplug_lidar.spec import CloudSpec, Sensor

SENSOR = Sensor(8, tuple(math.radians(-24 + 4 * ring) for ring in range(8)), 36)
SPEC = CloudSpec(("intensity",), 60, 4.0, SENSOR)
SMALL = {
    "pointnet": {"local": [8], "wide": [16], "point": [8], "dim": 6},
    "pointnet2": {"neighbours": [6, 6], "widths": [[8, 8], [8, 12]], "wide": [16], "back": [10], "dim": 6},
    "dgcnn": {"widths": [8, 8], "k": 6, "wide": 16, "dim": 6},
    "patch_transformer": {
        "groups": 6,
        "size": 5,
        "token": [8, 8],
        "width": 8,
        "layers": 2,
        "heads": 2,
        "hidden": 8,
        "dim": 6,
    },
    "range_image": {"widths": [6, 8], "dim": 6},
    "voxel_unet": {"widths": [6, 8, 8], "dim": 6},
}


def clouds(lengths: list[int], channels: int = 1, seed: int = 0) -> Clouds:
    draw = Rng.root(seed).torch()
    lengths_ = torch.tensor(lengths)
    offsets = torch.cat([lengths_.new_zeros(1), lengths_.cumsum(0)])
    m = int(offsets[-1])
    xyz = torch.randn(m, 3, generator=draw) * torch.tensor([2.0, 2.0, 0.5])
    number = torch.cat([torch.arange(length) for length in lengths]) if lengths else lengths_
    features = torch.rand(m, channels, generator=draw)
    return Clouds(offsets, xyz, features, torch.arange(len(lengths)), offsets[:-1].clone(), number)


def encoder(name: str, spec: CloudSpec = SPEC, **options: object) -> torch.nn.Module:
    component = ENCODERS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: torch.nn.Module = component.build(component.options(**{**SMALL[name], **options}), spec)
    return made


def shuffled(batch: Clouds, seed: int) -> tuple[Clouds, Tensor]:
    order = torch.cat(
        [
            a + torch.randperm(b - a, generator=Rng.root(seed).fork(i).torch())
            for i, (a, b) in enumerate(zip(batch.offsets[:-1].tolist(), batch.offsets[1:].tolist()))
        ]
    )
    return batch.choose(order, batch.offsets), order


@pytest.mark.parametrize("name", ENCODERS)
class TestEvery:
    @pytest.mark.parametrize("norm", ["batch", "layer"])
    def test_rows_widths_and_gradients(self, name: str, norm: str) -> None:
        net = encoder(name, **({} if name == "range_image" else {"norm": norm})).train()
        batch = clouds([50, 70, 40])
        found = net(View(batch))
        assert set(found.levels) == set(net.dims)
        assert [len(found["point"]), len(found["cloud"])] == [160, 3]
        assert all(found[level].shape[1] == width for level, width in net.dims.items())
        assert torch.equal(found.owner["point"], batch.cloud_of())
        draw = Rng.root(1).torch()
        sum((rows * torch.randn(rows.shape, generator=draw)).sum() for rows in found.levels.values()).backward()
        dead = [key for key, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()]
        assert not dead

    def test_order_of_points_does_not_matter(self, name: str) -> None:
        net = encoder(name).eval()
        batch = clouds([50, 70, 40])
        other, order = shuffled(batch, 3)
        with torch.no_grad():
            one, two = net(View(batch)), net(View(other))
        torch.testing.assert_close(two["cloud"], one["cloud"], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(two["point"], one["point"][order], atol=1e-4, rtol=1e-3)

    def test_clouds_do_not_see_each_other(self, name: str) -> None:
        net = encoder(name).eval()
        batch = clouds([50, 1, 70])
        with torch.no_grad():
            whole = net(View(batch))
            for i in range(3):
                alone = net(View(batch.take(torch.tensor([i]))))
                torch.testing.assert_close(alone["cloud"][0], whole["cloud"][i], atol=1e-4, rtol=1e-3)
                torch.testing.assert_close(alone["point"], whole["point"][batch.cloud_of() == i], atol=1e-4, rtol=1e-3)

    @pytest.mark.parametrize("lengths", [[1], [0, 30, 0], [1, 1], [2, 3, 40], [0]])
    @pytest.mark.parametrize("training", [True, False])
    def test_small_and_empty_clouds(self, name: str, lengths: list[int], training: bool) -> None:
        batch = clouds(lengths)
        found = encoder(name).train(training)(View(batch))
        assert len(found["cloud"]) == len(lengths)
        assert all(bool(torch.isfinite(rows).all()) for rows in found.levels.values())
        empty = [i for i, length in enumerate(lengths) if not length]
        assert not found["cloud"][empty].any()

    def test_points_all_at_one_spot(self, name: str) -> None:
        batch = clouds([40, 20])
        batch = replace(batch, xyz=torch.ones_like(batch.xyz))
        found = encoder(name).train()(View(batch))
        assert all(bool(torch.isfinite(rows).all()) for rows in found.levels.values())

    def test_without_features(self, name: str) -> None:
        net = encoder(name, replace(SPEC, channels=())).train()
        found = net(View(clouds([30, 40], channels=0)))
        sum(rows.square().sum() for rows in found.levels.values()).backward()
        assert bool(torch.isfinite(found["cloud"]).all())
        assert all(weight.grad is not None for weight in net.parameters())

    def test_half_precision_says_the_same(self, name: str) -> None:
        net, batch = encoder(name, **({"dynamic": False} if name == "dgcnn" else {})).train(), clouds([50, 70, 40])
        exact = net(View(batch))
        with torch.autocast("cpu", torch.bfloat16):
            found = net(View(batch))
            sum(rows.sum() for rows in found.levels.values()).backward()
        for level, rows in found.levels.items():
            alike = torch.nn.functional.cosine_similarity(rows.float(), exact[level], dim=1)
            assert alike.median() > 0.98, level
        assert all(bool(torch.isfinite(weight.grad).all()) for weight in net.parameters() if weight.grad is not None)

    def test_default_sizes_fit_usual_objects(self, name: str) -> None:
        component = ENCODERS[name]
        net = component.build(component.options(), SPEC).eval()
        with torch.no_grad():
            found = net(View(clouds([200, 150])))
        assert all(found[level].shape[1] == width for level, width in net.dims.items())


class TestHiddenPatches:
    def view(self, share: float = 0.6) -> tuple[View, Tensor]:
        batch = clouds([60, 50])
        groups = patches(batch.xyz, batch.offsets, 6, 5)
        hidden = torch.zeros(len(groups.centre), dtype=torch.bool)
        hidden[[0, 2, 5, 7, 8]] = True
        return View(batch, mask={"patch": hidden}, params=groups.params()), hidden

    def test_hidden_points_do_not_matter(self) -> None:
        view, hidden = self.view()
        net = encoder("patch_transformer").eval()
        member = view.params["patch/member"]
        seen = torch.zeros(110, dtype=torch.bool)
        seen[member[~hidden].flatten()] = True
        secret = torch.zeros(110, dtype=torch.bool)
        secret[member[hidden].flatten()] = True
        secret &= ~seen
        assert int(secret.sum()) > 5
        xyz = view.data.xyz.clone()
        xyz[secret] += 3 * torch.randn(int(secret.sum()), 3, generator=Rng.root(0).torch())
        moved = replace(view, data=replace(view.data, xyz=xyz))
        with torch.no_grad():
            one, two, whole = net(view), net(moved), net(replace(view, mask={}))
        assert torch.equal(one["patch"], two["patch"])
        assert torch.equal(one["cloud"], two["cloud"])
        assert not one["patch"][hidden].any()
        assert one["patch"][~hidden].any(1).all()
        assert not torch.allclose(one["cloud"], whole["cloud"])

    def test_moving_a_cloud_changes_no_patch(self) -> None:
        view, _ = self.view()
        net = encoder("patch_transformer").eval()
        moved = replace(view, data=replace(view.data, xyz=view.data.xyz + torch.tensor([5.0, -3.0, 2.0])))
        with torch.no_grad():
            torch.testing.assert_close(net(view)["patch"], net(moved)["patch"], atol=1e-4, rtol=1e-4)

    def test_all_hidden(self) -> None:
        view, hidden = self.view()
        found = encoder("patch_transformer").train()(replace(view, mask={"patch": torch.ones_like(hidden)}))
        assert not found["patch"].any()
        assert not found["cloud"].any()
        assert bool(torch.isfinite(found["point"]).all())

    def test_a_mask_of_other_patches_is_refused(self) -> None:
        view, _ = self.view()
        with pytest.raises(UsageError, match="5 values in mask"):
            encoder("patch_transformer")(View(view.data, mask={"patch": torch.zeros(5, dtype=torch.bool)}))

    def test_level_point_is_a_choice(self) -> None:
        net = encoder("patch_transformer", points=False)
        assert set(net.dims) == {"patch", "cloud"} == set(net(View(clouds([30]))).levels)
        assert "level:point" not in ENCODERS["patch_transformer"].provides(
            ENCODERS["patch_transformer"].options(points=False)
        )

    def test_ball_patches(self) -> None:
        net = encoder("patch_transformer", grouping="ball", radius=1.5, groups=64).eval()
        few, many = (net(View(replace(b, xyz=b.xyz * s)))["patch"] for b, s in ((clouds([60]), 0.2), (clouds([60]), 2.0)))
        assert len(few) < len(many)


def test_no_sensor_no_range_image() -> None:
    with pytest.raises(UsageError, match="voxel_unet"):
        encoder("range_image", replace(SPEC, sensor=None))


def test_voxels_are_convolved_within_reach() -> None:
    """A point farther than the U-Net can see changes nothing; a neighbour does."""
    net = encoder("voxel_unet", size=1.0, widths=[6]).eval()
    near = clouds([2, 2, 1])
    xyz = torch.tensor([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5], [0.5, 0.5, 0.5], [9.5, 0.5, 0.5], [0.5, 0.5, 0.5]])
    batch = replace(near, xyz=xyz, features=torch.zeros(5, 1))
    with torch.no_grad():
        rows = net(View(batch))["point"]
    assert torch.allclose(rows[2], rows[4], atol=1e-6)
    assert not torch.allclose(rows[0], rows[4], atol=1e-4)


def test_range_image_closes_on_itself() -> None:
    """A turn of the sweep by whole columns turns the image: every point keeps what does not come from its coordinates."""
    net = encoder("range_image").eval()
    batch = clouds([80])
    angle = torch.tensor(2 * math.pi * 2 / SENSOR.azimuths)
    columns = (torch.arange(80) * 7) % 36
    azimuth = columns.float() * 2 * math.pi / 36
    ring = torch.tensor(SENSOR.elevations)[torch.arange(80) // 10]
    unit = torch.stack([azimuth.cos() * ring.cos(), azimuth.sin() * ring.cos(), ring.sin()], 1)
    batch = replace(batch, xyz=unit * (2 + torch.rand(80, 1, generator=Rng.root(0).torch())))
    turned = replace(batch, xyz=batch.xyz @ rotation_z(angle).T)
    net.first.convolution.weight.data[:, :2] = 0.0  # x and y, which a turn changes
    net.own.weight.data[:, :2] = 0.0
    with torch.no_grad():
        torch.testing.assert_close(net(View(turned))["point"], net(View(batch))["point"], atol=1e-4, rtol=1e-3)


def test_row_norm_is_batch_norm_over_all_points() -> None:
    rows = torch.randn(7, 3, generator=Rng.root(0).torch())
    ours, theirs = RowBatchNorm(3).train(), torch.nn.BatchNorm1d(3).train()
    torch.testing.assert_close(ours(rows), theirs(rows))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    before = ours.running_mean.clone()
    torch.testing.assert_close(ours(rows[:1]), (rows[:1] - before) / (ours.running_var + ours.eps).sqrt())
    assert torch.equal(ours.running_mean, before)


@pytest.mark.parametrize(("how", "want"), [("max", [[3.0], [0.0], [-1.0]]), ("mean", [[2.0], [0.0], [-1.0]])])
def test_pooling(how: str, want: list[list[float]]) -> None:
    rows = torch.tensor([[1.0], [3.0], [-1.0]])
    assert pool(how, rows, torch.tensor([0, 0, 2]), 3).tolist() == want  # type: ignore[arg-type]
