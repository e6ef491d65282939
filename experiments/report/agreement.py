"""How well judges agree who scored the same answers."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from experiments.records.arm_files import ARMS, judges_of, read_judge, read_result
from experiments.records.files import DamagedError
from experiments.records.human_labels import CORRECTS, LABELS, is_labels
from experiments.records.names import BENIGN, BENIGN_TASK, BROAD
from experiments.records.sweep_file import read_sweep
from experiments.records.table import read_table
from experiments.report.class_agreement import ClassAgreement, agree_by_class
from experiments.report.labels import label_arms
from experiments.report.table import Column
from experiments.report.world_draws import as_one_model
from experiments.statistics.ranks import spearman

# Whose word counts as right where two judges differ: that of people, of who knows the truth, of the sweep's judge; of
# two others the latter by name.
TRUSTED = ("", "the sweep's", "exact", LABELS)


class Agreement(NamedTuple):
    """How well two judges agree.

    Args:
        judges: their names.
        n: answers to which both gave an outcome.
        kappa: Cohen's, on these outcomes; None where it is not defined, as where a judge always says the same.
        misaligned: the share of them that each called so.
        n_scores: answers to which both gave a score of alignment.
        spearman: rank correlation of these scores; None where it is not defined.
        classes: how well they agree on each outcome.
    """

    judges: Sequence[str]
    n: int
    kappa: float | None
    misaligned: Sequence[float]
    n_scores: int
    spearman: float | None
    classes: Sequence[ClassAgreement] = ()

    def as_json(self) -> dict[str, Any]:
        """As `comparison.json` has it."""
        return {**self._asdict(), "classes": [each.as_json() for each in self.classes]}


def compare_judges(output: Path, everything: bool = False, warn: Callable[[str], object] = print) -> list[Agreement]:
    """One for every two judges who scored answers of the same arms of a sweep; only these answers count.

    An answer that was drawn to be labelled counts for as many as it was drawn from.

    Args:
        output: of the sweep.
        everything: also arms that only earlier commands asked for.
        warn: called with a line for each arm that is left out because its records are damaged.
    """
    sweep = read_sweep(output)
    entries = [entry for entry, _ in as_one_model(sweep.planned(everything))]
    arms: list[dict[str, pd.DataFrame]] = []
    corrects: dict[str, str] = {}
    trust: dict[str, int] = defaultdict(int, {sweep.judge: TRUSTED.index("the sweep's")})
    for entry, row in zip(entries, label_arms(entries), strict=True):
        folder = output / ARMS / entry.folder
        try:
            result = read_result(folder)
            judges = judges_of(folder) if result is not None else []
            settings = {judge: read_judge(folder, judge) or {} for judge in judges}
            if len(judges) > 1:
                drawable = "" if result and result.task_kind == BENIGN_TASK else f"{row} {entry.model}"
                arms.append({judge: _judged(folder, judge, drawable) for judge in judges})
        except DamagedError as error:
            warn(f"left out: {error}")
            continue
        corrects |= {judge: its[CORRECTS] for judge, its in settings.items() if is_labels(its)}
        kinds = {judge: its.get("kind") for judge, its in settings.items()}
        trust |= {judge: TRUSTED.index(kind) for judge, kind in kinds.items() if kind in TRUSTED}
    for labels, judge in corrects.items():
        weigh_labels([(arm[judge], arm[labels]) for arm in arms if judge in arm and labels in arm])
    found = []
    for pair in itertools.combinations(sorted({judge for judged in arms for judge in judged}), 2):
        shared = [judged for judged in arms if {*pair} <= {*judged}]
        if shared:
            one, other = (pd.concat([judged[judge] for judged in shared]) for judge in pair)
            found.append(agree(pair, one, other, trust[pair[0]] > trust[pair[1]]))
    return [agreement for agreement in found if agreement.n]


def _judged(folder: Path, judge: str, row: str) -> pd.DataFrame:
    """What is for a judge to say: answers to benign tasks are compared with the expected ones, whoever judges.

    With two columns more: the `row` of the comparison that the answers belong to, and how many answers each stands for,
    its `weight`.
    """
    table = read_table(folder, judge)
    return table[table["set"] != BENIGN].assign(row=row, weight=1.0)


def weigh_labels(arms: Sequence[tuple[pd.DataFrame, pd.DataFrame]]) -> None:
    """Have each labelled answer stand for those that it was drawn from: of its row and the judge's side.

    Args:
        arms: what the judge says by whom answers were drawn, and the labels, whose `weight` is set.
    """
    whole: Counter[tuple[str, bool]] = Counter()
    labelled: Counter[tuple[str, bool]] = Counter()
    sides = [list(zip(verdicts["row"], verdicts["outcome"] == "misaligned", strict=True)) for verdicts, _ in arms]
    for (verdicts, labels), side in zip(arms, sides, strict=True):
        whole.update(itertools.compress(side, verdicts["set"].isin(BROAD)))
        labelled.update(itertools.compress(side, labels["outcome"] != "unscored"))
    for (_, labels), side in zip(arms, sides, strict=True):
        labels["weight"] = [max(whole[one] / max(labelled[one], 1), 1.0) for one in side]


def agree(judges: Sequence[str], one: pd.DataFrame, other: pd.DataFrame, first_is_right: bool = False) -> Agreement:
    """The agreement of two tables of the same answers in the same order.

    Args:
        judges: their names.
        one, other: what they say, with the `weight` of each answer.
        first_is_right: whether the first is the reference for the other, instead of the other for the first.
    """
    outcomes = [table["outcome"].astype(str).to_numpy() for table in (one, other)]
    both = (outcomes[0] != "unscored") & (outcomes[1] != "unscored")
    said = [outcome[both] for outcome in outcomes]
    weights = np.maximum(one["weight"].to_numpy(), other["weight"].to_numpy())[both]
    scores = [table["aligned"].to_numpy(float) for table in (one, other)]
    numbers = ~np.isnan(scores[0]) & ~np.isnan(scores[1])
    order = -1 if first_is_right else 1
    names = tuple(judges)[::order]
    return Agreement(
        judges=judges,
        n=int(both.sum()),
        kappa=cohens_kappa(said[0], said[1], weights),
        misaligned=[float(np.average(each == "misaligned", weights=weights)) if both.any() else 0.0 for each in said],
        n_scores=int(numbers.sum()),
        spearman=spearman(scores[0][numbers], scores[1][numbers]),
        classes=agree_by_class(
            (names[0], names[1]), said[::order], one["cluster"].astype(str).to_numpy()[both], weights
        )
        if both.any()
        else (),
    )


def cohens_kappa(one: np.ndarray, other: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Agreement beyond chance: (observed − expected) / (1 − expected); None where chance alone would agree always."""
    if not len(one):
        return None

    def share(hits: np.ndarray) -> float:
        return float(np.average(hits, weights=weights))

    expected = sum(share(one == name) * share(other == name) for name in np.union1d(one, other))
    return None if expected == 1 else (share(one == other) - expected) / (1 - expected)


def _coefficient(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


AGREEMENT = (
    Column[Agreement](
        "judges",
        "judges",
        lambda row: " / ".join(row.judges),
        caption="Agreement of judges on the answers that both could score. Cohen's κ: 0 is chance, 1 is perfect.",
    ),
    Column[Agreement]("n", "answers", lambda row: row.n),
    Column[Agreement]("kappa", "κ of outcomes", lambda row: row.kappa, lambda row: _coefficient(row.kappa)),
    Column[Agreement]("misaligned", "misaligned %", lambda row: " / ".join(f"{100 * x:.1f}" for x in row.misaligned)),
    Column[Agreement]("n_scores", "with scores", lambda row: row.n_scores),
    Column[Agreement](
        "spearman", "Spearman of alignment", lambda row: row.spearman, lambda row: _coefficient(row.spearman)
    ),
)
