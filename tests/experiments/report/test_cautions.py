"""Warnings: each trap is seen, and sound comparisons are left in peace."""

from __future__ import annotations

from dataclasses import replace

from report.rows import make_row, rate

from experiments.report.cautions import cautions
from experiments.report.measures import BROAD_MISALIGNED, NARROW_LEARNT
from experiments.report.row import ComparisonRow


def row(
    safeguard: str, misaligned: float, incoherent: float, unscored: float = 0.0, learns: bool | None = None
) -> ComparisonRow:
    aligned = 1 - misaligned - incoherent - unscored
    shares = {"aligned": aligned, "misaligned": misaligned, "incoherent": incoherent, "refused": 0.0}
    return make_row(
        safeguard,
        {BROAD_MISALIGNED: rate(misaligned), NARROW_LEARNT: rate(0.005)},
        learns,
        outcomes={**shares, "unscored": unscored},
        misaligned_of_coherent=rate(misaligned / (aligned + misaligned)),
        untouched=safeguard == "untouched",
    )


def against(none: ComparisonRow, safe: ComparisonRow) -> list[ComparisonRow]:
    """Both rows, the second set against the first."""
    return [none, replace(safe, none_outcomes=none.outcomes)]


def test_a_sound_comparison_needs_no_warning():
    assert cautions([row("none", 0.5, 0.02), row("kl", 0.2, 0.02), row("ldifs", 0.1, 0.01)]) == []


def test_an_arm_that_is_safe_by_incoherence_is_named():
    line, *_ = cautions(against(row("none", 0.3, 0.1), row("broken", 0.2, 0.45)))
    assert line.startswith("broken: 10.0 points fewer misaligned answers than none, but 35.0 more incoherent ones")


def test_conventions_that_rank_arms_differently_are_named():
    lines = cautions([row("none", 0.5, 0.02), row("kl", 0.2, 0.0), row("other", 0.18, 0.3)])
    assert any(line.endswith("over all answers other before kl; among coherent answers the reverse") for line in lines)


def test_missing_scores_are_reported():
    (line,) = cautions([row("none", 0.5, 0.0), row("kl", 0.2, 0.0, unscored=0.05)])
    assert line == "kl: 5.0 % of the broad answers have no score; they count as not misaligned"


def test_arms_without_broad_answers_say_nothing():
    assert cautions([make_row("kl", {})]) == []


def test_an_arm_that_is_safe_because_it_learns_nothing_is_named_and_untouched_is_not():
    lines = cautions(
        [
            row("untouched", 0.0, 0.01, learns=False),
            row("none", 0.5, 0.02),
            row("inoculation", 0.003, 0.01, learns=False),
        ]
    )
    assert lines == [
        "inoculation: learns next to nothing of the narrow task (0.5 %), so what it lets through says nothing; it is "
        "not ranked"
    ]


def test_a_warning_names_the_model_where_there_are_several():
    lost = replace(row("kl", 0.2, 0.0, unscored=0.05), model="other")
    lines = cautions([row("none", 0.5, 0.0), row("kl", 0.2, 0.0), replace(row("none", 0.5, 0.0), model="other"), lost])
    assert lines == ["kl of other: 5.0 % of the broad answers have no score; they count as not misaligned"]


def test_arms_of_two_models_are_not_ranked_against_each_other():
    rows = [row("kl", 0.2, 0.0), replace(row("kl", 0.18, 0.3), model="other")]
    assert cautions(rows) == []
