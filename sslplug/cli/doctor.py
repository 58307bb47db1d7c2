"""``sslplug doctor``."""

from __future__ import annotations

import click


@click.command()
def doctor() -> None:
    """Say whether this machine is ready: versions, device, data root, plugins."""
    from sslplug import stages

    for line in stages.doctor():
        click.echo(line)
