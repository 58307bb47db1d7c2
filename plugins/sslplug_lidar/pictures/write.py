"""Pictures into a folder: PNG files, and TensorBoard's image and mesh plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sslplug_lidar.pictures.canvas import png, write_png
from sslplug_lidar.pictures.scans import Pictures

_POINT = 0.15
"""Size of a point in TensorBoard's 3-D view, metres."""


def write_files(folder: Path, pictures: Pictures) -> list[Path]:
    """``<folder>/<name>.png`` for every image; slashes in names make folders."""
    files = []
    for name, image in pictures.images.items():
        file = folder / f"{name}.png"
        write_png(file, image)
        files.append(file)
    return files


def write_tensorboard(folder: Path, pictures: Pictures, step: int) -> None:
    """Images as ``pictures/<name>`` and clouds as meshes of the same name, in an event file of their own."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(folder), filename_suffix=".pictures")
    try:
        for name, image in pictures.images.items():
            shot = Summary.Image(height=image.shape[0], width=image.shape[1], colorspace=3, encoded_image_string=png(image))
            writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=f"pictures/{name}", image=shot)]), step)
        for name, (xyz, colours) in pictures.meshes.items():
            config = {"material": {"cls": "PointsMaterial", "size": _POINT}}
            writer.add_mesh(
                f"pictures/{name}",
                torch.from_numpy(xyz)[None].float(),
                colors=torch.from_numpy(colours)[None],
                config_dict=config,
                global_step=step,
            )
    finally:
        writer.close()
