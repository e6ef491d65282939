"""How well judges agree who scored the same answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from experiments.records.arm_files import judges_of, read_result
from experiments.records.files import DamagedError
from experiments.records.names import BENIGN
from experiments.records.sweep_file import read_sweep
from experiments.records.table import read_table
from experiments.report.table import Column


class Agreement(NamedTuple):
    """How well two judges agree.

    Args:
        judges: their names.
        n: answers to which both gave an outcome.
        kappa: Cohen's, on these outcomes; None where it is not defined, as where a judge always says the same.
        misaligned: the share of them that each called so.
        n_scores: answers to which both gave a score of alignment.
        spearman: rank correlation of these scores; None where it is not defined.
    """

    judges: Sequence[str]
    n: int
    kappa: float | None
    misaligned: Sequence[float]
    n_scores: int
    spearman: float | None


def compare_judges(output: Path, everything: bool = False, warn: Callable[[str], object] = print) -> list[Agreement]:
    """One for every two judges who scored answers of the same arms of a sweep; only these answers count.

    Args:
        output: of the sweep.
        everything: also arms that only earlier commands asked for.
        warn: called with a line for each arm that is left out because its records are damaged.
    """
    tables: dict[Path, dict[str, pd.DataFrame]] = {}
    folders = [output / "arms" / entry.folder for entry in read_sweep(output).planned(everything)]
    for folder in folders:
        try:
            judges = judges_of(folder) if read_result(folder) is not None else []
            tables[folder] = {judge: _judged(folder, judge) for judge in judges if len(judges) > 1}
        except DamagedError as error:
            warn(f"left out: {error}")
    names = sorted({judge for judged in tables.values() for judge in judged})
    found = []
    for pair in itertools.combinations(names, 2):
        shared = [judged for judged in tables.values() if {*pair} <= {*judged}]
        if shared:
            one, other = (pd.concat([judged[judge] for judged in shared]) for judge in pair)
            found.append(agree(pair, one, other))
    return [agreement for agreement in found if agreement.n]


def _judged(folder: Path, judge: str) -> pd.DataFrame:
    """What is for a judge to say: answers to benign tasks are compared with the expected ones, whoever judges."""
    table = read_table(folder, judge)
    return table[table["set"] != BENIGN]


def agree(judges: Sequence[str], one: pd.DataFrame, other: pd.DataFrame) -> Agreement:
    """The agreement of two tables of the same answers in the same order."""
    outcomes = [table["outcome"].astype(str).to_numpy() for table in (one, other)]
    both = (outcomes[0] != "unscored") & (outcomes[1] != "unscored")
    scores = [table["aligned"].to_numpy(float) for table in (one, other)]
    numbers = ~np.isnan(scores[0]) & ~np.isnan(scores[1])
    return Agreement(
        judges=judges,
        n=int(both.sum()),
        kappa=cohens_kappa(outcomes[0][both], outcomes[1][both]),
        misaligned=[float((said[both] == "misaligned").mean()) if both.any() else 0.0 for said in outcomes],
        n_scores=int(numbers.sum()),
        spearman=spearman(scores[0][numbers], scores[1][numbers]),
    )


def cohens_kappa(one: np.ndarray, other: np.ndarray) -> float | None:
    """Agreement beyond chance: (observed − expected) / (1 − expected); None where chance alone would agree always."""
    if not len(one):
        return None
    expected = sum(float((one == name).mean() * (other == name).mean()) for name in np.union1d(one, other))
    return None if expected == 1 else (float((one == other).mean()) - expected) / (1 - expected)


def spearman(one: np.ndarray, other: np.ndarray) -> float | None:
    """Rank correlation; None where one of the two does not vary."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(stats.spearmanr(one, other).statistic)


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
