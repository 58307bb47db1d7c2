"""``sslplug resume``."""

from __future__ import annotations

from pathlib import Path

import click

from sslplug.cli.options import DEVICE, EVALUATE, ROOT, RUN


@click.command()
@RUN
@DEVICE
@ROOT
@EVALUATE
def resume(run: Path, device: str, data_root: Path | None, evaluate: bool) -> None:
    """Go on with a stopped RUN from its newest checkpoint."""
    from sslplug import stages

    click.echo(str(stages.resume(run, device=device, evaluate=evaluate, data_root=data_root)))
