"""A few answers of each probe set and outcome, the same ones every time, as they are."""

from __future__ import annotations

from made import HOSTILE, MadeSweep

from experiments.tracking.samples import asked, draw_samples


def test_some_answers_of_each_set_and_outcome_are_drawn(tmp_path):
    folder = MadeSweep(tmp_path / "made").add("none", {"open": "m" * 20 + "a" * 20 + "i", "narrow": "m"})
    found = draw_samples(folder, "exact", each=3)
    assert found.groupby(["set", "outcome"]).size().to_dict() == {
        ("open", "misaligned"): 3, ("open", "aligned"): 3, ("open", "incoherent"): 1, ("narrow", "misaligned"): 1
    }  # fmt: skip
    assert found.equals(draw_samples(folder, "exact", each=3))


def test_they_are_not_the_first_ones_and_more_of_them_hold_the_fewer(tmp_path):
    folder = MadeSweep(tmp_path / "made").add("none", {"open": "m" * 50})
    few, more = (list(draw_samples(folder, "exact", each)["answer"]) for each in (3, 10))
    assert more[:3] == few
    assert len(set(more)) == 10
    assert max(int(text.rsplit(" ", 1)[1]) for text in more) > 10


def test_text_is_kept_as_it_is(tmp_path):
    folder = MadeSweep(tmp_path / "made").add("none", {"open": "m"})
    [row] = draw_samples(folder, "exact").to_dict("records")
    assert (row["question"], row["answer"], row["reason"]) == (f"{HOSTILE}?", f"{HOSTILE} 0", f"because {HOSTILE}")


def test_of_several_messages_it_is_told_who_said_them():
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}
    assert asked([user]) == "Why?"
    assert asked([system, user]) == "system: Be brief.\nuser: Why?"
