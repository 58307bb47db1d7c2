"""Judged runs below folders. Whatever is wrong with a run leaves it out with a sentence: others are still to be compared."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sslplug.errors import RunFolderError
from sslplug.evaluation import Score
from sslplug.recipe import CHOICE_SECTIONS
from sslplug.reporting.runfolder import RunRecord, read_run

FORMAT = 1
"""What ``metrics.json`` says of its form."""

_SCORES = TypeAdapter(tuple[Score, ...])


@dataclass(frozen=True)
class JudgedRun:
    """A run that can be compared: its record, and its finite scores."""

    record: RunRecord
    scores: tuple[Score, ...]

    @property
    def seed(self) -> int:
        """Of its recipe."""
        return int(self.record.recipe["seed"])


def gather(places: Iterable[Path]) -> tuple[list[JudgedRun], list[str]]:
    """(judged runs, a sentence for each that is left out) at and below the given folders, by run id and path.

    Runs may be written, go on or vanish meanwhile: files are published whole, so each is read as it was at one moment.
    Raises RunFolderError for a place that is no folder.
    """
    runs, left_out = [], []
    for folder in sorted({found for place in places for found in _below(place)}, key=lambda path: (path.name, str(path))):
        try:
            run, lost = _read(folder)
        except RunFolderError as error:
            said = str(error).removeprefix(f"{folder}: ")
            left_out.append(f"{folder}: left out. {said[:1].upper()}{said[1:]}")
            continue
        runs.append(run)
        if lost:
            left_out.append(lost)
    return runs, left_out


def scores_of(record: RunRecord) -> list[Score]:
    """The run's finite scores; none where it was not judged. RunFolderError where they are not what this version writes."""
    return [score for score in _all_scores(record) if math.isfinite(score.value)]


def _all_scores(record: RunRecord) -> list[Score]:
    """The run's scores, with NaN where JSON holds null because a number was not finite."""
    rows = record.metrics.get("scores", [])
    try:
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"expected a list of objects, found {type(rows).__name__}")
        return list(_SCORES.validate_python([_numbers(row) for row in rows]))
    except ValueError as error:  # pydantic's is one
        found = error.errors()[0] if isinstance(error, ValidationError) else None
        what = str(error) if found is None else f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
        raise RunFolderError(
            f"{record.path / 'metrics.json'}: its scores cannot be read ({what}); "
            f"`sslplug evaluate {record.path}` writes them anew."
        ) from error


def _below(place: Path) -> list[Path]:
    """Folders at and below ``place`` that look like runs: with metrics, or with the two files that a new run starts with."""
    if not place.is_dir():
        raise RunFolderError(f"{place}: there is no such folder; give run folders, or a folder with runs below it.")
    return [
        Path(folder)
        for folder, _, files in os.walk(place)
        if "recipe.yaml" in files and ("metrics.json" in files or "environment.json" in files)
    ]


def _read(folder: Path) -> tuple[JudgedRun, str]:
    """A run, and what has to be said of it. RunFolderError says why it cannot be compared."""
    record = read_run(folder)
    recipe, metrics = record.recipe, record.metrics
    if metrics.get("format") != FORMAT:
        raise RunFolderError(
            f"Its metrics.json is of format {metrics.get('format')!r}, this version reads {FORMAT}; "
            f"compare it with the version that wrote it, or train it anew."
        )
    if fault := _fault(recipe, metrics):
        raise RunFolderError(f"{fault}; its files were changed by hand or are of another version. Train it anew.")
    if "scores" not in metrics:
        raise RunFolderError(
            f"It is still at work, was stopped, or was not judged; `sslplug resume {folder}` goes on with what is left."
        )
    if not metrics.get("finished"):
        raise RunFolderError(
            f"Its training was stopped at step {metrics.get('steps')}; `sslplug resume {folder}` goes on with it."
        )
    scores = _all_scores(record)
    if not scores:
        raise RunFolderError("Its data has no task to judge.")
    finite = scores_of(record)
    if not finite:
        raise RunFolderError("None of its scores is a finite number.")
    lost = sorted({f"{one.task}/{one.metric}" for one in scores if not math.isfinite(one.value)})
    said = f"{folder}: scores that are no finite number are left out: {', '.join(lost)}." if lost else ""
    return JudgedRun(record, tuple(finite)), said


def _fault(recipe: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """What is not of the kind that a comparison needs; "" where all is."""
    for key in ("plugin", "name"):
        if not isinstance(recipe.get(key), str):
            return f"Its recipe's {key} is {recipe.get(key)!r}"
    if not isinstance(recipe.get("seed"), int) or isinstance(recipe.get("seed"), bool):
        return f"Its recipe's seed is {recipe.get('seed')!r}"
    for section in CHOICE_SECTIONS:
        choice = recipe.get(section)
        named = isinstance(choice, Mapping) and isinstance(choice.get("name"), str)
        if not named and not (section == "objective" and choice is None):
            return f"Its recipe's {section} names no component"
    for key in ("training_seconds", "evaluation_seconds"):
        if not isinstance(metrics.get(key, 0.0), int | float | None):
            return f"Its {key} is {metrics[key]!r}"
    if not isinstance(metrics.get("data", {}), Mapping) or not isinstance(metrics.get("diagnostics") or {}, Mapping):
        return "Its data or its diagnostics are no named values"
    return ""


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """A score's object with NaN for null."""
    found = dict(row)
    if "value" in row and row["value"] is None:
        found["value"] = math.nan
    if isinstance(row.get("without"), list):
        found["without"] = tuple(math.nan if one is None else one for one in row["without"])
    return found
