"""``sslplug compare``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--logdir", type=click.Path(path_type=Path), help="Also write a TensorBoard folder of these runs.")
def compare(runs: tuple[Path, ...], logdir: Path | None) -> None:
    """Compare RUNS (or folders of runs): one table a recipe, seeds joined, each number beside its controls with paired tests."""
    from sslplug import stages

    stages.compare(runs, logdir)
