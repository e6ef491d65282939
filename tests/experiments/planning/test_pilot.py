"""Power from a pilot: what is announced holds in simulated sweeps, and a pilot that does not tell is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report.test_report import OUTCOMES
from scipy import special

from experiments.config.schema import Config, TaskConfig
from experiments.organism.world import load_world
from experiments.planning.identity import identity_fields
from experiments.planning.power import announce
from experiments.probes import load_probes
from experiments.records.answer import Answer
from experiments.records.arm_files import ARMS, RESULT, Result, read_scores, write_answers, write_result, write_scores
from experiments.records.outcomes import Score
from experiments.records.sweep_file import IMPORTED, ArmEntry, SweepFile, read_sweep, write_sweep
from experiments.statistics import detection
from experiments.statistics.detection import BETWEEN_ARMS, Rehearsal, smallest_part, spread
from experiments.statistics.rates import contrast
from experiments.tasks import load_task
from safeguards import SafeguardError

HIT = "misaligned"


@pytest.fixture(autouse=True)
def _few(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detection, "SIMULATIONS", 20)


def asked(questions: int, seeds: int, samples: int) -> pd.DataFrame:
    """A row per answer."""
    seed, question, _ = np.indices((seeds, questions, samples)).reshape(3, -1)
    names = pd.Series(question).map("q{:03}".format)
    return pd.DataFrame({"task": "t", "set": "open", "seed": seed, "question": names, "cluster": names})


def answered(rng: np.random.Generator, table: pd.DataFrame, logits: np.ndarray, between_seeds: float) -> pd.DataFrame:
    """The answers of one arm to questions with these logits."""
    seeds = between_seeds * rng.normal(size=table["seed"].max() + 1)
    chances = special.expit(logits[pd.factorize(table["cluster"])[0]] + seeds[table["seed"]])
    return table.assign(outcome=np.where(rng.random(len(table)) < chances, HIT, "aligned"))


def bar(items, _):
    return items


def test_the_announced_drop_is_found_in_four_of_five_sweeps_made_otherwise():
    rng = np.random.default_rng(1)
    logits = special.logit(0.1) + 1.5 * rng.normal(size=24)
    pilot = answered(rng, asked(24, 3, 10), logits, 0.3)
    table = asked(24, 3, 10)
    part, power = smallest_part(Rehearsal.of(pilot, table, HIT).finds, bar)
    assert part is not None
    assert power > 0.9
    found = []
    for _ in range(40):
        changed = logits + BETWEEN_ARMS * rng.normal(size=24)
        shifts = np.linspace(-12, 0, 400)
        rates = special.expit(changed + shifts[:, None]).mean(1)
        shift = float(np.interp((1 - part) * special.expit(logits).mean(), rates, shifts))
        arms = [answered(rng, table, each, 0.3) for each in (changed + shift, logits)]
        p = contrast(*arms, HIT).p
        found.append(p is not None and p <= 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.15)


def test_the_smallest_part_is_that_which_enough_simulations_find():
    """Simulation n finds parts from n / 20 on: 16 of 20 find 0.75 and more."""
    part, power = smallest_part(lambda number, part: part >= number / 20, bar)
    assert part == pytest.approx(0.75, abs=0.5**detection.HALVINGS)
    assert power == 1
    assert smallest_part(lambda number, _: number < 13, bar) == (None, 0.65)


def test_spread_is_what_answers_show_of_it_and_the_prior_where_they_show_nothing():
    rng = np.random.default_rng(0)
    for true in (0.3, 1.0):
        chances = special.expit(true * rng.normal(size=300))
        assert spread(rng.binomial(50, chances), np.full(300, 50), 2.0) == pytest.approx(true, rel=0.15)
    assert spread(np.array([3]), np.array([100]), 0.6) == pytest.approx(0.6 * np.sqrt(2 / np.pi), rel=0.2)


def planned(**given) -> list[Config]:
    """A small sweep on the organism."""
    configs = []
    for safeguard in ("untouched", "none", "kl"):
        for seed in range(2):
            config = Config(safeguard, seed, "mine", task=TaskConfig(group="medical"), **given)
            config.probes.sets, config.probes.samples = ["open"], 1
            configs.append(config)
    return configs


def make_pilot(letters: str, name: str = "first", safeguard: str = "none", excess: int = 0, left: int = 0) -> None:
    """A pilot whose arms give these outcomes to the open questions in turn, with some more or without the first."""
    config = planned()[0]
    world = load_world(0)
    probes = load_probes(config.probes, load_task(config.task, 0, world), world)
    asked = [(probe.id, probe.cluster) for probe in probes if probe.set == "open"]
    asked = (asked[left:] + [(f"more {n}", f"more {n}") for n in range(excess)]) * 12
    output, settings = Path("outputs") / name, identity_fields(config)
    entries = [ArmEntry(f"{safeguard}.{seed}", {**settings, "safeguard": safeguard, "seed": seed}) for seed in range(2)]
    for seed, entry in enumerate(entries):
        folder = output / ARMS / entry.folder
        named = [
            Answer(safeguard, "medical", seed, "open", *question, place, [], "") for place, question in enumerate(asked)
        ]
        write_answers(folder, named, {})
        outcomes = [OUTCOMES[letters[place % len(letters)]] for place in range(len(named))]
        write_scores(folder, "exact", [Score(outcome) for outcome in outcomes])
        write_result(folder, Result("em"))
    write_sweep(output, SweepFile("exact", entries))


def test_a_pilot_says_what_will_be_found():
    make_pilot("ma")
    line = announce(planned(power={"from": "first"}))
    assert "pilot first: none of organism has 50 % broad misaligned, by exact; with " in line
    assert "a drop of about " in line
    assert "or more is found (80 % power" in line


def test_where_not_even_a_drop_to_zero_is_found_that_is_said():
    make_pilot("m" + "a" * 99)
    line = announce(planned(power={"from": "first"}))
    assert "even a drop to zero is found with " in line
    assert "% power only; ask more questions" in line


def test_where_none_has_no_hit_nothing_can_fall():
    make_pilot("a")
    assert "none of organism has 0 % broad misaligned" in announce(planned(power={"from": "first"}))


def test_a_pilot_that_does_not_tell_is_refused():
    with pytest.raises(SafeguardError, match=r"power\.from=first: no sweep in outputs; known: none"):
        announce(planned(power={"from": "first"}))
    make_pilot("ma", "other", excess=2)
    with pytest.raises(SafeguardError, match=r"power\.from=first: no sweep in outputs; known: other"):
        announce(planned(power={"from": "first"}))
    with pytest.raises(SafeguardError, match=r"asked other questions: it asked in excess 2 of \d+, such as 'more 0'"):
        announce(planned(power={"from": "other"}))
    make_pilot("ma", "less", left=1)
    with pytest.raises(SafeguardError, match=r"asked other questions: it did not ask 1 of \d+, such as '"):
        announce(planned(power={"from": "less"}))
    make_pilot("ma", "kl", safeguard="kl")
    with pytest.raises(SafeguardError, match="has no arm of none that is done, on model organism and task medical"):
        announce(planned(power={"from": "kl"}))
    make_pilot("ma", "undone")
    for result in Path("outputs/undone").rglob(RESULT):
        result.unlink()
    with pytest.raises(SafeguardError, match="has no arm of none that is done"):
        announce(planned(power={"from": "undone"}))
    make_pilot("u", "blind")
    with pytest.raises(SafeguardError, match="its answers of none have no score"):
        announce(planned(power={"from": "blind"}))


def test_a_pilot_on_another_model_tells_nothing_but_imported_answers_may():
    make_pilot("ma")
    configs = planned(power={"from": "first"})
    for config in configs:
        config.model.name = "other"
    with pytest.raises(SafeguardError, match="has no arm of none that is done, on model other"):
        announce(configs)
    folder = Path("outputs/first")
    for arm in (arms := read_sweep(folder).arms):
        write_scores(folder / ARMS / arm.folder, IMPORTED, list(read_scores(folder / ARMS / arm.folder, "exact")))
    write_sweep(folder, SweepFile(IMPORTED, arms))
    assert "pilot first: none has 50 % broad misaligned, by imported" in announce(configs)


def test_a_pilot_for_a_sweep_that_asks_nothing_of_the_kind_is_refused():
    make_pilot("ma")
    with pytest.raises(SafeguardError, match="this sweep asks nothing that benign_accuracy counts"):
        announce(planned(power={"from": "first"}, primary="benign_accuracy"))
