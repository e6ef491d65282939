"""Whether arms that wait can be run here: what they need of this machine, of endpoints and of trackers."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.generators import refuse_unanswered
from experiments.models.reach import refuse_unreached
from experiments.planning.engines import check_engine
from experiments.planning.plan import Plan, PlannedArm
from experiments.planning.state import misses_only_scores
from experiments.tracking.refusals import refuse_untracked


def refuse_unready(plan: Plan, waiting: Sequence[PlannedArm]) -> None:
    """Refuse arms that cannot be run for what is not here.

    Raises:
        SafeguardError: naming what is missing, and what to put where.
    """
    if waiting:
        check_engine(plan.values)
    refuse_unreached(arm.config.model for arm in waiting)
    refuse_unanswered(arm.config.generator for arm in waiting if not misses_only_scores(arm))
    if waiting:
        refuse_untracked(plan.arms[0].config)
