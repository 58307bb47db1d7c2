"""Recipes of the events plugin: the promised ones exist, and runs stop, resume and embed as they must."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sslplug.cli import run
from sslplug.discovery import recipes_of
from sslplug_sequence.events.plugin import PLUGIN

PROMISED = {
    "coles-shoppers", "cpc-shoppers", "next-event-shoppers", "mlm-shoppers", "rtd-shoppers", "sop-shoppers", "hybrid-shoppers",
    "sum-shoppers", "coles-physionet", "cpc-physionet", "next-physionet", "hybrid-physionet", "sum-physionet", "coles-adfa",
    "next-adfa", "next-adfa-detection", "next-stackoverflow", "next-book-order", "coles-age", "coles-gender", "coles-rosbank",
    "vicreg-shoppers",
}  # fmt: skip
FIELDS = ["department", "channel", "gap", "numbers"]
SMALL_WRITER = {"width": 8, "layers": 1}
METHODS = {
    "coles": ({"name": "slices"}, {}, {"name": "joint"}, {"name": "coles"}),
    "infonce": ({"name": "slices"}, {}, {"name": "joint"}, {"name": "infonce"}),
    "cpc": ({"name": "clean"}, {}, {"name": "cpc"}, None),
    "next": ({"name": "next", "targets": FIELDS}, {}, {"name": "pretext", "level": "event", "targets": FIELDS}, {"name": "fields"}),
    "masked": (
        {"name": "mask"}, {"name": "transformer", "width": 16}, {"name": "masked", "decoder": {"name": "fields"}}, {"name": "fields"}
    ),
    "order": ({"name": "order", "kind": "next"}, {}, {"name": "pretext", "targets": ["order"]}, {"name": "cross_entropy"}),
    "hybrid": (
        {"name": "slices", "whole": True}, {}, {"name": "hybrid", "contrastive_epochs": 2, "writer": SMALL_WRITER}, {"name": "coles"}
    ),
    "reconstruction": ({"name": "clean"}, {}, {"name": "reconstruction", "writer": SMALL_WRITER}, None),
}  # fmt: skip


def test_the_promised_recipes_are_there() -> None:
    assert set(recipes_of(PLUGIN)) == PROMISED


def arguments(tmp_path: Path, method: str) -> list[str]:
    views, encoder, chosen, objective = METHODS[method]
    recipe = {
        "name": method, "about": "small", "plugin": "events", "data": {"name": "shoppers", "shoppers": 60, "events": 15},
        "views": views, "encoder": {"name": "gru", "width": 8, **encoder}, "method": chosen,
        **({"objective": objective} if objective else {}),
        "train": {"epochs": 4, "batch_size": 12, "checkpoint_every": 3, "keep": 20},
    }  # fmt: skip
    written = tmp_path / f"{method}.yaml"
    written.write_text(json.dumps(recipe))
    return [
        "train",
        "--plugin",
        "events",
        "--recipe",
        str(written),
        "--runs",
        str(tmp_path),
        "--device",
        "cpu",
        "--no-evaluate",
    ]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_stopped_and_resumed_ends_with_the_same_bytes(tmp_path: Path, method: str) -> None:
    assert run(arguments(tmp_path, method)) == 0
    (folder,) = (file.parent for file in tmp_path.rglob("recipe.yaml"))
    points = sorted((folder / "checkpoints").glob("step-*"))
    last = {file.name: file.read_bytes() for file in points[-1].glob("*.safetensors")}
    # Resumed within an epoch; for the hybrid, within one that aligns.
    kept = points[-3] if method == "hybrid" else points[0]
    for point in points:
        if point != kept:
            shutil.rmtree(point)
    assert run(["resume", str(folder), "--device", "cpu", "--no-evaluate"]) == 0
    again = sorted((folder / "checkpoints").glob("step-*"))
    assert again[-1].name == points[-1].name != kept.name
    assert {file.name: file.read_bytes() for file in again[-1].glob("*.safetensors")} == last


def test_other_shoppers_are_embedded_by_the_encoding_of_the_run(tmp_path: Path) -> None:
    assert run(arguments(tmp_path, "coles")) == 0
    (folder,) = (file.parent for file in tmp_path.rglob("recipe.yaml"))
    out = tmp_path / "rows.parquet"
    assert run(["embed", str(folder), "--set", "data.shoppers=45", "--out", str(out), "--device", "cpu"]) == 0
    table = pq.read_table(out)
    assert (table.num_rows, table.num_columns) == (45, 3 + 8)
