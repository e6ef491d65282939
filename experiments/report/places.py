"""What the files of a report are called."""

from __future__ import annotations

import re

from experiments.records.sweep_file import SweepFile


def stem(
    what: str, sweep: SweepFile, judge: str | None = None, everything: bool = False, baseline: str | None = None
) -> str:
    """The name of a file before its ending: also says what is not as the last command of the sweep has it.

    Args:
        what: is in it, such as "comparison".
        sweep: that it is of.
        judge: that it goes by, if it was named.
        everything: whether it is of all that was ever asked for under the name of the sweep.
        baseline: what rows are set against, if it was named.
    """
    named = [judge] * (judge not in (None, sweep.judge)) + ["all"] * everything
    if baseline not in (None, sweep.baseline):
        named.append("against_" + re.sub(r"[^\w.+-]+", "_", baseline)[:100])
    return ".".join([what, *map(str, named)])
