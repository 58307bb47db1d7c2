"""``sslplug export``."""

from __future__ import annotations

from pathlib import Path

import click

from sslplug.cli.options import ROOT, RUN


@click.command()
@RUN
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The folder to write; replaced whole.")
@click.option("--onnx/--no-onnx", default=True, help="Write ONNX too, where the encoder's operators have that form.")
@ROOT
def export(run: Path, out: Path, onnx: bool, data_root: Path | None) -> None:
    """Write the trained encoder of RUN as a program that needs no sslplug, compared with the encoder on rows of its data.

    The folder holds encoder.pt2 (torch.export), encoder.onnx where that is possible, the weights, the recipe, what the data
    fitted, a model card and a manifest.
    """
    from sslplug import stages

    for file in stages.export(run, out, data_root=data_root, onnx=onnx):
        click.echo(str(file))
