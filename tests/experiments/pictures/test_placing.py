"""Names at points: none on another, none on a point, none off the sheet."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.pictures.canvas import our_look
from experiments.pictures.naming import named_sheet, write_names
from experiments.pictures.placing import Box, height_of, place

INSIDE = Box(0, 0, 300, 200)


def column(sizes: list[tuple[float, float]]) -> Box:
    return Box(310, 0, 310 + max(width for width, _ in sizes), max(200.0, height_of(sizes)))


def check(points: list[tuple[float, float]], sizes: list[tuple[float, float]]) -> list[Box]:
    aside = column(sizes)
    found = place(points, sizes, INSIDE, aside)
    assert len(found) == len(points)
    for box, (width, height) in zip(found, sizes, strict=True):
        assert box.right - box.left == pytest.approx(width)
        assert box.top - box.bottom == pytest.approx(height)
        assert box.within(INSIDE) or box.within(
            Box(aside.left, aside.bottom - 1e-6, aside.right + 1e-6, aside.top + 1e-6)
        )
    assert not [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])]
    assert not [
        (box, point)
        for box in found
        for point in points
        if box.left < point[0] < box.right and box.bottom < point[1] < box.top
    ]
    return found


place_in = st.tuples(st.floats(0, 300), st.floats(0, 200))
size = st.tuples(st.floats(5, 160), st.floats(8, 30))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(place_in, size), min_size=1, max_size=30))
def test_names_never_overlap_and_are_all_there(named):
    check([point for point, _ in named], [of for _, of in named])


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.floats(149, 151), st.floats(99, 101)), min_size=20, max_size=20))
def test_twenty_nearly_equal_points_are_all_named(points):
    check(points, [(70.0, 10.0)] * 20)


def test_a_name_with_room_stands_at_its_point():
    (box,) = check([(150.0, 100.0)], [(40.0, 10.0)])
    assert box.distance((150.0, 100.0)) < 8


def test_a_name_keeps_off_a_line_where_it_can():
    through = [(float(x), 106.0) for x in range(150, 200)]  # along the first place that would be tried
    (free,) = place([(150.0, 100.0)], [(40.0, 10.0)], INSIDE, column([(40.0, 10.0)]))
    (kept,) = place([(150.0, 100.0)], [(40.0, 10.0)], INSIDE, column([(40.0, 10.0)]), through)
    assert any(free.left < x < free.right and free.bottom < y < free.top for x, y in through)
    assert not any(kept.left < x < kept.right and kept.bottom < y < kept.top for x, y in through)


def test_boxes_that_touch_do_not_overlap():
    assert not Box(0, 0, 1, 1).overlaps(Box(1, 0, 2, 1))
    assert Box(0, 0, 1, 1).overlaps(Box(0.9, 0.9, 2, 2))


@pytest.mark.parametrize("spread", [0.001, 1.0])
def test_on_a_sheet_no_written_name_overlaps_another_or_is_cut_off(spread):
    """By the boxes that matplotlib itself finds, not by those that were asked for."""
    names = [f"safeguard number {n}\nof two lines" for n in range(20)]
    points = [(0.5 + spread * ((7 * n) % 20 - 10) / 25, 0.5 + spread * ((3 * n) % 20 - 10) / 25) for n in range(20)]
    with our_look():
        figure, axes = named_sheet()
        write_names(figure, axes, points, names)
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in figure.texts]
        sheet = figure.bbox
    assert len(boxes) == 20
    for one, other in combinations(boxes, 2):
        assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
    assert all(box.x0 >= 0 and box.x1 <= sheet.width and box.y0 >= 0 and box.y1 <= sheet.height for box in boxes)
