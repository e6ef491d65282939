"""Run the arms of candidates as a sweep would, and read from their records what they let through and what they keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from experiments.config.folders import output_folder
from experiments.organism.built import is_built
from experiments.planning.launch import launch
from experiments.planning.plan import PlannedArm, describe, make_plan
from experiments.planning.readiness import refuse_unready
from experiments.planning.state import arm_error, is_done
from experiments.planning.worlds import build_worlds, missing_worlds
from experiments.records.locks import locked
from experiments.records.measures import BROAD_MISALIGNED, Measure
from experiments.records.names import EM_TASK, UNTOUCHED
from experiments.records.sweep_file import join_sweep
from experiments.records.training_file import read_given_up
from experiments.report.arms import Arm, read_arm
from experiments.report.measures import share
from experiments.searching.requirements import Rates
from experiments.searching.space import Candidate
from safeguards.composition import NONE
from safeguards.errors import SafeguardError

REFERENCES = (NONE, UNTOUCHED)


class Runner:
    """The arms of one search, or of its confirmation, all in one folder of ordinary records.

    Args:
        shared: overrides of all arms, with the name of the sweep.
        first: candidates that are planned with the baselines, to see which can be at all.

    Attributes:
        references: the arms of the baselines.
        planned: those of `first`.
        failures: why some of them cannot be, a line each.
        values: what all arms share.
        run: how many arms were run by this process.

    Raises:
        SafeguardError: if there is no arm, or none can be run here.
    """

    def __init__(self, shared: Sequence[str], first: Sequence[str] = ()) -> None:
        self.shared, self.first = list(shared), list(first)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.run = 0
        self._plan()

    def _plan(self) -> None:
        plan = make_plan([*self.shared, f"safeguard={','.join(self.first) or NONE}"])
        if not plan.arms:
            raise SafeguardError(plan.failures[0])
        self.failures, self.values = plan.failures, plan.values
        self.planned = [arm for arm in plan.arms if arm.config.safeguard not in REFERENCES]
        self.references = [arm for arm in plan.arms if arm.config.safeguard in REFERENCES]
        self.missing = missing_worlds(arm.config for arm in plan.arms)
        refuse_unready(plan, waiting(plan.arms))
        config = plan.arms[0].config
        self.output, self.judge, self.claims = output_folder(config), config.judge.name, config.claims

    def build(self) -> None:
        """Build worlds that were missing when it was planned, and plan again: weights are part of the names of arms.

        So it is, too, if somebody else has built them meanwhile.
        """
        if self.missing:
            if left := [home for home in self.missing if not is_built(home)]:
                with locked(self.output, "worlds"):
                    build_worlds(left)
            self._plan()

    def plan(self, candidate: Candidate) -> list[PlannedArm]:
        """The arms of a candidate.

        Raises:
            SafeguardError: if there can be none.
        """
        plan = make_plan([*self.shared, *candidate.overrides])
        if plan.failures:
            raise SafeguardError(plan.failures[0])
        return [arm for arm in plan.arms if arm.config.safeguard not in REFERENCES]

    def finish(self, arms: Iterable[PlannedArm]) -> None:
        """Run those that are not done, here or where another process runs them. What is done joins the sweep."""
        arms = list({arm.folder: arm for arm in arms}.values())
        missing = waiting(arms)
        elsewhere = launch(missing, self.values, self.seconds)
        launch(elsewhere, self.values, self.seconds, wait=True)
        done = [describe(arm) for arm in arms if is_done(arm)]
        join_sweep(self.output, self.judge, done, claims=self.claims, beside=True)
        self.run += len(missing)

    def read(self, arms: Iterable[PlannedArm]) -> list[Arm]:
        """The records of those that are done."""
        found = (read_arm(arm.folder, describe(arm), self.judge) for arm in arms if is_done(arm))
        return [arm for arm in found if arm]

    def rates(self, arms: Iterable[PlannedArm], measures: Iterable[Measure]) -> dict[Measure, float]:
        """Of those that are done: the rate of each measure of which answers say anything.

        Where none is done since it was given up, what it let through then.
        """
        arms = list(arms)
        if read := self.read(arms):
            found = {measure: share(read, measure) for measure in measures}
            return {measure: rate for measure, rate in found.items() if rate is not None}
        given_up = [kept.misaligned for arm in arms if (kept := read_given_up(arm.folder))]
        return {BROAD_MISALIGNED: max(given_up)} if given_up else {}

    def by_place(self, arms: Sequence[PlannedArm]) -> dict[tuple[str, int], float]:
        """Of those that are done, the share of broad answers that are misaligned, by task and world."""
        places = dict.fromkeys(map(place_of, arms))
        rates = {
            place: self.rates([arm for arm in arms if place_of(arm) == place], [BROAD_MISALIGNED]) for place in places
        }
        return {place: own[BROAD_MISALIGNED] for place, own in rates.items() if own}

    def of_references(self, measures: Sequence[Measure]) -> dict[str, Rates]:
        """The rates of `none` and of the untouched model."""
        return {
            name: self.rates([arm for arm in self.references if arm.config.safeguard == name], measures)
            for name in REFERENCES
        }


def place_of(arm: PlannedArm) -> tuple[str, int]:
    """The task and the world of an arm."""
    return arm.config.task.name, arm.config.model.world


def stages(arms: Sequence[PlannedArm]) -> tuple[list[PlannedArm], list[PlannedArm]]:
    """Those that show what is let through, and those that are worth their time only if that is little."""
    return (
        [arm for arm in arms if arm.config.task.kind == EM_TASK],
        [arm for arm in arms if arm.config.task.kind != EM_TASK],
    )


def waiting(arms: Iterable[PlannedArm]) -> list[PlannedArm]:
    """Those that are not done."""
    return [arm for arm in arms if not is_done(arm)]


def why_not_done(arms: Iterable[PlannedArm]) -> str:
    """Of the first that is not done, why; empty if all are."""
    return next((f"{arm.config.task.name}: {arm_error(arm.folder)}" for arm in arms if not is_done(arm)), "")
