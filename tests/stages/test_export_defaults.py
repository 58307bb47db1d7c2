"""Every plugin's default recipe, briefly trained, becomes a program and an ONNX model that answer in a process without this package.

The commands of docs/export.md run here too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import sslplug
from sslplug.cli import run

ROOT = Path(__file__).parents[2]
SMALL = {
    "graph": [],
    "tabular": [],
    "wearable": ["data.people=12"],
    "events": [],
    "recsys": ["data.users=120", "data.items=90"],
    "lidar": ["data.objects=300"],
}
ROWS = {
    "graph": "x_matrix",
    "tabular": "numeric",
    "wearable": "values",
    "events": "offsets",
    "recsys": "rows",
    "lidar": "xyz",
}
"""A tensor of each domain whose first axis must be the caller's to choose."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{plugin: exported folder}, each made when first asked for."""
    return {}


def exported(plugin: str, folders: dict[str, Path], place: Path) -> Path:
    if plugin not in folders:
        sets = [part for change in ["train.epochs=1", "train.max_steps=1", *SMALL[plugin]] for part in ("--set", change)]
        words = ["train", "--plugin", plugin, "--no-evaluate", "--device", "cpu", "--runs", str(place / "runs"), *sets]
        assert run(words) == 0
        trained = next((place / "runs").rglob("recipe.yaml")).parent
        assert run(["export", str(trained), "-o", str(place / "encoder")]) == 0
        folders[plugin] = place / "encoder"
    return folders[plugin]


@pytest.mark.parametrize("plugin", list(SMALL))
def test_a_default_recipe_becomes_a_program(plugin: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = exported(plugin, folders, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [one["role"] for one in manifest["programs"]] == (["user", "item"] if plugin == "recsys" else [""])
    for one in manifest["programs"]:
        assert one["parity"][one["file"]]["views"] >= 2
        assert one["parity"][one["file"]]["largest_difference"] <= 1e-5
        assert one["parity"][one["onnx"]]["largest_difference"] <= 1e-5
        shapes = {given["name"]: given["shape"] for given in one["inputs"]}
        assert isinstance(shapes[ROWS[plugin]][0], str)  # a name: as many as the caller has
        program = torch.export.load(folder / one["file"])
        assert all(name.startswith("encoder.") for name in program.constants)  # buffers of the encoder, and no rows
    found = sslplug.load_encoder(folder).embed()
    assert set(found) == {level["name"] for one in manifest["programs"] for level in one["outputs"]}
    assert all(np.isfinite(rows).all() for rows in found.values())


def test_a_graph_of_another_size(folders: dict[str, Path], tmp_path: Path) -> None:
    """Trained on one graph, put to another: nodes, edges and all."""
    loaded = sslplug.load_encoder(exported("graph", folders, tmp_path))
    program = loaded.programs[""]
    one = {"x_matrix": torch.rand(30, 64), "edge_index": torch.randint(0, 30, (2, 90))}
    both = {
        "x_matrix": torch.cat([one["x_matrix"], torch.rand(12, 64)]),
        "edge_index": torch.cat([one["edge_index"], torch.randint(30, 42, (2, 25))], 1),
    }
    torch.testing.assert_close(program(**both)["node"][:30], program(**one)["node"], atol=1e-6, rtol=1e-5)


def test_an_encoder_that_asks_a_tree_has_no_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """DGCNN's neighbours come from scipy: the rest is written, and the command says what is not, and why."""
    sets = ["train.max_steps=1", "data.objects=80", "train.batch_size=16", "encoder={name: dgcnn, widths: [8], wide: 16}"]
    words = ["train", "--plugin", "lidar", "--no-evaluate", "--device", "cpu", "--runs", str(tmp_path / "runs")]
    assert run([*words, *(part for change in sets for part in ("--set", change))]) == 0
    trained = next((tmp_path / "runs").rglob("recipe.yaml")).parent
    assert run(["export", str(trained), "-o", str(tmp_path / "encoder")]) == 2
    said = capsys.readouterr().err
    assert "Encoder 'dgcnn' cannot become a program" in said
    assert "the k-d tree that finds nearest neighbours (scipy.spatial.cKDTree) is no operator of torch" in said
    assert "Not written: encoder.pt2 and encoder.onnx." in said
    assert (tmp_path / "encoder" / "encoder.safetensors").is_file()
    assert not (tmp_path / "encoder" / "encoder.pt2").exists()


def test_the_commands_of_the_page(folders: dict[str, Path], tmp_path: Path) -> None:
    """docs/export.md: each Python block runs as it stands beside an exported folder ``encoder``, and prints what is below it."""
    folder = exported("tabular", folders, tmp_path)
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```\n+prints\n+```text\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
    for number, (source, printed) in enumerate(blocks):
        # The first block is for sslplug, the others must do without.
        alone = (
            "" if number == 0 else "\nimport sys; assert not [name for name in sys.modules if name.startswith('sslplug')]\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", source + alone],
            capture_output=True,
            text=True,
            cwd=folder.parent,
            env={**os.environ, **paths},
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == printed
