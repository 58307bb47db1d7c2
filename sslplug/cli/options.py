"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

RUN = click.argument("run", type=click.Path(path_type=Path))
SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one option, such as optim.lr=0.01."
)
DEVICE = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
ROOT = click.option("--data-root", type=click.Path(path_type=Path), help="Where datasets lie; else SSLPLUG_DATA.")
EVALUATE = click.option("--evaluate/--no-evaluate", default=True, help="Judge the embeddings after training.")
