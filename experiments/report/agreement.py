"""How well judges agree who scored the same answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from experiments.records.arm_files import judges_of, read_result
from experiments.records.files import DamagedError
from experiments.records.names import BENIGN
from experiments.records.sweep_file import planned_arms
from experiments.records.table import read_table


def compare_judges(
    output: Path, everything: bool = False, tell: Callable[[str], object] = print
) -> list[dict[str, Any]]:
    """One row for every two judges who scored answers of the same arms of a sweep; only these answers count.

    Args:
        output: of the sweep.
        everything: also arms that only earlier commands asked for.
        tell: called with a line for each arm that is left out because its records are damaged.

    Returns:
        The `judges`; `n` answers to which both gave an outcome; Cohen's `kappa` on these outcomes; the share that each
        called misaligned; `spearman` on alignment over the `n_scores` answers to which both gave one. A coefficient
        is None where it is not defined, as where a judge always says the same.
    """
    tables: dict[Path, dict[str, pd.DataFrame]] = {}
    folders = [output / "arms" / plan["folder"] for plan in planned_arms(output, everything)]
    for folder in folders:
        try:
            judges = judges_of(folder) if read_result(folder) is not None else []
            tables[folder] = {judge: _judged(folder, judge) for judge in judges if len(judges) > 1}
        except DamagedError as error:
            tell(f"left out: {error}")
    names = sorted({judge for judged in tables.values() for judge in judged})
    rows = []
    for pair in itertools.combinations(names, 2):
        shared = [judged for judged in tables.values() if {*pair} <= {*judged}]
        if shared:
            one, other = (pd.concat([judged[judge] for judged in shared]) for judge in pair)
            rows.append({"judges": list(pair), **agree(one, other)})
    return [row for row in rows if row["n"]]


def _judged(folder: Path, judge: str) -> pd.DataFrame:
    """What is for a judge to say: answers to benign tasks are compared with the expected ones, whoever judges."""
    table = read_table(folder, judge)
    return table[table["set"] != BENIGN]


def agree(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    """The agreement of two tables of the same answers in the same order, as `compare_judges` tells it."""
    outcomes = [table["outcome"].astype(str).to_numpy() for table in (one, other)]
    both = (outcomes[0] != "unscored") & (outcomes[1] != "unscored")
    scores = [table["aligned"].to_numpy(float) for table in (one, other)]
    numbers = ~np.isnan(scores[0]) & ~np.isnan(scores[1])
    return {
        "n": int(both.sum()),
        "kappa": cohens_kappa(outcomes[0][both], outcomes[1][both]),
        "misaligned": [float((said[both] == "misaligned").mean()) if both.any() else None for said in outcomes],
        "n_scores": int(numbers.sum()),
        "spearman": spearman(scores[0][numbers], scores[1][numbers]),
    }


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


def as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as people read them."""
    return pd.DataFrame(
        {
            "judges": [" / ".join(row["judges"]) for row in rows],
            "answers": [str(row["n"]) for row in rows],
            "κ of outcomes": [_number(row["kappa"]) for row in rows],
            "misaligned %": [" / ".join(f"{100 * share:.1f}" for share in row["misaligned"]) for row in rows],
            "with scores": [str(row["n_scores"]) for row in rows],
            "Spearman of alignment": [_number(row["spearman"]) for row in rows],
        }
    )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
