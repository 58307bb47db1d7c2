"""``sslplug bench``."""

from __future__ import annotations

from pathlib import Path

import click

from sslplug.cli.options import DEVICE, ROOT
from sslplug.errors import UsageError


@click.command()
@click.argument("plugin", required=False)
@click.option("--all", "every", is_flag=True, help="Every installed plugin, in place of one PLUGIN.")
@click.option("--objectives", help="Names with commas between; `own`: what the recipe says. Else every objective that fits.")
@click.option("--recipes", help="Shipped names or YAML files with commas between; else the plugin's default recipe.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Seeds of each combination.")
@click.option(
    "--budget",
    type=click.Choice(["small", "full"]),
    default="small",
    show_default=True,
    help="full: recipes as they are; small: at most 50 steps, one split and two label fractions each.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Runs at a time, which share the cores; else a core each, at most 8."
)
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where run folders go."
)
@click.option("--logdir", type=click.Path(path_type=Path), help="Also write a TensorBoard folder of the comparison.")
@click.option("--list", "only_list", is_flag=True, help="Print every run with its state and command, and run nothing.")
@DEVICE
@ROOT
def bench(
    plugin: str | None,
    every: bool,
    objectives: str | None,
    recipes: str | None,
    seeds: int,
    budget: str,
    jobs: int | None,
    runs: Path,
    logdir: Path | None,
    only_list: bool,
    device: str,
    data_root: Path | None,
) -> None:
    """Train PLUGIN, or --all, with every objective that fits and several seeds, one process a run; then compare.

    What is done is not redone and what was stopped goes on: the same command again does what is left.
    """
    if (plugin is None) != every:
        raise UsageError("Name one PLUGIN or --all; `sslplug plugins` lists what is installed.")
    from sslplug import stages

    planned = stages.matrix(
        plugin,
        recipes=_names(recipes),
        objectives=_names(objectives),
        seeds=seeds,
        budget="full" if budget == "full" else "small",
    )
    if only_list:
        for line in stages.listed(planned, runs):
            click.echo(line)
        return
    stages.bench(planned, jobs=jobs, runs=runs, device=device, data_root=data_root, logdir=logdir)


def _names(text: str | None) -> list[str]:
    """The words between commas."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]
