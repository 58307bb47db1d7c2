"""Drawings as PNG: the size that was asked for, colours and letters where the drawing says."""

import io

from PIL import Image

from sslplug.reporting.drawing.raster import png
from sslplug.reporting.drawing.shapes import LIGHT, Area, Box, Drawing, Mark, Shape, Stroke, Words


def picture(*shapes: Shape, scale: int = 1) -> Image.Image:
    return Image.open(io.BytesIO(png(Drawing(60, 40, "t", shapes), scale))).convert("RGB")


def colour(name: str) -> tuple[int, ...]:
    return tuple(int(LIGHT[name][place : place + 2], 16) for place in (1, 3, 5))


def near(one: object, other: tuple[int, ...]) -> bool:
    assert isinstance(one, tuple)
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 12


def test_shapes_lie_where_they_should_at_every_scale() -> None:
    shapes = (Box(10, 10, 20, 10, "series0"), Mark(45, 15, "series1", radius=6), Stroke(((5, 35), (55, 35)), "ink", 4))
    for scale in (1, 2):
        image = picture(*shapes, scale=scale)
        assert image.size == (60 * scale, 40 * scale)
        assert near(image.getpixel((20 * scale, 15 * scale)), colour("series0"))
        assert near(image.getpixel((45 * scale, 15 * scale)), colour("series1"))
        assert near(image.getpixel((30 * scale, 35 * scale)), colour("ink"))
        assert near(image.getpixel((2 * scale, 2 * scale)), colour("paper"))


def test_bands_let_the_paper_through_and_hatching_leaves_gaps() -> None:
    band = picture(Area(((0, 0), (60, 0), (60, 40), (0, 40)), "series0", 0.5)).getpixel((30, 20))
    assert near(band, tuple((a + 255) // 2 for a in colour("series0")))
    hatched = picture(Box(0, 0, 60, 40, "grid", hatched=True))
    row = [hatched.getpixel((x, 20)) for x in range(5, 55)]
    assert len({near(one, colour("grid")) for one in row}) == 2


def test_a_dashed_line_has_gaps_of_the_paper() -> None:
    image = picture(Stroke(((0, 20), (60, 20)), "ink", 3, dashed=True)).convert("L")
    row = [float(image.getpixel((x, 20))) > 128 for x in range(60)]  # type: ignore[arg-type]
    assert 0.2 < sum(row) / len(row) < 0.5
    assert sum(one != other for one, other in zip(row, row[1:], strict=False)) in range(13, 16)


def test_words_start_end_and_turn_about_their_place() -> None:
    def inked(words: Words) -> tuple[int, ...]:
        box = picture(words).convert("L").point(lambda value: 255 if value < 128 else 0).getbbox()
        assert box is not None
        return box

    left, _, right, bottom = inked(Words(30, 20, "HHH"))
    assert left in range(29, 33)
    assert bottom in range(18, 22)  # the baseline
    assert right > 45
    assert inked(Words(30, 20, "HHH", "end"))[2] in range(28, 32)
    left, top, right, _ = inked(Words(30, 38, "HHH", turn=-90))
    assert right - left < 14 < 38 - top  # upwards
    assert inked(Words(30, 20, "HHH", bold=True))[2] >= inked(Words(30, 20, "HHH"))[2]
