"""``sslplug compare``."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--logdir", type=click.Path(path_type=Path), help="Also write a TensorBoard folder of these runs.")
@click.option("--page", type=_FILE, help="Also write one HTML page, which needs nothing beside it.")
@click.option("--markdown", type=_FILE, help="Also write the same as Markdown, with its pictures in a folder beside it.")
@click.option("--json", type=_FILE, help="Also write the comparison as data; it can be given in place of RUNS.")
@click.option("--into", multiple=True, type=_FILE, help="Also fill the marked tables of a Markdown file.")
def compare(
    runs: tuple[Path, ...],
    logdir: Path | None,
    page: Path | None,
    markdown: Path | None,
    json: Path | None,
    into: tuple[Path, ...],
) -> None:
    """Compare RUNS (or folders of runs): one table a recipe with paired tests, then objectives over tasks and verdicts."""
    from sslplug import stages

    stages.compare(runs, stages.Outputs(logdir, page, markdown, json, into))
