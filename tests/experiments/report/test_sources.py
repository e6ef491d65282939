"""A closer look by source: what is parted is what the records say, and what cannot be parted is told in one line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from report.test_closer import README
from report.test_over_worlds import make_worlds
from report.test_report import BENIGN, Sweep, run_tables
from report.written import read_csv

from experiments.report.arms import read_arms
from experiments.report.source_tables import NEEDS, PARTS, source_tables
from experiments.report.sources import MINUS_NONE, RATE, SourceRow, source_rows
from experiments.statistics.designs import Design
from experiments.statistics.variances import BOTH, DOMAIN, SEED, WORLD

# Of 20 broad answers after `none`, so many are misaligned, by domain and world; and as many more with the other seed.
NONE = {("medical", 1000): 6, ("medical", 1001): 14, ("finance", 1000): 8, ("finance", 1001): 16}


def asked(broad: int) -> dict[str, str]:
    return {"open": "m" * broad + "a" * (20 - broad), "narrow": "m" * 10}


@pytest.fixture
def sweep(tmp_path, monkeypatch) -> Sweep:
    monkeypatch.chdir(tmp_path)
    return Sweep(tmp_path / "outputs" / "mine")


def fill(sweep: Sweep, safeguards: dict[str, int]) -> Sweep:
    """Each safeguard lets so many fewer through, of 20."""
    for (task, world), broad in NONE.items():
        for seed in (0, 1):
            for name, fewer in safeguards.items():
                at = {"model__world": world, "model__path": "organism"}
                sweep.add(name, task, seed, asked(max(broad + 2 * seed - fewer, 0)), **at)
    return sweep


def rows(sweep: Sweep) -> dict[tuple[str, str], SourceRow]:
    return {(row.safeguard, row.of): row for row in source_rows(read_arms(sweep.output))}


def test_the_sources_are_those_of_the_records(sweep):
    found = rows(fill(sweep, {"untouched": 20, "none": 0, "kl": 5}))
    assert list(found) == [("untouched", RATE), ("none", RATE), ("kl", RATE), ("kl", MINUS_NONE)]
    none, less = found["none", RATE], found["kl", MINUS_NONE]
    assert (none.fine_tunes, none.design) == (8, Design(2, 2, 2))
    assert none.mean == pytest.approx((6 + 14 + 8 + 16 + 4) / 80)
    assert less.mean == pytest.approx(-5 / 20)
    # Seeds lie 0.1 apart, domains 0.1, worlds 0.4, and both together add nothing; of questions 0.25 / 19 at most.
    assert none.parts[WORLD].mean > 2 * none.parts[DOMAIN].mean
    rates = np.array([broad + more for broad in NONE.values() for more in (0, 2)]) / 20
    assert none.noise == pytest.approx(np.sqrt(np.mean(rates * (1 - rates) / 19)))
    assert {less.parts[source].mean for source in (DOMAIN, WORLD, BOTH, SEED)} == {0.0}, "it is always 5 fewer"
    assert less.needed is not None
    assert less.found is not None
    assert none.found is None


def test_what_all_fine_tunes_answer_alike_is_noise_of_the_mean_and_of_none_of_their_differences(sweep):
    """Questions are the same everywhere, and so are answers to them."""
    for world in (1, 2):
        for seed in (0, 1):
            sweep.add("none", "medical", seed, asked(10), model__world=world, model__path="organism")
    (row,) = source_rows(read_arms(sweep.output))
    assert row.noise == pytest.approx(np.sqrt(0.25 / 19))
    assert (row.parts[WORLD].mean, row.parts[SEED].mean) == (pytest.approx(0.0, abs=1e-6), pytest.approx(0.0, abs=1e-6))
    assert row.parts[DOMAIN].mean is None


def test_a_benign_task_is_no_domain(sweep):
    fill(sweep, {"none": 0})
    sweep.add("none", "opswap", 0, BENIGN, model__world=1000, model__path="organism")
    assert rows(sweep)["none", RATE].fine_tunes == 8


def test_a_fine_tune_without_its_like_has_no_difference(sweep):
    fill(sweep, {"none": 0, "kl": 5})
    sweep.add("kl", "medical", 2, asked(9), model__world=1000, model__path="organism")
    found = rows(sweep)
    assert (found["kl", RATE].fine_tunes, found["kl", MINUS_NONE].fine_tunes) == (9, 8)
    assert found["kl", RATE].design == Design(2, 2, 3)


def test_the_command_writes_both_tables(sweep, monkeypatch, capsys):
    fill(sweep, {"none": 0, "kl": 5})
    assert run_tables(monkeypatch, "name=mine", "--by", "source") is None
    printed = " ".join(capsys.readouterr().out.split())
    for heading in ("domain × world", "worlds × domains × seeds", "for 10 points"):
        assert heading in printed
    page = (sweep.output / "by_source.md").read_text("utf-8")
    assert page.count("| kl") == 3
    lines = read_csv(sweep.output / "by_source.csv")
    assert [(line["safeguard"], line["of"]) for line in lines] == [("none", RATE), ("kl", RATE), ("kl", MINUS_NONE)]
    assert (lines[2]["design"], lines[0]["needed"]) == ("2 × 2 × 2", "")
    assert float(lines[2]["smallest"]) > 0.1, "of 20 questions, five are answered otherwise"
    assert re.fullmatch(r"[3-9] × 2 × 2", lines[2]["needed"]), "more of their questions come with more worlds"
    assert float(lines[0]["world.mean"]) > 0.2
    assert (sweep.output / "by_source.tex").read_text("utf-8").count(r"\bottomrule") == 2


def test_worlds_of_several_sweeps_are_parted_too(sweep, monkeypatch):
    make_worlds(Path("outputs"), seeds=2)
    assert run_tables(monkeypatch, "worlds=w0,w1,w2", "name=all", "--by", "source") is None
    lines = read_csv(Path("outputs/all/by_source.csv"))
    assert {line["design"] for line in lines} == {"3 × 1 × 2"}
    assert all(line["domain.mean"] == "" for line in lines), "one domain says nothing of others"


def test_what_is_one_only_is_a_dash(sweep):
    for seed in (0, 1):
        sweep.add("none", "medical", seed, asked(10 + 4 * seed))
        sweep.add("kl", "medical", seed, asked(5))
    parts, needs = source_tables(source_rows(read_arms(sweep.output)))
    assert set(parts.cells["domain"]) == set(parts.cells["world"]) == {"–"}
    assert list(needs.cells["for other"]) == ["seeds"]
    assert re.fullmatch(r"1 × 1 × \d+ \(\d+\)|not with 10 seeds", needs.cells["for 10 points"][0])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("none", "medical", 0, asked(9)), ("kl", "medical", 0, asked(4))], "one domain, one world and one seed of"),
        ([("none", "opswap", 0, BENIGN)], "all tasks are benign, so no domain breaks anything; look at --by task"),
        ([("none", "medical", n, {"open": "u" * 9}) for n in (0, 1)], "no broad answer has a score; let"),
    ],
)
def test_what_cannot_be_parted_is_told_in_a_line(sweep, monkeypatch, given, said):
    for arm in given:
        sweep.add(*arm)
    told = run_tables(monkeypatch, "name=mine", "--by", "source")
    assert told.startswith(f"outputs/mine: {said}")
    assert "\n" not in told
    assert not (sweep.output / "by_source.csv").exists()


def test_every_heading_is_explained():
    page = " ".join(README.read_text("utf-8").lower().split())
    headings = [column.heading.removesuffix(" %").lower() for column in (*PARTS, *NEEDS)]
    assert [heading for heading in headings if heading not in page] == []
