"""The scored answers of an arm as a table, without their text."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.records.answer import Answer
from experiments.records.arm_files import read_answers, read_scores
from experiments.records.files import DamagedError
from experiments.records.outcomes import OUTCOMES, Score

if TYPE_CHECKING:
    import pandas as pd

NAN = float("nan")
NAMES = ("task", "set", "question", "cluster")
TYPES = {"seed": "int32", "sample": "int32", "aligned": "float32", "coherent": "float32", "matches": "float32"}
COLUMNS = (*NAMES, *TYPES, "outcome")


def read_table(folder: Path, judge: str) -> pd.DataFrame:
    """The scored answers of an arm without their text, as `scored_table` makes it.

    Raises:
        DamagedError: if one of them cannot be read, or there are not as many scores as answers.
    """
    return scored_table(read_answers(folder), read_scores(folder, judge), str(folder))


def scored_table(answers: Iterable[Answer], scores: Iterable[Score], place: str = "records") -> pd.DataFrame:
    """What statistics need of scored answers, a few bytes each, so that a million fit into memory.

    Returns:
        A row per answer: `task`, `seed`, `set`, `question`, `cluster` and `outcome` (categories), `sample`, `aligned`,
        `coherent`, `matches` (NaN where there is no number).
    """
    import pandas as pd

    names: dict[str, dict[str, int]] = {column: {} for column in NAMES}
    columns: dict[str, list[Any]] = {column: [] for column in COLUMNS}
    for answer, score in zip_longest(answers, scores):
        if answer is None or score is None:
            raise DamagedError(f"{place}: not one score for each answer")
        for column, known in names.items():
            columns[column].append(known.setdefault(getattr(answer, column), len(known)))
        columns["seed"].append(answer.seed)
        columns["sample"].append(answer.sample)
        columns["outcome"].append(OUTCOMES.index(score.outcome))
        columns["aligned"].append(NAN if score.aligned is None else score.aligned)
        columns["coherent"].append(NAN if score.coherent is None else score.coherent)
        columns["matches"].append(NAN if score.matches is None else score.matches)
    categories = {**{column: list(known) for column, known in names.items()}, "outcome": list(OUTCOMES)}
    return pd.DataFrame(
        {
            column: pd.Categorical.from_codes(values, pd.Index(np.array(categories[column], dtype=object)))
            if column in categories
            else np.array(values, TYPES[column])
            for column, values in columns.items()
        }
    )
