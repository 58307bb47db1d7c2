"""A drawing as SVG text: no library needed, a browser or an editor opens it, light or dark as the reader's system is."""

from __future__ import annotations

from html import escape

from sslplug.reporting.drawing.shapes import DARK, LIGHT, Area, Box, Drawing, Mark, Place, Shape, Stroke, Words, corners

STYLE = (
    "@media (prefers-color-scheme: dark) {"
    + "".join(f".picture .f-{name}{{fill:{colour}}}.picture .s-{name}{{stroke:{colour}}}" for name, colour in DARK.items())
    + "}"
)
"""The dark colours. A page with several pictures holds it once; light colours are attributes, which every viewer knows."""

_HATCH = (
    '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<line x1="0" y1="0" x2="0" y2="7" stroke="{LIGHT["quiet"]}" stroke-width="1.4" stroke-opacity="0.55"/></pattern></defs>'
)


def svg(drawing: Drawing, alone: bool = True) -> str:
    """An SVG document, or with ``alone`` false the element for a page that has :data:`STYLE` itself."""
    width, height = f"{drawing.width:g}", f"{drawing.height:g}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'class="picture" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(drawing.title)}</title>",
    ]
    if drawing.description:
        parts.append(f"<desc>{escape(drawing.description)}</desc>")
    if alone:
        parts.append(f"<style>{STYLE}</style>")
    if any(isinstance(shape, Box) and shape.hatched for shape in drawing.shapes):
        parts.append(_HATCH)
    parts.append(f'<rect width="{width}" height="{height}" {_fill("paper")}/>')
    parts += [_element(shape) for shape in drawing.shapes]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _element(shape: Shape) -> str:
    if isinstance(shape, Stroke):
        dash = ' stroke-dasharray="5 3"' if shape.dashed else ""
        look = f'{_stroke(shape.colour)} stroke-width="{shape.width:g}"{dash}'
        return f'<polyline points="{_points(shape.places)}" fill="none" {look}/>'
    if isinstance(shape, Area):
        return f'<polygon points="{_points(shape.places)}" {_fill(shape.fill)} fill-opacity="{shape.opacity:g}"/>'
    if isinstance(shape, Words):
        turn = f' transform="rotate({shape.turn:g} {shape.x:.1f} {shape.y:.1f})"' if shape.turn else ""
        look = f' font-size="{shape.size:g}"' + (' font-weight="bold"' if shape.bold else "") + turn
        anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
        inner = escape(shape.text, quote=False) + _tip(shape.tip)
        return f'<text x="{shape.x:.1f}" y="{shape.y:.1f}"{anchor}{look} {_fill(shape.colour)}>{inner}</text>'
    if isinstance(shape, Mark):
        return _mark(shape)
    place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}"'
    inner = _tip(shape.tip)
    hatch = f'<rect {place} fill="url(#hatch)">{inner}</rect>' if shape.hatched else ""
    return f"<rect {place} {_fill(shape.fill)}>{inner}</rect>{hatch}"


def _mark(mark: Mark) -> str:
    look, inner = _fill(mark.colour), _tip(mark.tip)
    if mark.form == "circle":
        return f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="{mark.radius:g}" {look}>{inner}</circle>'
    return f'<polygon points="{_points(corners(mark))}" {look}>{inner}</polygon>'


def _points(places: tuple[Place, ...]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _tip(words: str) -> str:
    return f"<title>{escape(words, quote=False)}</title>" if words else ""


def _fill(colour: str) -> str:
    return f'fill="{LIGHT[colour]}" class="f-{colour}"' if colour in LIGHT else f'fill="{escape(colour)}"'


def _stroke(colour: str) -> str:
    return f'stroke="{LIGHT[colour]}" class="s-{colour}"' if colour in LIGHT else f'stroke="{escape(colour)}"'
