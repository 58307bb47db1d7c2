"""``sslplug info``."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("plugin")
@click.option("--json-schema", is_flag=True, help="Print the JSON Schema of this plugin's recipes, for editors.")
def info(plugin: str, json_schema: bool) -> None:
    """Print every component of PLUGIN with its options, defaults and meaning."""
    from sslplug import recipe, stages

    schema = stages.schema(plugin)
    if json_schema:
        click.echo(json.dumps(recipe.json_schema(schema), indent=2))
        return
    for row in recipe.describe(schema):
        tags = "; ".join(
            f"{word} {', '.join(names)}"
            for word, names in (("provides", row.provides), ("needs", row.needs), ("refuses", row.refuses))
            if names
        )
        click.secho(f"{row.role} {row.name}".rstrip(), bold=True, nl=False)
        click.echo(f"  {row.summary}" + (f"  [{tags}]" if tags else ""))
        for option in row.options:
            click.echo(f"    {option.name}: {option.type} = {option.default}  {option.meaning}".rstrip())
