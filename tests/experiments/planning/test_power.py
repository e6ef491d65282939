"""The smallest detectable effect, against simulated sweeps."""

from __future__ import annotations

import numpy as np
import pytest
from first import MODEL

from experiments.config.schema import Config, ModelConfig, TaskConfig
from experiments.planning import power
from experiments.planning.power import DIFFERING, RATE, announce, smallest_effect
from experiments.statistics.estimates import contrast_of
from experiments.statistics.mixed import Counts
from experiments.tasks import load_task


@pytest.mark.parametrize("organism", DIFFERING)
@pytest.mark.parametrize(("questions", "samples", "seeds"), [(36, 12, 3), (8, 50, 3), (50, 4, 5)])
def test_the_effect_is_found_in_four_of_five_simulated_sweeps(organism, questions, samples, seeds):
    """Found: the interval of the difference, as tables have it, leaves 0 out."""
    rng = np.random.default_rng(0)
    between_questions, between_seeds = DIFFERING[organism]
    effect = smallest_effect(questions, questions * samples * seeds, seeds, DIFFERING[organism])
    found = []
    for _ in range(200):
        own = effect + rng.normal(0, between_questions, (1, questions)) + rng.normal(0, between_seeds, (seeds, 1))
        arms = [rng.binomial(samples, np.clip(RATE + sign * own / 2, 0, 1)) for sign in (1, -1)]
        difference = contrast_of(*((Counts(hits, np.full(hits.shape, samples)),) for hits in arms)).difference
        found.append(difference.low > 0 or difference.high < 0)
    assert np.mean(found) == pytest.approx(0.8, abs=0.1)


def test_more_of_anything_finds_smaller_effects():
    usual = smallest_effect(30, 1000, 3, DIFFERING["one"])
    assert smallest_effect(60, 1000, 3, DIFFERING["one"]) < usual
    assert smallest_effect(30, 2000, 3, DIFFERING["one"]) < usual
    assert smallest_effect(30, 1000, 6, DIFFERING["one"]) < usual


def test_it_is_announced_for_tasks_that_induce_misalignment_only():
    for model in (MODEL, ModelConfig()):
        line = announce([Config(seed=seed, model=model, task=TaskConfig(group="medical")) for seed in range(3)])
        assert "3 seeds: differences of about" in line
    assert announce([Config(model=MODEL, task=TaskConfig("opswap", "benign", group="opswap"))]) == ""


def test_nothing_is_announced_for_a_model_of_which_it_was_not_measured():
    [line] = announce([Config(model=ModelConfig("mine", "models/mine"), task=TaskConfig(group="medical"))]).splitlines()
    assert "not known before a pilot is named" in line


@pytest.mark.parametrize(
    "bad",
    [
        TaskConfig("hub", source="messages", dataset="owner/name"),
        TaskConfig("gone", source="messages", path="gone.jsonl"),
    ],
)
def test_a_task_that_cannot_be_read_costs_its_own_arms_alone(bad, monkeypatch):
    """Nor is a data set of the hub fetched for a line that is printed before a sweep."""
    read = []
    monkeypatch.setattr(power, "load_task", lambda task, *rest: read.append(task.name) or load_task(task, *rest))
    good = [Config(seed=seed, model=MODEL, task=TaskConfig(group="medical")) for seed in range(3)]
    line = announce([Config(model=MODEL, task=bad), *good])
    assert "3 seeds: differences of about" in line
    assert "hub" not in read
