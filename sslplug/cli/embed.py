"""``sslplug embed``."""

from __future__ import annotations

from pathlib import Path

import click

from sslplug.cli.data_choice import other_data
from sslplug.cli.options import DEVICE, ROOT, RUN, SET


@click.command()
@RUN
@click.option("--data", help="A data name of the plugin, or a file or folder; else the data of the run.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The Parquet file to write.")
@SET
@DEVICE
@ROOT
def embed(run: Path, data: str | None, out: Path, overrides: tuple[str, ...], device: str, data_root: Path | None) -> None:
    """Embed data with the trained encoder of RUN; --data of the same kind keeps the run's data options."""
    from sslplug import stages

    changes = [*(other_data(run, data) if data else ()), *overrides]
    for file in stages.embed(run, data=None, overrides=changes, out=out, device=device, data_root=data_root):
        click.echo(str(file))
