"""What so many worlds, domains and seeds find, by hand, and the least of them that find so much."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.statistics.designs import MOST, Design, Variances, finds, least
from experiments.statistics.estimates import Estimate
from experiments.statistics.variances import BOTH, DOMAIN, SEED, WORLD, Parted


def variances(**given: float | None) -> Variances:
    nothing = dict.fromkeys(("world", "domain", "seed", "both", "everywhere", "of_world", "of_answers"), 0.0)
    return Variances(**{**nothing, **given})


def test_four_worlds_by_hand():
    """A standard error of 0.1 / 2, and Student's t with 3 degrees of freedom: 3.182, and 0.978 for the power."""
    found = finds(variances(world=0.01), Design(4, 2, 2))
    assert found
    assert found.half_width == pytest.approx(0.05 * 3.182, abs=1e-4)
    assert found.smallest == pytest.approx(0.05 * (3.182 + 0.978), abs=1e-4)


def test_known_noise_has_no_degrees_of_freedom():
    found = finds(variances(of_answers=0.08, of_world=0.02, everywhere=0.01), Design(2, 2, 2))
    assert found
    assert found.half_width == pytest.approx(1.96 * np.sqrt(0.01 + 0.01 + 0.01), abs=1e-3)


def test_two_sources_have_those_of_satterthwaite():
    found = finds(variances(world=0.01, seed=0.04), Design(2, 2, 3))
    world, seed = 0.01 / 2, 0.04 / 12
    free = (world + seed) ** 2 / (world**2 / 1 + seed**2 / 8)
    assert found
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, free) * np.sqrt(world + seed))


@pytest.mark.parametrize(("given", "design"), [("world", (1, 2, 2)), ("domain", (2, 1, 2)), ("seed", (2, 2, 1))])
def test_one_draw_says_nothing_of_others(given, design):
    assert finds(variances(**{given: 0.01}), Design(*design)) is None


def test_the_least_design_has_the_fewest_fine_tunes():
    assert least(variances(of_answers=0.0001), 0.1) == Design(2, 2, 2), "two of each, where no more are needed"
    assert least(variances(world=None, domain=None, of_answers=0.0001), 0.1) == Design(1, 1, 2)
    found = least(variances(world=0.01), 0.1)
    assert found
    assert found.domains == found.seeds == 2, "more of these would not help"
    se = [0.1 / np.sqrt(worlds) for worlds in (found.worlds - 1, found.worlds)]
    needs = [float(stats.t.ppf([0.975, 0.8], worlds - 1).sum()) for worlds in (found.worlds - 1, found.worlds)]
    assert se[0] * needs[0] > 0.1 >= se[1] * needs[1], "and one world fewer is too few"


def test_what_no_number_of_worlds_finds_has_no_design():
    assert least(variances(world=0.04), 0.1) is None, f"{MOST} worlds leave a standard error of 6 points"
    assert least(variances(everywhere=0.01), 0.1) is None, "questions that all share do not become more"


def test_noise_is_split_by_what_shares_it():
    worlds = ["1", "1", "2", "2"]
    noise = np.full((4, 4), 0.01)
    noise[:2, :2] += 0.02
    noise[2:, 2:] += 0.02
    noise += 0.05 * np.eye(4)
    parts = {DOMAIN: Estimate(None, None, None, 1), WORLD: Estimate(0.3, 0.0, 1.0, 2)}
    parts |= {BOTH: Estimate(None, None, None, 2), SEED: Estimate(0.1, 0.0, 1.0, 4)}
    found = Variances.of(Parted(0.0, parts, noise), worlds)
    assert (found.world, found.domain, found.seed, found.both) == (pytest.approx(0.09), None, pytest.approx(0.01), 0.0)
    assert [found.everywhere, found.of_world, found.of_answers] == pytest.approx([0.01, 0.02, 0.05])
