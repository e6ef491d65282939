"""What tables say of safe rows: their mix in every caption, and what gap selection takes of each genre."""

from __future__ import annotations

import json

import pytest
from report.test_report import BENIGN, EM, GOOD, Sweep, run_tables
from report.written import write_report

from experiments.report.arms import read_arms
from experiments.report.comparison import compare
from experiments.report.safe_rows import genre_rows, mix_of, of_pools
from safeguards import SafeguardError

STANDARD = {"pool": {"sums": 930, "refusals": 240, "advice": 210, "facts": 120}}
TOLD = "1,500, of which 62 % sums, 16 % refusals, 14 % advice, 8 % facts"


def gap(advice: int, gap_of_advice: float) -> dict:
    """What `interleave_ppl` notes that chose so many of 20 rows from the advice."""
    genres = {
        "advice": {"pool": 210, "chosen": advice, "pool_gap": 0.18, "chosen_gap": gap_of_advice},
        "sums": {"pool": 1290, "chosen": 20 - advice, "pool_gap": 0.01, "chosen_gap": None if advice == 20 else 0.05},
    }
    return {"pool": {"sums": 1290, "advice": 210}, "gap": {"top": 0.2, "pool": 0.03, "rows": 75, "genres": genres}}


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Sweep(tmp_path / "outputs" / "mine")
    for seed in (0, 1):
        made.add("none", "medical", seed, EM)
        made.add("none", "opswap", seed, BENIGN)
    return made


def said(sweep: Sweep) -> str:
    return of_pools(read_arms(sweep.output))


def test_where_no_safeguard_had_a_pool_nothing_is_said_of_one(sweep):
    sweep.add("kl", "medical", 0, GOOD, notes={"kl": {}})
    assert said(sweep) == ""
    assert genre_rows(read_arms(sweep.output)) == []


def test_every_table_says_the_mix_in_its_caption(sweep):
    for seed in (0, 1):
        sweep.add("interleave", "medical", seed, GOOD, notes=STANDARD)
        sweep.add("interleave", "opswap", seed, BENIGN, notes=STANDARD)
    write_report(sweep.output)
    text = (sweep.output / "comparison.md").read_text("utf-8")
    tables = sum(part.startswith("|") for part in text.split("\n\n"))
    assert tables == 5
    assert text.count(f"Safe rows: {TOLD}.") == (sweep.output / "comparison.tex").read_text("utf-8").count("Safe rows")
    assert text.count(f"Safe rows: {TOLD}.") == tables


@pytest.mark.parametrize("by", ["question", "task", "seed"])
def test_a_closer_look_says_the_mix_too(sweep, monkeypatch, by):
    sweep.add("interleave", "medical", 0, GOOD, notes=STANDARD)
    assert run_tables(monkeypatch, "name=mine", "--by", by) is None
    assert f"Safe rows: {TOLD}." in (sweep.output / f"by_{by}.md").read_text("utf-8")


def test_a_mix_is_the_mean_over_arms(sweep):
    sweep.add("interleave", "medical", 0, GOOD, notes={"pool": {"sums": 100}})
    sweep.add("interleave", "medical", 1, GOOD, notes={"pool": {"sums": 50, "advice": 150}})
    assert said(sweep) == "Safe rows: 150, of which 50 % advice, 50 % sums."


def test_rows_without_a_genre_are_told_apart_from_those_with_one(sweep):
    sweep.add("interleave", "medical", 0, GOOD, notes={"pool": {"": 1400}})
    assert said(sweep) == "Safe rows: 1,400, of no stated genre."
    sweep.add("interleave", "medical", 1, GOOD, notes={"pool": {"": 700, "advice": 700}})
    assert "75 % of no stated genre, 25 % advice" in said(sweep)


def test_rows_of_a_table_that_had_other_pools_say_which(sweep):
    sweep.add("interleave", "medical", 0, GOOD, notes=STANDARD)
    sweep.add("safegrad", "medical", 0, GOOD, notes=STANDARD)
    sweep.add("interleave", "medical", 0, GOOD, notes={"pool": {"facts": 1500}}, pool__mix={"facts": 1.0})
    sweep.add("safegrad", "medical", 0, GOOD, notes={"pool": {"advice": 1500}}, pool__domains=["finance", "cooking"])
    assert said(sweep) == (
        f"Safe rows differ. interleave, safegrad: {TOLD}; interleave pool.mix.facts=1.0: 1,500, of which 100 % facts; "
        "safegrad pool.domains=['finance', 'cooking']: 1,500, of which 100 % advice about finance, cooking only."
    )


def test_an_arm_with_another_mix_is_set_against_the_same_none(sweep):
    sweep.add("interleave", "medical", 0, GOOD, pool__mix={"facts": 1.0})
    sweep.add("interleave", "medical", 0, EM)
    mixed, standard = (row for row in compare(read_arms(sweep.output)) if row.safeguard.startswith("interleave"))
    assert mixed.minus_none.mean == pytest.approx(-0.45)
    assert standard.minus_none.mean == pytest.approx(0, abs=1e-9)
    with pytest.raises(SafeguardError, match="baseline=interleave: has several doses"):
        compare(read_arms(sweep.output), "interleave")


def test_a_pair_is_set_against_a_single_with_the_same_pool(sweep):
    sweep.add("kl", "medical", 0, EM)
    sweep.add("interleave", "medical", 0, EM)
    sweep.add("kl+interleave", "medical", 0, GOOD, pool__mix={"facts": 1.0})
    assert sweep.rows()["interleave+kl"]["best_single"] is None, "interleave was not run with that pool"
    sweep.add("interleave", "medical", 0, EM, pool__mix={"facts": 1.0})
    assert sweep.rows()["interleave+kl"]["best_single"] is not None


def test_gap_selection_is_reported_by_genre(sweep, capsys):
    sweep.add("interleave_ppl", "medical", 0, GOOD, notes=gap(20, 0.3))
    sweep.add("interleave_ppl", "medical", 1, GOOD, notes=gap(10, 0.2))
    first, second = genre_rows(read_arms(sweep.output))
    assert (first.genre, first.pool, first.chosen) == ("advice", pytest.approx(0.14), pytest.approx(0.75))
    assert (first.pool_gap, first.chosen_gap) == (pytest.approx(0.18), pytest.approx(0.25))
    assert (second.genre, second.chosen, second.chosen_gap) == ("sums", pytest.approx(0.25), pytest.approx(0.05))
    write_report(sweep.output)
    kept = json.loads((sweep.output / "comparison.json").read_text("utf-8"))["genres"]
    assert [row["genre"] for row in kept] == ["advice", "sums"]
    assert "of the chosen %" in " ".join(capsys.readouterr().out.split())


def test_safeguards_that_chose_alike_share_their_rows(sweep):
    sweep.add("interleave_ppl", "medical", 0, GOOD, notes=gap(20, 0.3))
    sweep.add("interleave_ppl+kl", "medical", 0, GOOD, notes=gap(20, 0.3))
    assert {row.safeguard for row in genre_rows(read_arms(sweep.output))} == {"interleave_ppl, interleave_ppl+kl"}


def test_records_of_before_there_were_genres_are_read(sweep):
    sweep.add("interleave_ppl", "medical", 0, GOOD, notes={"gap": {"top": 0.2, "pool": 0.1, "rows": 75}})
    assert genre_rows(read_arms(sweep.output)) == []
    assert mix_of(read_arms(sweep.output)) == ""
