"""``sslplug recipes``."""

from __future__ import annotations

import click


@click.command()
@click.argument("plugin", required=False)
def recipes(plugin: str | None) -> None:
    """List the recipes that ship with PLUGIN, or with every plugin."""
    from sslplug import discovery
    from sslplug.recipe_yaml import read_recipe

    names = [plugin] if plugin else [line.found.name for line in discovery.status() if line.state == "ok"]
    for name in names:
        loaded = discovery.load(name)
        for recipe, file in discovery.recipes_of(loaded).items():
            mark = "*" if recipe == loaded.default_recipe else " "
            click.echo(f"{name:<12} {mark} {recipe:<32} {read_recipe(file).get('about', '')}".rstrip())
