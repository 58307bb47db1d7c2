"""``sslplug plugins``."""

from __future__ import annotations

import click


@click.command()
def plugins() -> None:
    """List the installed plugins; a broken one is one red line."""
    from sslplug.discovery import GROUP, status

    lines = status()
    if not lines:
        click.echo(f"No plugin is installed. A plugin is a package with an entry point in {GROUP!r}.")
    for line in lines:
        found = line.found
        text = f"{found.name:<12} {line.state:<9} {found.distribution} {found.version}  {line.text}"
        click.secho(text, fg={"broken": "red", "conflict": "red", "disabled": "yellow"}.get(line.state))
