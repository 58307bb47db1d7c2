"""Pictures of a scan, of its views, of embeddings as colours and of flow errors: arrays, for PNG files and TensorBoard.

pictures = scan_pictures(clean_view, views, {"point": rows})
write_pictures(folder, pictures, step)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from sslplug.contracts import View
from sslplug.errors import DataError
from sslplug_lidar.batch import Clouds
from sslplug_lidar.pictures.canvas import beside
from sslplug_lidar.pictures.colours import embedding_colours, ramp
from sslplug_lidar.pictures.projection import extent, from_above, in_perspective

Mesh = tuple[np.ndarray, np.ndarray]
"""Points (m, 3) float32 and their colours (m, 3) uint8, for TensorBoard's 3-D view."""


@dataclass(frozen=True)
class Pictures:
    """images  {name: (h, w, 3) uint8};  meshes  {name: points and colours}."""

    images: Mapping[str, np.ndarray] = field(default_factory=lambda: MappingProxyType({}))
    meshes: Mapping[str, Mesh] = field(default_factory=lambda: MappingProxyType({}))

    def __or__(self, other: Pictures) -> Pictures:
        return Pictures({**self.images, **other.images}, {**self.meshes, **other.meshes})


def cloud_points(clouds: Clouds, cloud: int) -> tuple[np.ndarray, slice]:
    """(m, 3) points of one cloud of a batch, and where they lie in it. DataError where the batch has no such cloud."""
    if not 0 <= cloud < len(clouds.index):
        raise DataError(f"Pictures: cloud {cloud} of a batch of {len(clouds.index)}; expected 0..{len(clouds.index) - 1}.")
    rows = slice(int(clouds.offsets[cloud]), int(clouds.offsets[cloud + 1]))
    return clouds.xyz[rows].detach().cpu().numpy(), rows


def coloured(name: str, xyz: np.ndarray, colours: np.ndarray, reach: float, dot: int = 2) -> Pictures:
    """A cloud from above and in perspective, side by side, and in three dimensions."""
    above = from_above(xyz, colours, reach, 384, dot)
    return Pictures({name: beside([above, in_perspective(xyz, colours, dot=dot)])}, {name: (xyz, colours)})


def scan_pictures(
    clean: View, views: Sequence[View], levels: Mapping[str, np.ndarray], cloud: int = 0, dot: int = 2
) -> Pictures:
    """Pictures of one cloud of a batch: ``scan`` by height, ``view0``, ``view1``, ... of it, ``embedding/<level>`` in colours.

    clean   the untouched view;  views  transformed views of the same batch (the cloud is found by ``Clouds.index``; a view
            without it has no picture)
    levels  embeddings of the clean view, {level: (n, d)}; levels with a row a point are drawn
    """
    clouds: Clouds = clean.data
    xyz, rows = cloud_points(clouds, cloud)
    reach = extent(xyz)
    found = coloured("scan", xyz, ramp(xyz[:, 2]), reach, dot)
    for number, view in enumerate(views):
        data: Clouds = view.data
        same = (data.index == int(clouds.index[cloud])).nonzero()[:, 0]
        if len(same):
            seen, _ = cloud_points(data, int(same[0]))
            found |= coloured(f"view{number}", seen, ramp(seen[:, 2]), reach, dot)
    for level, values in levels.items():
        if len(values) == len(clouds.xyz):
            found |= coloured(f"embedding/{level}", xyz, embedding_colours(values)[rows], reach, dot)
    return found


def flow_pictures(
    source: np.ndarray, target: np.ndarray, predicted: np.ndarray, true: np.ndarray, worst: float = 0.3, dot: int = 2
) -> Pictures:
    """Pictures of one pair: ``flow/moved``, the target grey and the moved source yellow; ``flow/error`` in metres.

    source (m, 3), target (k, 3), predicted and true flow (m, 3); errors of ``worst`` metres and more are red, unknown ones grey.
    """
    reach = extent(source)
    both = np.concatenate([target, source + predicted]).astype(np.float32)
    colours = np.concatenate([np.full((len(target), 3), 110), np.tile([250, 205, 60], (len(source), 1))]).astype(np.uint8)
    error = np.linalg.norm(predicted - true, axis=1)
    return coloured("flow/moved", both, colours, reach, dot) | coloured(
        "flow/error", source.astype(np.float32), ramp(error, 0.0, worst), reach, dot
    )
