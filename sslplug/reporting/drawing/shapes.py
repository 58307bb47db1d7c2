"""A picture as plain data: shapes in named colours. ``svg`` writes it for a browser, ``raster`` as PNG for TensorBoard.

Lengths are in pixels of the drawing, y runs downwards, angles are degrees, clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
Form = Literal["circle", "square", "diamond", "triangle"]
FORMS: tuple[Form, ...] = ("circle", "square", "diamond", "triangle")

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1b1f24",
    "quiet": "#57606a",
    "grid": "#dde1e6",
    **{
        f"series{number}": colour
        for number, colour in enumerate(
            ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b87f00", "#6f4e9c", "#8c510a")
        )
    },
}
"""What a colour's name stands for on white. Series follow Okabe and Ito's palette, which colour-blind readers tell apart; their
orange is darkened to stand out from white, their black left to LightGBM, which is drawn in ink everywhere."""

DARK = {
    "paper": "#16191d",
    "ink": "#eceff2",
    "quiet": "#a4adb7",
    "grid": "#333a42",
    **{
        f"series{number}": colour
        for number, colour in enumerate(
            ("#4fa8e0", "#ff8340", "#2bc196", "#e39ac4", "#9ad7f7", "#f0b73c", "#b296e3", "#cf9858")
        )
    },
}
"""The same on black."""

SERIES = 8


def series(number: int) -> str:
    """The colour of the line of this number; after the last they start again (and lines are dashed)."""
    return f"series{number % SERIES}"


@dataclass(frozen=True)
class Box:
    """A rectangle; ``hatched`` marks what is not known; ``tip`` is read out when pointed at."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    hatched: bool = False
    tip: str = ""


@dataclass(frozen=True)
class Stroke:
    """A line through places."""

    places: tuple[Place, ...]
    colour: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Area:
    """A translucent polygon."""

    places: tuple[Place, ...]
    fill: str
    opacity: float = 0.14


@dataclass(frozen=True)
class Mark:
    """A dot of one of four forms, with a tip."""

    x: float
    y: float
    colour: str
    form: Form = "circle"
    radius: float = 3.0
    tip: str = ""


@dataclass(frozen=True)
class Words:
    """One line of text whose baseline starts, is centred or ends at (x, y), turned about that place."""

    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    size: float = 12.0
    colour: str = "ink"
    bold: bool = False
    turn: float = 0.0
    tip: str = ""


Shape = Box | Stroke | Area | Mark | Words


@dataclass(frozen=True)
class Drawing:
    """Shapes, painted in their order on paper, and what they show in words: a title and a sentence for who cannot see them."""

    width: float
    height: float
    title: str
    shapes: tuple[Shape, ...]
    description: str = ""


def corners(mark: Mark) -> tuple[Place, ...]:
    """The corners of a mark that is no circle, of about a circle's area."""
    x, y, r = mark.x, mark.y, mark.radius
    if mark.form == "square":
        side = 0.89 * r
        return (x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)
    if mark.form == "diamond":
        side = 1.3 * r
        return (x, y - side), (x + side, y), (x, y + side), (x - side, y)
    return (x, y - 1.45 * r), (x + 1.25 * r, y + 0.75 * r), (x - 1.25 * r, y + 0.75 * r)


def room(text: str, size: float = 12.0) -> float:
    """How wide a line of text is at most, about: sans-serif letters are 0.5 to 0.6 of their size wide."""
    return 0.58 * size * len(text)


def shortened(text: str, most: int) -> str:
    """The text with its middle left out where it has more than ``most`` letters.

    >>> shortened("graph/grace-digits (objective=vicreg)", 20)
    'graph/grac...vicreg)'
    """
    if len(text) <= most:
        return text
    kept = most - 3
    return f"{text[: kept - kept * 7 // 17]}...{text[-(kept * 7 // 17) :]}"
