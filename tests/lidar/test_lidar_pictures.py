"""Pictures: pixels where they belong, colours that mean something, files that open, TensorBoard events that read back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sslplug.contracts import View
from sslplug.errors import DataError
from sslplug_lidar.batch import Clouds
from sslplug_lidar.pictures import Pictures, flow_pictures, scan_pictures, write_files, write_tensorboard
from sslplug_lidar.pictures.canvas import BACKGROUND, beside, draw, png
from sslplug_lidar.pictures.colours import embedding_colours, ramp
from sslplug_lidar.pictures.projection import from_above, in_perspective

RED, BLUE = np.array([255, 0, 0], np.uint8), np.array([0, 0, 255], np.uint8)


def batch(xyz: np.ndarray, index: int = 0) -> Clouds:
    n = len(xyz)
    return Clouds(
        torch.tensor([0, n]),
        torch.from_numpy(xyz).float(),
        torch.zeros(n, 0),
        torch.tensor([index]),
        torch.tensor([0]),
        torch.arange(n),
    )


def test_the_nearer_point_hides_the_farther_whatever_their_order() -> None:
    places = np.array([[2.5, 3.5], [2.5, 3.5], [-1, 0], [9, 9]])
    colours = np.stack([RED, BLUE, RED, RED])
    for order in ([0, 1, 2, 3], [1, 0, 2, 3]):
        image = draw(places[order], np.array([1.0, 2, 0, 0])[order], colours[order], 5, 6)
        assert image[2, 3].tolist() == RED.tolist()
        image[2, 3] = BACKGROUND
        assert (image == BACKGROUND).all()
    wide = draw(places[:1], np.zeros(1), colours[:1], 5, 6, dot=3)
    assert (wide == RED).all(2).sum() == 9
    assert (wide[1:4, 2:5] == RED).all()


def test_from_above_forward_is_up_and_left_is_left() -> None:
    xyz = np.array([[8.9, 0, 0], [0, 8.9, 0]])
    image = from_above(xyz, np.stack([RED, BLUE]), reach=10.0, size=100)
    up, left = np.argwhere((image == RED).all(2)), np.argwhere((image == BLUE).all(2))
    assert up.tolist() == [[5, 50]]
    assert left.tolist() == [[50, 5]]


def test_perspective_puts_what_it_looks_at_in_the_middle_and_leaves_out_what_is_behind() -> None:
    xyz = np.array([[0.0, 0, 0], [0, 2, 0], [0, 0, 2], [-20, 0, 0]])
    green, white = np.array([0, 255, 0], np.uint8), np.array([255, 255, 255], np.uint8)
    image = in_perspective(xyz, np.stack([RED, BLUE, green, white]), eye=(-10, 0, 0), view=90, height=100, width=100, dot=1)
    assert np.argwhere((image == RED).all(2)).tolist() == [[50, 50]]
    assert np.argwhere((image == BLUE).all(2)).tolist() == [[50, 40]]  # left of the road is left: 10 m away, 2 m aside
    assert np.argwhere((image == green).all(2)).tolist() == [[40, 50]]
    assert not (image == white).all(2).any()
    down = in_perspective(xyz[:2], np.stack([RED, BLUE]), eye=(0, 0, 10), view=90, height=100, width=100, dot=1)
    assert np.argwhere((down == BLUE).all(2)).tolist() == [[50, 40]]


def test_png_opens_with_the_same_pixels() -> None:
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    with Image.open(io.BytesIO(png(image))) as read:
        assert read.mode == "RGB"
        assert np.array_equal(np.asarray(read), image)
    with pytest.raises(DataError, match="uint8"):
        png(image.astype(np.float32))
    assert beside([image, image], gap=2).shape == (5, 16, 3)


def test_colours_rise_with_numbers_and_follow_components() -> None:
    colours = ramp(np.array([0.0, 0.5, 1.0, 9.0, np.nan]), 0.0, 1.0)
    assert np.array_equal(colours[2], colours[3])
    assert colours[4].tolist() == [128, 128, 128]
    assert len(np.unique(colours, axis=0)) == 4
    rng = np.random.Generator(np.random.Philox(0))
    first = rng.normal(size=400)
    rows = np.outer(first, [5.0, 0, 0, 0]) + 0.1 * rng.normal(size=(400, 4))
    red = embedding_colours(rows)[:, 0].astype(float)
    assert np.corrcoef(red, np.clip(first, *np.quantile(first, [0.02, 0.98])))[0, 1] > 0.99
    assert np.array_equal(embedding_colours(rows), embedding_colours(rows + 100.0))
    assert (embedding_colours(np.ones((5, 2))) == 128).all()
    assert embedding_colours(np.zeros((0, 4))).shape == (0, 3)


def test_pictures_of_a_scan_its_views_and_its_embeddings(tmp_path: Path) -> None:
    xyz = np.random.Generator(np.random.Philox(1)).random((60, 3)) * [20, 20, 3] - [10, 10, 0]
    clean = View(batch(xyz))
    other, stranger = View(batch(xyz[:30])), View(batch(xyz, index=7))
    levels = {"point": xyz.astype(np.float32), "cloud": np.zeros((1, 4), np.float32)}
    made = scan_pictures(clean, [other, stranger], levels)
    assert set(made.images) == {"scan", "view0", "embedding/point"}
    assert len(made.meshes["view0"][0]) == 30
    assert not np.array_equal(made.images["scan"], made.images["view0"])
    files = write_files(tmp_path, made)
    assert sorted(str(f.relative_to(tmp_path)) for f in files) == ["embedding/point.png", "scan.png", "view0.png"]
    with Image.open(tmp_path / "embedding" / "point.png") as read:
        assert np.array_equal(np.asarray(read), made.images["embedding/point"])
    with pytest.raises(DataError, match="cloud 3 of a batch of 1"):
        scan_pictures(clean, [], {}, cloud=3)


def test_flow_errors_are_red_where_they_are_large() -> None:
    source = np.array([[5.0, 5, 0], [-5, -5, 0]])
    true = np.zeros((2, 3))
    predicted = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    made = flow_pictures(source, source, predicted, true)
    points, colours = made.meshes["flow/error"]
    assert np.array_equal(points, source.astype(np.float32))
    assert colours[1, 0] > 200 > 100 > colours[0, 0]
    assert len(made.meshes["flow/moved"][0]) == 4


def test_tensorboard_holds_images_and_meshes(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    image = np.zeros((4, 6, 3), np.uint8)
    image[1, 2] = RED
    made = Pictures({"scan": image}, {"scan": (np.ones((3, 3), np.float32), np.full((3, 3), 9, np.uint8))})
    write_tensorboard(tmp_path, made, step=5)
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    (shot,) = events.Images("pictures/scan")
    assert shot.step == 5
    with Image.open(io.BytesIO(shot.encoded_image_string)) as read:
        assert np.array_equal(np.asarray(read), image)
    assert any("pictures/scan" in tag for tag in events.Tags()["tensors"])
