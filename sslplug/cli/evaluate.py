"""``sslplug evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from sslplug.cli.options import DEVICE, ROOT, RUN, SET


@click.command()
@RUN
@SET
@DEVICE
@ROOT
def evaluate(run: Path, overrides: tuple[str, ...], device: str, data_root: Path | None) -> None:
    """Judge a trained RUN anew."""
    from sslplug import stages

    stages.evaluate(run, overrides=overrides, device=device, data_root=data_root)
