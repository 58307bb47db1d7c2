"""``sslplug check``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sslplug.cli.data_choice import data_overrides
from sslplug.cli.options import ROOT, SET
from sslplug.errors import SslplugError, UsageError


@click.command()
@click.argument("plugin")
@click.option("--data", help="Check this data instead: a data name of the plugin, or a file or folder of your own.")
@click.option("--target", help="The column to predict in --data; short for --set data.target=COLUMN.")
@click.option("--recipe", help="The recipe that would be trained: a shipped one's name or a YAML file; else the default.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Faults of a kind told in words.")
@SET
@ROOT
@click.pass_context
def check(
    context: click.Context,
    plugin: str,
    data: str | None,
    target: str | None,
    recipe: str | None,
    limit: int,
    overrides: tuple[str, ...],
    data_root: Path | None,
) -> None:
    """Hold PLUGIN against the contracts (the conformance kit), or with --data hold data against what training needs.

    Fails where one check fails, or where training would refuse the data; every fault of the data is told with file, row and
    column.
    """
    if data is not None:
        context.exit(_check_data(plugin, recipe, data, target, overrides, limit, data_root))
    if target is not None or recipe is not None or overrides or data_root is not None:
        raise UsageError("--target, --recipe, --set and --data-root say how data is read; name it with --data.")
    _check_plugin(plugin)


def _check_data(
    plugin: str,
    recipe: str | None,
    data: str,
    target: str | None,
    overrides: tuple[str, ...],
    limit: int,
    data_root: Path | None,
) -> int:
    from sslplug import stages

    aim = [f"data.target={json.dumps(target)}"] if target else []
    changes = [*data_overrides(plugin, data), *aim, *overrides]
    report = stages.check_data(plugin, recipe, changes, named=data, limit=limit, data_root=data_root)
    for line in report.lines():
        click.echo(line)
    return 1 if report.refused else 0


def _check_plugin(plugin: str) -> None:
    from sslplug.testing.checks import check_plugin

    results = []
    for result in check_plugin(plugin):
        results.append(result)
        state = "pass" if result.passed else "FAIL"
        words = result.sentence.removeprefix(f"{result.id}: ")
        click.secho(f"{state}  {result.id}  {words}".rstrip(), fg=None if result.passed else "red")
        if not result.passed and result.mend:
            click.echo(f"      mend: {result.mend}")
    failed = sum(not result.passed for result in results)
    if failed:
        raise SslplugError(
            f"Plugin {plugin!r} fails {failed} of {len(results)} checks; each line above says how to mend it."
        )
    click.echo(f"Plugin {plugin!r} passes all {len(results)} checks.")
