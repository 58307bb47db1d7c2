"""Which cells of a comparison a folder of runs already holds: told by the runs' own recipes, so that runs made by hand count."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sslplug.build import schema_of
from sslplug.contracts import Plugin
from sslplug.errors import RecipeError, RunFolderError
from sslplug.recipe import read_recipe
from sslplug.reporting.runfolder import is_held, read_metrics
from sslplug.stages.bench.matrix import Cell, content
from sslplug.stages.recipes import checked
from sslplug.training import checkpoint


@dataclass(frozen=True)
class State:
    """Where a cell stands.

    word    done, busy (a process is at work in its run), stopped (its run can go on from a checkpoint) or new
    folder  its run; None where it is new
    """

    word: Literal["done", "busy", "stopped", "new"]
    folder: Path | None = None


@dataclass
class FoundRuns:
    """The runs below a folder, by what their recipes say. Recipes are read once, as they never change while a run trains."""

    runs: Path
    plugins: dict[str, Plugin]
    _known: dict[tuple[Path, int], str] = field(default_factory=dict)

    def state(self, cell: Cell) -> State:
        """Where the cell stands now."""
        wanted = content(cell.resolved.to_dict())
        parent = self.runs / cell.resolved.plugin / cell.resolved.name
        folders = [file.parent for file in sorted(parent.glob("*/recipe.yaml"), reverse=True)]
        same = [folder for folder in folders if self._content(folder / "recipe.yaml", cell.plugin) == wanted]
        done = next((folder for folder in same if _judged(folder)), None)
        if done is not None:
            return State("done", done)
        held = next((folder for folder in same if is_held(folder)), None)
        if held is not None:
            return State("busy", held)
        stopped = next((folder for folder in same if _can_go_on(folder)), None)
        return State("new") if stopped is None else State("stopped", stopped)

    def _content(self, file: Path, plugin: str) -> str:
        """What a run's recipe comes to today: options that came after it have their defaults. "" where it cannot be read."""
        try:
            key = file, file.stat().st_mtime_ns
            if key not in self._known:
                resolved = checked(read_recipe(file), (), schema_of(self.plugins[plugin]), str(file))
                self._known[key] = content(resolved.to_dict())
            return self._known[key]
        except (OSError, RecipeError):
            return ""


def _judged(folder: Path) -> bool:
    """Whether the run has its scores, which it writes last."""
    try:
        return (folder / "metrics.json").is_file() and "scores" in read_metrics(folder)
    except RunFolderError:
        return False


def _can_go_on(folder: Path) -> bool:
    """Whether an intact checkpoint is there."""
    try:
        checkpoint.newest(folder / "checkpoints")
    except RunFolderError:
        return False
    return True
