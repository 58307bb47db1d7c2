"""``sslplug train``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from sslplug.cli.data_choice import data_overrides
from sslplug.cli.options import DEVICE, EVALUATE, ROOT, SET


@click.command()
@click.option("--plugin", required=True, help="The domain; `sslplug plugins` lists them.")
@click.option("--recipe", help="A shipped recipe's name or a YAML file; else the plugin's default.")
@click.option("--data", help="A data name of the plugin, or a file or folder of your own.")
@click.option("--target", help="The column to predict in --data; short for --set data.target=COLUMN.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Runs, with seeds counted up.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where run folders go."
)
@click.option("--download", is_flag=True, help="Fetch a missing dataset; it is checked by sha256.")
@SET
@DEVICE
@ROOT
@EVALUATE
def train(
    plugin: str,
    recipe: str | None,
    data: str | None,
    target: str | None,
    seeds: int,
    runs: Path,
    download: bool,
    overrides: tuple[str, ...],
    device: str,
    data_root: Path | None,
    evaluate: bool,
) -> None:
    """Train a recipe and judge the embeddings beside their controls."""
    from sslplug import stages

    aim = [f"data.target={json.dumps(target)}"] if target else []
    changes = [*data_overrides(plugin, data), *aim, *overrides]
    folders = stages.train(
        plugin,
        recipe,
        changes,
        seeds=seeds,
        device=device,
        data_root=data_root,
        runs=runs,
        evaluate=evaluate,
        download=download,
    )
    if os.environ.get("RANK", "0") == "0":
        for folder in folders:
            click.echo(str(folder))
