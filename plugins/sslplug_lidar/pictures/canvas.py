"""Points drawn on a raster, and rasters as PNG files (ISO/IEC 15948), with nothing but numpy and zlib."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from sslplug.errors import DataError

BACKGROUND = (16, 18, 24)


def draw(places: np.ndarray, depth: np.ndarray, colours: np.ndarray, height: int, width: int, dot: int = 1) -> np.ndarray:
    """(height, width, 3) uint8: points as squares of ``dot`` pixels; of two on one pixel the one of smaller depth is seen.

    places  (m, 2) float row and column, in pixels from the upper left corner; what lies outside is left out
    depth   (m,) distance from the viewer;  colours  (m, 3) uint8
    """
    image = np.empty((height, width, 3), np.uint8)
    image[:] = BACKGROUND
    order = np.argsort(-depth, kind="stable")  # later ones are drawn over earlier ones
    first = np.floor(places[order] - (dot - 1) / 2).astype(np.int64)
    reach = np.stack(np.meshgrid(np.arange(dot), np.arange(dot), indexing="ij"), -1).reshape(-1, 2)
    pixels = (first[:, None] + reach[None]).reshape(-1, 2)
    seen = ((pixels >= 0) & (pixels < [height, width])).all(1)
    flat = pixels[seen, 0] * width + pixels[seen, 1]
    paint = np.repeat(colours[order], dot * dot, axis=0)[seen]
    # The last of each pixel, found explicitly: numpy leaves the order of repeated assignments open.
    _, last = np.unique(flat[::-1], return_index=True)
    image.reshape(-1, 3)[flat[::-1][last]] = paint[::-1][last]
    return image


def beside(images: list[np.ndarray], gap: int = 4) -> np.ndarray:
    """Images of one height next to each other, (h, sum of widths + gaps, 3)."""
    bar = np.full((images[0].shape[0], gap, 3), 255, np.uint8)
    return np.concatenate([part for image in images for part in (bar, image)][1:], axis=1)


def png(image: np.ndarray) -> bytes:
    """A PNG file of an (h, w, 3) uint8 image. DataError for anything else."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(f"PNG: the image is {image.shape} {image.dtype}; expected (height, width, 3) uint8, not empty.")
    height, width = image.shape[:2]
    lines = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, -1)], axis=1)  # filter 0 before each line
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(file: Path, image: np.ndarray) -> None:
    """Write ``image`` to ``file``, making its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(png(image))
