"""``sslplug check``."""

from __future__ import annotations

import click

from sslplug.errors import SslplugError


@click.command()
@click.argument("plugin")
def check(plugin: str) -> None:
    """Hold PLUGIN against the contracts: the conformance kit; fails when one check fails."""
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
