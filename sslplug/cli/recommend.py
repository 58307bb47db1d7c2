"""``sslplug recommend``."""

from __future__ import annotations

from pathlib import Path

import click

from sslplug.cli.options import ROOT, RUN


@click.command()
@RUN
@click.option(
    "--users", multiple=True, required=True, help="Whom to answer: names or row numbers, with commas between them."
)
@click.option("-k", default=20, show_default=True, type=click.IntRange(min=1), help="How many candidates each.")
@click.option("--task", help="The ranking task that says who, what and what was seen; else the only one.")
@click.option("--index", type=click.Choice(["exact", "faiss"]), default="exact", show_default=True, help="Who searches.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="A .parquet, .csv or .tsv file to write; else it is printed."
)
@ROOT
def recommend(
    run: Path, users: tuple[str, ...], k: int, task: str | None, index: str, out: Path | None, data_root: Path | None
) -> None:
    """Answer users from the embeddings of RUN: the best items each, what they have seen left out."""
    from sslplug import stages

    named = [name.strip() for group in users for name in group.split(",") if name.strip()]
    found = stages.recommend(run, users=named, k=k, task=task, index=index, out=out, data_root=data_root)
    click.echo(str(out) if out else found, nl=out is not None)
