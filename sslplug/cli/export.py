"""``sslplug export``."""

from __future__ import annotations

from pathlib import Path

import click

from sslplug.cli.options import RUN


@click.command()
@RUN
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
def export(run: Path, out: Path) -> None:
    """Write the trained encoder of RUN, with the recipe that builds it, for use elsewhere."""
    from sslplug import stages

    stages.export(run, out)
    click.echo(str(out))
