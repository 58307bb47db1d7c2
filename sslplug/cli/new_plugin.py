"""``sslplug new-plugin``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", default="table", show_default=True, help="What a batch looks like: table, sequence, set or graph.")
@click.option("--folder", type=click.Path(path_type=Path), default=".", show_default=True, help="Where the package goes.")
def new_plugin(name: str, kind: str, folder: Path) -> None:
    """Write an installable package for domain NAME that trains, is judged and passes `sslplug check NAME` as written."""
    from sslplug import discovery, scaffold
    from sslplug.errors import UsageError

    taken = next((found for found in discovery.list_plugins() if found.name == name), None)
    if taken is not None:
        raise UsageError(
            f"There is a plugin named {name!r} already ({taken.label}); choose another name. Nothing was written."
        )
    files = scaffold.new_plugin(name, kind, folder)
    for file in files:
        click.echo(str(file))
    package = folder / f"sslplug-{name.replace('_', '-')}"
    click.echo(f"Next: pip install -e {package}; sslplug check {name}; sslplug train --plugin {name}")
