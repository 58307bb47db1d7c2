"""A drawing as PNG, for TensorBoard, which shows no SVG. Pillow draws it: TensorBoard brings it along, with a font of its own."""

from __future__ import annotations

import io
import math
from functools import cache
from itertools import pairwise
from typing import Any

from PIL import Image, ImageColor, ImageDraw, ImageFont

from sslplug.reporting.drawing.shapes import LIGHT, Area, Box, Drawing, Mark, Place, Shape, Stroke, Words, corners

_FINE = 3
"""Pixels drawn for one of the drawing, each way; averaging them at the end smooths edges."""


def png(drawing: Drawing, scale: int = 2) -> bytes:
    """A PNG file's bytes, ``scale`` pixels for one of the drawing each way, in light colours.

    Letters that the font lacks (it has the Latin ones) become empty boxes.
    """
    size = (math.ceil(drawing.width), math.ceil(drawing.height))
    image = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), _colour("paper"))
    for shape in drawing.shapes:
        _paint(image, shape)
    image = image.resize((size[0] * scale, size[1] * scale), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _paint(image: Image.Image, shape: Shape) -> None:
    draw = ImageDraw.Draw(image)
    if isinstance(shape, Stroke):
        for one, other in _dashes(shape.places) if shape.dashed else pairwise(shape.places):
            draw.line(_fine((one, other)), _colour(shape.colour), max(1, round(shape.width * _FINE)))
            if not shape.dashed:
                _disc(draw, other, shape.width / 2, shape.colour)  # rounds the joints
    elif isinstance(shape, Area):
        veil = Image.new("L", image.size, 0)
        ImageDraw.Draw(veil).polygon(_fine(shape.places), fill=round(255 * shape.opacity))
        image.paste(_colour(shape.fill), mask=veil)
    elif isinstance(shape, Mark):
        if shape.form == "circle":
            _disc(draw, (shape.x, shape.y), shape.radius, shape.colour)
        else:
            draw.polygon(_fine(corners(shape)), fill=_colour(shape.colour))
    elif isinstance(shape, Box):
        (left, top), (right, bottom) = _fine(
            ((shape.x, shape.y), (shape.x + max(shape.width, 0.5), shape.y + max(shape.height, 0.5)))
        )
        draw.rectangle((left, top, right, bottom), fill=_colour(shape.fill))
        if shape.hatched:
            _hatch(image, (round(left), round(top), round(right), round(bottom)))
    else:
        _write(image, shape)


def _write(image: Image.Image, words: Words) -> None:
    """Bold letters are drawn thicker. Turned text is drawn on a layer of its own, which is turned about the anchor."""
    font = _font(round(words.size * _FINE))
    bold = round(words.size * _FINE / 36) if words.bold else 0
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
    x, y = round(words.x * _FINE), round(words.y * _FINE)
    if not words.turn:
        ImageDraw.Draw(image).text((x, y), words.text, _colour(words.colour), font, anchor=anchor, stroke_width=bold)
        return
    reach = math.ceil(font.getlength(words.text) + 2 * words.size * _FINE)
    layer = Image.new("L", (2 * reach, 2 * reach), 0)
    ImageDraw.Draw(layer).text((reach, reach), words.text, 255, font, anchor=anchor, stroke_width=bold)
    layer = layer.rotate(-words.turn, Image.Resampling.BICUBIC)
    image.paste(_colour(words.colour), (x - reach, y - reach, x + reach, y + reach), layer)


def _hatch(image: Image.Image, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    lines = Image.new("L", (max(right - left, 1), max(bottom - top, 1)), 0)
    draw, gap = ImageDraw.Draw(lines), 10 * _FINE
    for start in range(-lines.height, lines.width + gap, gap):
        draw.line((start, lines.height, start + lines.height, 0), 120, max(1, round(1.4 * _FINE)))
    image.paste(_colour("quiet"), (left, top), lines)


def _dashes(places: tuple[Place, ...]) -> list[tuple[Place, Place]]:
    """Pieces of a path, five pixels on and three off, like the SVG's."""
    pieces: list[tuple[Place, Place]] = []
    along = 0.0
    for (x1, y1), (x2, y2) in pairwise(places):
        length = math.hypot(x2 - x1, y2 - y1)
        at = 0.0
        while at < length:
            phase = (along + at) % 8
            step = min((5 - phase) if phase < 5 else (8 - phase), length - at)
            if phase < 5:
                ends = [(x1 + (x2 - x1) * t / length, y1 + (y2 - y1) * t / length) for t in (at, at + step)]
                pieces.append((ends[0], ends[1]))
            at += max(step, 1e-6)
        along += length
    return pieces


def _disc(draw: ImageDraw.ImageDraw, place: Place, radius: float, colour: str) -> None:
    x, y, r = place[0] * _FINE, place[1] * _FINE, radius * _FINE
    draw.ellipse((x - r, y - r, x + r, y + r), fill=_colour(colour))


def _fine(places: tuple[Place, ...]) -> list[Place]:
    return [(x * _FINE, y * _FINE) for x, y in places]


def _colour(name: str) -> tuple[int, ...]:
    return ImageColor.getrgb(LIGHT.get(name, name))


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
