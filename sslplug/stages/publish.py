"""Where a comparison goes beside the terminal: TensorBoard, a page, Markdown, JSON, and blocks in somebody's Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sslplug.errors import UsageError
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_json import write_comparison
from sslplug.reporting.comparison_log import FOLDER, SHOWN, write_tensorboard
from sslplug.reporting.markdown import write_markdown
from sslplug.reporting.page import write_page
from sslplug.reporting.progress import say
from sslplug.reporting.results_block import write_into


@dataclass(frozen=True)
class Outputs:
    """The places that were asked for; None or empty for the others."""

    logdir: Path | None = None
    page: Path | None = None
    markdown: Path | None = None
    json: Path | None = None
    into: Sequence[Path] = ()


def publish(comparison: Comparison, outputs: Outputs) -> None:
    """Writes each output and says where it is. Folders of files that are new are made.

    Raises UsageError for a place that cannot take its output, RunFolderError where the disk refuses.
    """
    for file in (outputs.page, outputs.markdown, outputs.json):
        if file is not None:
            _room(file)
    if outputs.logdir is not None:
        runs = write_tensorboard(outputs.logdir, comparison)
        say(f"TensorBoard: tensorboard --logdir {outputs.logdir} (this comparison is {outputs.logdir / FOLDER})")
        if runs > SHOWN:
            say(f"{runs} runs are more than the {SHOWN} that TensorBoard selects by itself: press TOGGLE ALL RUNS there.")
    for file, write, name in (
        (outputs.page, write_page, "page"),
        (outputs.markdown, write_markdown, "Markdown"),
        (outputs.json, write_comparison, "JSON"),
    ):
        if file is not None:
            write(file, comparison)
            say(f"{name}: {file}")
    for file in outputs.into:
        write_into(file, comparison)
        say(f"tables written into {file}")


def _room(file: Path) -> None:
    """Makes the folder of a file. Raises UsageError where the file's own name is taken by a folder, or its folder cannot be."""
    if file.is_dir():
        raise UsageError(f"{file}: is a folder; name the file to write, such as {file / 'comparison.html'}.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{file}: its folder cannot be made ({error.strerror}); name another place.") from error
