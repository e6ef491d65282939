"""Series can be told apart without colour, and text can be read."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from matplotlib.colors import to_rgb

from experiments.pictures.style import COLOURS, OUTCOME_STYLES, style, styles


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_neighbours_differ_in_marker_line_hatch_and_lightness():
    for one, other in pairwise(map(style, range(60))):
        assert one.marker != other.marker
        assert one.line != other.line
        assert one.hatch != other.hatch
        assert abs(luminance(one.colour) - luminance(other.colour)) > 0.02


def test_thirty_safeguards_look_different_each():
    found = styles(["none", "untouched", *(f"s{n}" for n in range(30))])
    assert len(set(found.values())) == 32


def test_the_baseline_looks_the_same_whoever_stands_beside_it():
    assert styles(["kl", "none"])["none"] == styles(["none"])["none"]
    assert styles(["none"])["none"] not in [style(n) for n in range(60)]


def test_outcomes_differ_in_hatch_or_much_in_lightness():
    for (_, one), (_, other) in combinations(OUTCOME_STYLES.items(), 2):
        assert one.hatch != other.hatch or abs(luminance(one.colour) - luminance(other.colour)) > 0.3


@pytest.mark.parametrize("colour", COLOURS)
def test_no_colour_is_lost_on_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) > 2
