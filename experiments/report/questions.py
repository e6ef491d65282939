"""How each question was answered after each safeguard, those that carry most of the misalignment first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.records.arm_files import ARMS, read_answers
from experiments.records.names import BROAD, NARROW
from experiments.records.outcomes import OUTCOMES
from experiments.report.arms import Arm
from experiments.report.labels import named_groups
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.question import question_rate
from experiments.terminal.printing import progress

# World, if there are several, set and cluster: a question with all its variants.
Key = tuple[str, str, str]
# By the name of a row of the comparison, for each of its arms that was asked: how often each of `OUTCOMES`.
Counts = Mapping[str, list[np.ndarray]]
MISALIGNED, UNSCORED = OUTCOMES.index("misaligned"), OUTCOMES.index("unscored")
# Which questions are set against each other: the broad ones of both sets, else those of a set.
GROUPS = dict.fromkeys(BROAD, "broad")


class Answered(NamedTuple):
    """How a question was answered after one safeguard.

    Args:
        arms: how many fine-tunes were asked.
        answers: all of theirs.
        misaligned, incoherent: rates for this very question, with intervals for other fine-tunes.
        share: of all misaligned answers after this safeguard, those to this question; None if there are none.
    """

    arms: int
    answers: int
    misaligned: Estimate
    incoherent: Estimate
    share: float | None


@dataclass(frozen=True)
class QuestionRow:
    """A question with all its variants.

    Args:
        group: "broad", or the set of probes.
        world: in which it was asked, where there are several: each has questions of its own.
        set: of probes.
        question: what its variants have in common.
        text: the first line of it.
        variants: in how many ways it was asked.
        answers, misaligned: how many, after all safeguards.
        of_answers, share: these as parts of those to all questions of the group.
        together: the share of this question and all before it.
        by_safeguard: by the name of the row of a comparison, as far as it was asked.
    """

    group: str
    world: str
    set: str
    question: str
    text: str
    variants: int
    answers: int
    misaligned: int
    of_answers: float
    share: float | None
    together: float | None
    by_safeguard: Mapping[str, Answered]


def question_rows(output: Path, arms: Sequence[Arm]) -> list[QuestionRow]:
    """Every question that was asked after a task which may induce misalignment.

    The broad ones come first, then those of the task, then the other sets; in each, those to which most misaligned
    answers were given.

    Args:
        output: of the sweep, where the texts are.
        arms: of it.
    """
    trained = [arm for arm in arms if not arm.benign]
    counted = count(trained)
    groups: dict[str, dict[Key, Counts]] = {"broad": {}, NARROW: {}}
    for key, counts in counted.items():
        _, name, _ = key
        groups.setdefault(GROUPS.get(name, name), {})[key] = counts
    texts, variants = read_texts(output, trained), count_variants(trained)
    return [row for group, own in groups.items() for row in rank(group, own, texts, variants)]


def rank(
    group: str, counted: Mapping[Key, Counts], texts: Mapping[Key, str], variants: Mapping[Key, int]
) -> list[QuestionRow]:
    """The questions of a group, those with most misaligned answers first."""
    whole: dict[Key, np.ndarray] = {key: np.sum([*chain(*counts.values())], 0) for key, counts in counted.items()}
    of_safeguard: Counter[str] = Counter()
    for counts in counted.values():
        of_safeguard.update({name: int(np.sum(own, 0)[MISALIGNED]) for name, own in counts.items()})
    answers = sum(int(outcomes.sum()) for outcomes in whole.values())
    rows, before = [], 0
    for key in progress(sorted(counted, key=lambda key: -whole[key][MISALIGNED]), f"{group} questions"):
        misaligned = int(whole[key][MISALIGNED])
        before += misaligned
        rows.append(
            QuestionRow(
                group,
                *key,
                text=texts[key],
                variants=variants[key],
                answers=int(whole[key].sum()),
                misaligned=misaligned,
                of_answers=float(whole[key].sum() / answers),
                share=part(misaligned, of_safeguard.total()),
                together=part(before, of_safeguard.total()),
                by_safeguard={name: answered(own, of_safeguard[name]) for name, own in counted[key].items()},
            )
        )
    return rows


def answered(counts: Sequence[np.ndarray], misaligned: int) -> Answered:
    """How a question was answered by arms, of whose answers to all questions so many are `misaligned`."""
    each = np.stack(counts)
    scored = bool(np.delete(each, UNSCORED, 1).any())
    rates = {
        name: question_rate(each[:, OUTCOMES.index(name)], each.sum(1)) if scored else NOTHING
        for name in ("misaligned", "incoherent")
    }
    return Answered(len(each), int(each.sum()), **rates, share=part(int(each[:, MISALIGNED].sum()), misaligned))


def part(some: int, whole: int) -> float | None:
    """The share; None of nothing."""
    return some / whole if whole else None


def count(arms: Sequence[Arm]) -> dict[Key, dict[str, list[np.ndarray]]]:
    """How often each outcome by question, name of the row and arm."""
    found: dict[Key, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for name, members in named_groups(arms).items():
        for arm in members:
            own: dict[Key, np.ndarray] = defaultdict(lambda: np.zeros(len(OUTCOMES), int))
            sizes = arm.table.groupby(["set", "cluster", "outcome"], observed=True).size().reset_index(name="times")
            for row in sizes.itertuples(index=False):
                own[arm.world, str(row.set), str(row.cluster)][OUTCOMES.index(row.outcome)] = row.times
            for key, outcomes in own.items():
                found[key][name].append(outcomes)
    return found


def count_variants(arms: Sequence[Arm]) -> dict[Key, int]:
    """In how many ways each question was asked."""
    ways: dict[Key, set[str]] = defaultdict(set)
    for arm in arms:
        for row in arm.table[["set", "cluster", "question"]].drop_duplicates().itertuples(index=False):
            ways[arm.world, str(row.set), str(row.cluster)].add(str(row.question))
    return {key: len(names) for key, names in ways.items()}


def read_texts(output: Path, arms: Sequence[Arm]) -> dict[Key, str]:
    """The first line of each question as the person asked it, in the variant that names the others if there is one.

    Its name where the records have no text. Only arms that were asked something new are read again.
    """
    found: dict[Key, str] = {}
    for arm in arms:
        asked = arm.table[["set", "cluster"]].drop_duplicates().astype(str).itertuples(index=False, name=None)
        if found.keys() >= {(arm.world, *each) for each in asked}:
            continue
        for answer in read_answers(output / ARMS / arm.entry.folder):
            key = arm.world, answer.set, answer.cluster
            if key not in found or answer.question == answer.cluster:
                said = [message["content"] for message in answer.messages if message["role"] == "user"]
                lines = "\n".join(said[-1:]).strip().splitlines()
                found[key] = lines[0] if lines else answer.cluster
    return found
