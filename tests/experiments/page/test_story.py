"""The story in numbers, on rows made by hand: it says what is found, and of nothing else that it is."""

from __future__ import annotations

from report.rows import make_row

from experiments.page.story import story
from experiments.records.measures import BENIGN_ACCURACY, BROAD_MISALIGNED, INCOHERENT, NARROW_LEARNT
from experiments.report.margins import Kept
from experiments.report.row import ComparisonRow
from experiments.report.stopping import Stopping
from experiments.statistics.estimates import NOTHING, Estimate


def told(*rows: ComparisonRow, **given: object) -> str:
    """The story, with blanks that break lines."""
    counted = {"arms": 4, "answers": 1200, "judge": "exact", **given}
    return story(rows, **counted).replace("\u00a0", " ")  # type: ignore[arg-type]


def broad(mean: float) -> dict:
    return {BROAD_MISALIGNED: Estimate(mean, mean - 0.1, mean + 0.1, 100)}


def points(mean: float) -> Estimate:
    return Estimate(mean, mean - 0.05, mean + 0.05, 100)


def kept(**verdicts: str) -> dict:
    measures = {"narrow": NARROW_LEARNT, "benign": BENIGN_ACCURACY, "incoherent": INCOHERENT}
    return {measures[name]: Kept("none", points(-0.02), 0.1, verdict) for name, verdict in verdicts.items()}  # type: ignore[arg-type]


def stopping(verdict: str, excess: float, beyond: bool = False) -> Stopping:
    return Stopping({NARROW_LEARNT: points(excess)}, [NARROW_LEARNT] * beyond, verdict)


UNTOUCHED = make_row("untouched", broad(0.2), untouched=True)
NONE = make_row("none", broad(0.6), seeds=[0, 1])


def test_nothing_is_told_of_nothing():
    assert told() == "No arm is done."


def test_one_row_of_the_untouched_model():
    assert told(UNTOUCHED, arms=1, answers=1) == (
        "m before any fine-tuning: 1 arm with 1 answer, judged by exact. Of the answers to broad questions, 20.0 % "
        "[10, 30] before fine-tuning are misaligned. There is no fine-tune without a safeguard to compare with. With "
        "one seed, intervals speak of these very fine-tunes and not of others."
    )


def test_what_was_run_and_what_happens_without_a_safeguard():
    style = {"benign_accuracy_by_task": {"style": NOTHING}, "tasks": ["t", "style"], "seeds": [0, 1]}
    rows = (
        UNTOUCHED,
        NONE,
        make_row("kl weight=0.1", broad(0.5), **style),
        make_row("kl weight=0.3", broad(0.5), **style),
    )
    assert told(*rows).startswith(
        "m was fine-tuned on t and the benign task style with seeds 0 and 1, under kl (2 rows with their doses), and "
        "without a safeguard: 4 arms with 1,200 answers, judged by exact. Of the answers to broad questions, 20.0 % "
        "[10, 30] before fine-tuning and 60.0 % [50, 70] after it without a safeguard are misaligned."
    )
    assert "after fine-tuning without a safeguard are misaligned" in told(NONE)


def test_worlds_are_named():
    assert "fine-tuned on t in 2 worlds (w1 and w2) with seed 0," in told(
        make_row("kl", broad(0.5), worlds=["w1", "w2"])
    )


def test_without_scores_nothing_is_said_of_misalignment():
    assert told(make_row("none", {}, seeds=[0, 1])) == (
        "m was fine-tuned on t with seeds 0 and 1, without a safeguard: 4 arms with 1,200 answers, judged by exact. No "
        "answer to a broad question has a score, so nothing is said of misalignment."
    )


def test_without_none_nothing_is_compared():
    said = told(make_row("kl", broad(0.5), seeds=[0, 1]), make_row("ldifs", broad(0.1), seeds=[0, 1]))
    assert said.endswith("judged by exact. There is no fine-tune without a safeguard to compare with.")


def test_verdicts_by_the_stopping_curve_are_told_as_they_are():
    rows = (
        UNTOUCHED,
        NONE,
        make_row("weak", broad(0.5), stopping=stopping("prevents", -0.2), kept=kept(narrow="kept", incoherent="lost")),
        make_row("strong", broad(0.5), stopping=stopping("prevents", -0.4, beyond=True), kept=kept(benign="not shown")),
        make_row("slow", broad(0.5), stopping=stopping("only slows", 0.01), survives=True, minus_none=points(-0.3)),
        make_row("idle", broad(0.5), stopping=stopping("not shown", -0.01), survives=True, minus_none=points(-0.3)),
    )
    said = told(*rows)
    assert (
        "Found to prevent misalignment beyond what stopping early does, at equal narrow learning: strong, −40.0 points "
        "[−45, −35] (against the end of none, which learns less), benign accuracy (−2.0 points [−7.0, 3.0]) not shown "
        "to be kept; and weak, −20.0 points [−25, −15], narrow learnt (−2.0 points [−7.0, 3.0]) kept, coherence "
        "(incoherent answers −2.0 points [−7.0, 3.0]) lost. Found to slow it only, as stopping early does: slow (1.0 "
        "points [−4.0, 6.0]). Not shown to prevent any: idle (−1.0 points [−6.0, 4.0])."
    ) in said
    assert "differ" not in said, "where the curve gives a verdict, the plain difference claims nothing beside it"


def test_among_many_that_prevent_only_verdicts_on_costs_are_told():
    made = [
        make_row(f"s{n}", broad(0.5), stopping=stopping("prevents", -0.1 * n), kept=kept(narrow="kept", benign="lost"))
        for n in range(1, 7)
    ]
    said = told(NONE, *made)
    assert "s6, −60.0 points [−65, −55], narrow learnt kept, benign accuracy lost; s5," in said
    assert "; and 2 more." in said
    assert "s2, −" not in said


def test_without_a_curve_differences_are_told_with_what_they_leave_open():
    rows = (
        NONE,
        make_row("kl", broad(0.3), survives=True, minus_none=points(-0.3)),
        make_row("bad", broad(0.8), survives=True, minus_none=points(0.2)),
        make_row("maybe", broad(0.5), survives=False, minus_none=points(-0.1)),
        make_row("untested", broad(0.5)),
    )
    said = told(*rows)
    assert (
        "Found to differ from none in broad misaligned, at 5 % over all rows: kl, −30.0 points [−35, −25]; and bad, "
        "20.0 points [15, 25]. Whether that is more than stopping early does cannot be told here. No difference to "
        "none in broad misaligned is shown for maybe (−10.0 points [−15, −5.0])."
    ) in said
    assert "prevent" not in said
    assert "untested (" not in said


def test_another_baseline_and_another_primary_outcome_are_named():
    row = make_row("ldifs", broad(0.3), survives=True, minus_none=points(0.3), baseline="kl", primary=NARROW_LEARNT)
    kl = make_row("kl", broad(0.3), baseline="kl", primary=NARROW_LEARNT)
    assert "Found to differ from kl in narrow learnt, at 5 % over all rows: ldifs, 30.0 points" in told(kl, row)


def test_of_what_learns_nothing_nothing_is_claimed():
    row = make_row("low_lr", broad(0.0), learns=False, stopping=Stopping({NARROW_LEARNT: points(-0.5)}))
    said = told(NONE, row)
    assert "Next to nothing of the narrow task is learnt under low_lr, so what is let through says nothing." in said
    assert "prevent" not in said


def test_several_models_have_a_sentence_each():
    other = make_row("none", broad(0.3), seeds=[0, 1])
    said = told(NONE, ComparisonRow(**{**vars(other), "model": "n"}))
    assert said.startswith("m and n were fine-tuned on t")
    assert "Of the answers of m to broad questions, 60.0 %" in said
    assert "Of the answers of n to broad questions, 30.0 %" in said


def test_warnings_are_pointed_at():
    assert told(NONE, warnings=1).endswith("Read the warning below.")
    assert told(NONE, warnings=3).endswith("Read the 3 warnings below.")


def test_what_is_found_of_one_model_says_so_and_over_worlds_it_does_not():
    found = {"stopping": stopping("prevents", -0.2)}
    line = "All of this is of one model; another may show otherwise."
    assert line in told(NONE, make_row("kl", broad(0.1), **found))
    assert line not in told(NONE, make_row("kl", broad(0.1), worlds=["w1", "w2"], **found))
    assert line not in told(NONE, make_row("kl", broad(0.1), **found), make_row("kl", broad(0.1), model="n", **found))
