"""Drawings as SVG: well-formed whatever the words, light in the attributes, dark in the style."""

import re
import xml.etree.ElementTree as ET

import pytest

from sslplug.reporting.drawing.heat_map import luminance
from sslplug.reporting.drawing.shapes import DARK, LIGHT, SERIES, Area, Box, Drawing, Mark, Stroke, Words, series
from sslplug.reporting.drawing.svg import STYLE, svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('x')</script> & \"quotes\""


def test_every_shape_with_hostile_words_is_well_formed_and_escaped() -> None:
    shapes = (
        Box(1, 2, 3, 4, "grid", hatched=True, tip=HOSTILE),
        Stroke(((0, 0), (5, 6)), "ink", 2, dashed=True),
        Area(((0, 0), (1, 1), (0, 1)), "series0"),
        *(Mark(3, 3, "series1", form, tip=HOSTILE) for form in ("circle", "square", "diamond", "triangle")),
        Words(1, 1, HOSTILE, "end", 11, "#123456", bold=True, turn=-35, tip=HOSTILE),
    )
    text = svg(Drawing(100, 50, HOSTILE, shapes, HOSTILE))
    assert "<script" not in text
    root = ET.fromstring(text)
    assert (root.get("role"), root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc")) == ("img", HOSTILE, HOSTILE)
    assert [found.text for found in root.iter(f"{SVG}title")].count(HOSTILE) == 1 + 2 + 4 + 1
    (words,) = root.findall(f"{SVG}text")
    assert (words.text, words.get("transform"), words.get("text-anchor")) == (HOSTILE, "rotate(-35 1.0 1.0)", "end")
    assert root.find(f"{SVG}polyline").get("stroke-dasharray") == "5 3"  # type: ignore[union-attr]
    assert len(root.findall(f"{SVG}polygon")) == 1 + 3
    assert 'fill="url(#hatch)"' in text


def test_colours_have_a_dark_twin_and_a_page_holds_the_style_once() -> None:
    assert set(LIGHT) == set(DARK)
    drawing = Drawing(10, 10, "t", (Stroke(((0, 0), (1, 1)), "series0"),))
    assert f'stroke="{LIGHT["series0"]}" class="s-series0"' in svg(drawing)
    assert STYLE in svg(drawing)
    assert "prefers-color-scheme" not in svg(drawing, alone=False)
    assert f".picture .s-series0{{stroke:{DARK['series0']}}}" in STYLE


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(colours: dict[str, str]) -> None:
    """WCAG 2.1: a contrast of 4.5 for text; 3 for graphics, which sky blue and pink of the palette miss on white."""

    def contrast(name: str) -> float:
        one, other = sorted((luminance(colours[name]), luminance(colours["paper"])), reverse=True)
        return (one + 0.05) / (other + 0.05)

    assert contrast("ink") > 12
    assert contrast("quiet") > 4.5
    assert all(contrast(series(number)) > 2.2 for number in range(SERIES))


def test_no_picture_refers_to_anything_outside() -> None:
    found = re.findall(
        r"(?:href=|src=|url\()[\"']?([^)\"']*)", svg(Drawing(9, 9, "t", (Box(0, 0, 1, 1, "grid", hatched=True),)))
    )
    assert set(found) == {"#hatch"}
