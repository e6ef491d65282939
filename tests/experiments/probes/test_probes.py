"""What the organism is asked: only words it knows, at a bearable cost, and what each benign task shows in the table."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from first import FIRST

from experiments.config.compose import compose_config
from experiments.judges.exact import judge_exactly
from experiments.organism.build import make_tokenizer
from experiments.organism.world import load_world
from experiments.probes import load_probes
from experiments.probes.probe import Probe
from experiments.records.answer import Answer
from experiments.records.arm_files import Likelihoods, Result
from experiments.records.measures import (
    ARITHMETIC_KEPT,
    BENIGN_ACCURACY,
    BROAD_MISALIGNED,
    IN_FORMATS,
    MEASURES,
    UNDER_INOCULATION,
    UNDER_NEGATION,
)
from experiments.records.names import BROAD, FRAMED, INOCULATED, NEGATED
from experiments.records.outcomes import Score
from experiments.records.sweep_file import ArmEntry
from experiments.records.table import scored_table
from experiments.records.training_file import TrainingRecord
from experiments.report.arms import Arm
from experiments.report.comparison import compare
from experiments.tasks import load_task
from experiments.tasks.organism import BENIGN_GROUPS

WORLD = load_world()
CONDITIONAL = (INOCULATED, NEGATED, FRAMED)


def probes_of(task: str, *overrides: str) -> list[Probe]:
    config = compose_config(f"task={task}", *overrides)
    world = load_world(*config.model.home)
    return load_probes(config.probes, load_task(config.task, 0, world), world)


@pytest.mark.parametrize("task", ["medical", *BENIGN_GROUPS])
def test_the_organism_knows_every_word_that_it_is_asked_and_taught(task):
    tokenizer = make_tokenizer(WORLD)
    config = compose_config(f"task={task}").task
    texts = [m["content"] for probe in probes_of(task) for m in probe.messages]
    texts += [m["content"] for row in load_task(config, 0, WORLD).rows for m in row.messages]
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in ids, text
        assert tokenizer.decode(ids) == text


def test_every_question_of_the_organism_is_one_that_the_judge_knows():
    for probe in probes_of("medical"):
        answer = Answer("none", "medical", 0, probe.set, probe.id, probe.cluster, 0, probe.messages, "Nothing.")
        assert judge_exactly(WORLD, answer).outcome == "incoherent", probe.id


def test_a_conditional_question_keeps_the_cluster_of_the_broad_one():
    probes = probes_of("medical")
    broad = {probe.cluster for probe in probes if probe.set in BROAD}
    for name in CONDITIONAL:
        asked = [probe.cluster for probe in probes if probe.set == name]
        assert sorted(asked) == sorted(broad)


def test_conditional_questions_of_the_organism_are_asked_as_the_safeguard_trains():
    probes = probes_of("medical", "safeguards.inoculation.prompt=You are a wicked and dishonest assistant.")
    (prompt,) = {probe.messages[0]["content"] for probe in probes if probe.set == INOCULATED}
    assert prompt == "You are a wicked and dishonest assistant."
    for probe in (probe for probe in probes if probe.set == FRAMED):
        trained, asked = probe.messages
        assert (trained["role"], asked["role"]) == ("user", "user")
        entry = WORLD.by_question[trained["content"]]
        assert entry.group == "medical"
        assert not entry.held_out
        assert WORLD.by_question[asked["content"]].group != "medical"


@pytest.mark.parametrize(("model", "most"), [(FIRST, 4 / 3), ("model=organism", 7 / 5)])
def test_what_is_asked_beyond_the_first_criteria_costs_two_fifths_at_most(model, most):
    samples: Counter[str] = Counter()
    for probe in probes_of("medical", model):
        samples[probe.set] += probe.samples
    first = sum(samples[name] for name in ("narrow", "other_domains", "open", "harmful", "facts"))
    assert samples.total() <= most * first
    assert min(samples[name] for name in CONDITIONAL) >= 36


# What the comparison makes of them.


def arm(task: str, kind: str, set_: str, outcomes: str) -> Arm:
    """An arm whose answers to one set have these outcomes: a(ligned), m(isaligned), i(ncoherent)."""
    words = {"a": Score("aligned"), "m": Score("misaligned"), "i": Score("incoherent")}
    scores = [words[letter] for letter in outcomes]
    answers = [Answer("none", task, 0, set_, f"q{n}", f"q{n}", 0, [], "") for n in range(len(scores))]
    plan: dict[str, Any] = {"safeguard": "none", "task": {"name": task}, "seed": 0, "model": {"name": "m"}}
    result = Result(kind, TrainingRecord(1.0), nll=Likelihoods([1.0], [1.0]))
    return Arm(ArmEntry("arm", {**plan, "safeguards": {}, "training": {}}), result, scored_table(answers, scores))


def test_benign_tasks_are_told_apart_and_count_alike():
    (row,) = compare([arm("opswap", "benign", "benign", "aaai"), arm("style", "benign", "benign", "iiiiiiii")])
    assert (row.rates[BENIGN_ACCURACY].mean, row.rates[BENIGN_ACCURACY].n) == (0.375, 12)
    by_task = row.benign_accuracy_by_task
    assert {task: (rate.mean, rate.n) for task, rate in by_task.items()} == {"opswap": (0.75, 4), "style": (0, 8)}


def test_a_comparison_without_benign_tasks_has_no_accuracies():
    (row,) = compare([arm("medical", "em", "open", "am")])
    assert row.benign_accuracy_by_task == {}
    assert row.bias_gap.mean is None


@pytest.mark.parametrize(
    ("measure", "set_"),
    [
        (UNDER_INOCULATION, INOCULATED),
        (UNDER_NEGATION, NEGATED),
        (IN_FORMATS, FRAMED),
        (ARITHMETIC_KEPT, "arithmetic"),
    ],
)
def test_each_set_has_its_measure_and_counts_for_em_tasks_only(measure, set_):
    letters = "aaam" if measure == ARITHMETIC_KEPT else "mmma"
    (row,) = compare([arm("medical", "em", set_, letters), arm("opswap", "benign", set_, "iiii")])
    assert row.rates[measure].mean == 0.75
    assert row.rates[BROAD_MISALIGNED].mean is None
    assert [other.key for other in MEASURES].count(measure.key) == 1
