"""Files made to do harm are refused quickly, in one typed sentence, and nothing is written where it does not belong."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sslplug import discovery
from sslplug.cli import run
from sslplug.contracts import DataContext
from sslplug.errors import SslplugError
from tests.reliability import hostile_files as hostile

SECONDS = 10.0
"""Of the processor; the first refusal imports torch and the toy, every other takes well below one."""


@pytest.fixture
def place(tmp_path: Path, toy_plugin: str) -> Iterator[Path]:
    """A folder to work in; whatever appears beside it, or a canary anywhere, fails the test."""
    inside = tmp_path / "inside"
    inside.mkdir()
    before = set(tmp_path.iterdir())
    began = time.process_time()
    yield inside
    assert time.process_time() - began < SECONDS
    assert set(tmp_path.iterdir()) == before, "something was written beside the folder"
    assert not list(tmp_path.rglob("canary")), "the file's own code ran"


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence with which a command line is refused."""
    code = run(words)
    said = capsys.readouterr().err
    assert code in (1, 2), said
    assert "defect" not in said
    assert "Traceback" not in said
    assert "Error: " in said
    return said


@pytest.mark.parametrize("name", hostile.RECIPES)
def test_recipes(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = hostile.RECIPES[name]
    file = place / "recipe.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.replace("CANARY", str(place / "canary")).encode())
    said = refused(["train", "--plugin", "toy", "--recipe", str(file), "--runs", str(place / "runs")], capsys)
    assert len(said) < 5000
    assert not (place / "runs").exists()


@pytest.mark.parametrize("word", ["../../../etc/passwd", "/dev/zero", "/etc", "fifo.yaml", "crops-infonce/../crops-infonce"])
def test_names_of_recipes(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    hostile.os.mkfifo(place / "fifo.yaml")
    monkeypatch.chdir(place)
    refused(["train", "--plugin", "toy", "--recipe", word, "--runs", str(place / "runs")], capsys)
    assert not (place / "runs").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with one checkpoint. Only to be copied."""
    root = tmp_path_factory.mktemp("trained")
    info = root / "site" / "sslplug_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sslplug-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sslplug.plugins]\ntoy = sslplug.testing.toy:TOY\n")
    words = ["data.rows=64", "encoder.width=4", "train.epochs=1", "train.batch_size=32"]
    sets = [part for word in words for part in ("--set", word)]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root / "site"))
        assert (
            run(["train", "--plugin", "toy", "--device", "cpu", "--no-evaluate", "--runs", str(root / "runs"), *sets]) == 0
        )
    (file,) = root.rglob("recipe.yaml")
    return file.parent


def spoilt(trained: Path, place: Path, spoil: Callable[[Path], object]) -> Path:
    """A copy of the run whose checkpoint is spoilt, under a manifest that vouches for it."""
    folder = place / "run"
    shutil.copytree(trained, folder)
    (checkpoint,) = (folder / "checkpoints").iterdir()
    spoil(checkpoint)
    return folder


@pytest.mark.parametrize("name", hostile.TENSORS)
def test_tensors(place: Path, trained: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    content = hostile.TENSORS[name](place / "canary")
    for file in ("model.safetensors", "optim.safetensors"):

        def spoil(checkpoint: Path, file: str = file) -> None:
            (checkpoint / file).write_bytes(content)
            hostile.sealed(checkpoint)

        folder = spoilt(trained, place, spoil)
        (state,) = folder.rglob("state.json")
        state.write_text(state.read_text().replace('"finished": true', '"finished": false'))
        hostile.sealed(state.parent)
        said = refused(["resume", str(folder), "--device", "cpu", "--no-evaluate"], capsys)
        assert str(folder / "checkpoints") in said
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", hostile.STATES)
def test_states(place: Path, trained: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    def spoil(checkpoint: Path) -> None:
        (checkpoint / "state.json").write_bytes(hostile.STATES[name])
        hostile.sealed(checkpoint)

    folder = spoilt(trained, place, spoil)
    assert str(folder) in refused(["resume", str(folder), "--device", "cpu", "--no-evaluate"], capsys)


@pytest.mark.parametrize("name", hostile.MANIFESTS)
def test_manifests(place: Path, trained: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    folder = spoilt(trained, place, lambda checkpoint: (checkpoint / "MANIFEST.json").write_bytes(hostile.MANIFESTS[name]))
    assert "MANIFEST.json" in refused(["export", str(folder), "-o", str(place / "out")], capsys)


@pytest.mark.parametrize("name", ["metrics.json", "fitted.json", "recipe.yaml"])
@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 100_000, b"\xff\xfe", b"[]", b"7"])
def test_other_files_of_a_run(
    place: Path, trained: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    folder = place / "run"
    shutil.copytree(trained, folder)
    (folder / name).write_bytes(content)
    words = {
        "metrics.json": ["compare", str(folder)],
        "fitted.json": ["embed", str(folder), "-o", str(place / "out.parquet")],
    }
    assert name in refused(words.get(name, ["resume", str(folder)]), capsys)


@pytest.mark.parametrize("link", ["checkpoints", "checkpoints/STEP", "log.jsonl", "metrics.json", "recipe.yaml"])
def test_links_out_of_a_run_are_not_followed(
    place: Path, trained: Path, capsys: pytest.CaptureFixture[str], link: str
) -> None:
    """A run folder from elsewhere must not make `resume` write, or throw away, what lies outside."""
    folder, other = place / "run", place / "other"
    shutil.copytree(trained, folder)
    (step,) = (folder / "checkpoints").iterdir()
    inside = folder / link.replace("STEP", step.name)
    shutil.move(inside, other) if inside.exists() else other.touch()
    inside.symlink_to(other)
    before = {path: path.read_bytes() for path in [other, *other.rglob("*")] if path.is_file()}
    said = refused(["resume", str(folder), "--device", "cpu", "--no-evaluate"], capsys)
    assert "is a link" in said
    assert {path: path.read_bytes() for path in [other, *other.rglob("*")] if path.is_file()} == before


@pytest.mark.parametrize("name", hostile.ARCHIVES)
@pytest.mark.parametrize("plugin", ["graph", "wearable", "lidar"])
def test_archives_of_arrays(place: Path, plugin: str, name: str) -> None:
    file = place / "data.npz"
    file.write_bytes(hostile.ARCHIVES[name](place / "canary"))
    component = discovery.load(plugin).data["files"]
    with pytest.raises(SslplugError, match=r"data\.npz[:,] "):
        component.build(component.options(path=file), DataContext(None, place / "cache", 0))
