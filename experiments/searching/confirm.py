"""Try what was found again on seeds, tasks and worlds that the search never saw: only that may be quoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.organism import SHIPPED, is_organism
from experiments.organism.world import load_world
from experiments.planning.plan import PlannedArm
from experiments.planning.state import arm_error
from experiments.records.measures import BROAD_MISALIGNED
from experiments.records.names import BENIGN_TASK, EM_TASK, SEVERAL_TASKS
from experiments.report.arms import Arm
from experiments.report.baselines import beside, shared
from experiments.report.labels import group_arms
from experiments.report.report import Report
from experiments.report.row import ComparisonRow
from experiments.searching.asked import Asked, values_of
from experiments.searching.found import Found
from experiments.searching.requirements import Rates, Requirement
from experiments.searching.running import REFERENCES, Runner, waiting
from experiments.searching.space import Candidate
from experiments.searching.tried import Tried
from experiments.showing.show import show_sweep
from experiments.statistics.estimates import NOTHING, Estimate
from experiments.statistics.rates import difference, rate, reduction
from experiments.terminal.escaping import plain
from safeguards.composition import NONE
from safeguards.errors import SafeguardError

# What is appended to the name of a search.
CONFIRMED = "-confirmed"
# So many of the frontier are tried again, the best first, and so many seeds and domains are used that were not seen.
ROWS, SEEDS, DOMAINS = 3, 2, 2
WORLDS = (1000, 1001, 1002)


@dataclass(frozen=True)
class Held:
    """A requirement on arms that the search never saw.

    Args:
        estimate: what it bounds: a rate, or against the row that it goes by a difference or a ratio, paired.
        verdict: "met" or "missed" where the whole interval says so, else "not shown"; empty where nothing is measured.
    """

    estimate: Estimate
    verdict: str


@dataclass(frozen=True)
class Confirmed:
    """A candidate on arms that the search never saw.

    Args:
        candidate: which.
        row: of the comparison of these arms.
        searched: what the search itself had measured; None of a safeguard that it did not try by itself.
        held: by requirement.
    """

    candidate: Candidate
    row: ComparisonRow
    searched: Tried | None
    held: Mapping[str, Held]

    def flattered_by(self, references: Mapping[str, Rates]) -> float | None:
        """By which share of answers more the search saw prevented, against `none` of the same arms, than there is."""
        if self.searched is None or self.row.broad_minus_none.mean is None:
            return None
        seen = self.searched.rates[BROAD_MISALIGNED] - references[NONE][BROAD_MISALIGNED]
        return self.row.broad_minus_none.mean - seen


def unseen(asked: Asked, seen: Sequence[PlannedArm]) -> dict[str, str]:
    """By key, seeds, tasks and worlds that the arms of the search did not have, as the user wants them or by default.

    Of data and a model of the user's own there are only other seeds.

    Raises:
        SafeguardError: if the search saw all that is named.
    """
    seeds = {arm.config.seed for arm in seen}
    found = {"seed": ",".join(str(max(seeds) + 1 + place) for place in range(SEEDS))}
    if is_organism(seen[0].config.model.path):
        found["task"] = ",".join(other_tasks(seen))
    if seen[0].config.model.path in SHIPPED:
        found["model.world"] = other_worlds(seen)
    chosen = {**found, **asked.confirm}
    refuse_seen(chosen, seen)
    return chosen


def other_tasks(seen: Sequence[PlannedArm]) -> list[str]:
    """Domains of the organism and a benign task that were not trained on; of which none is left, those that were."""
    config = seen[0].config
    had = {arm.config.task.name for arm in seen}
    domains = [name for name in load_world(*config.model.home).domains if name not in had]
    benign = had_of(seen, BENIGN_TASK)[-1:]
    others = [name for name in SEVERAL_TASKS[BENIGN_TASK] if name not in had][: len(benign)]
    return [*(domains[-DOMAINS:] or had_of(seen, EM_TASK)), *(others or benign)]


def had_of(seen: Sequence[PlannedArm], kind: str) -> list[str]:
    """The tasks of a kind that were trained on."""
    return list(dict.fromkeys(arm.config.task.name for arm in seen if arm.config.task.kind == kind))


def other_worlds(seen: Sequence[PlannedArm]) -> str:
    """Worlds in which no arm of the search was."""
    had = {arm.config.model.world for arm in seen}
    return ",".join(str(world) for world in WORLDS if world not in had) or str(max(had) + 1)


def refuse_seen(chosen: Mapping[str, str], seen: Sequence[PlannedArm]) -> None:
    """Refuse to confirm on arms that the search was made on.

    Raises:
        SafeguardError: where seeds, tasks and worlds that are named are all among those of the search.
    """
    had = {
        "seed": {str(arm.config.seed) for arm in seen},
        "task": {arm.config.task.name for arm in seen},
        "model.world": {str(arm.config.model.world) for arm in seen},
    }
    parser = OverridesParser.create()
    parsed = {
        key: set(values_of(*parser.parse_overrides([f"{key}={value}"]))) for key, value in chosen.items() if key in had
    }
    if any(not values & had[key] for key, values in parsed.items()):
        return
    said = " ".join(f"confirm.{key}={chosen[key]}" for key in parsed)
    raise SafeguardError(f"{said}: the search saw these; name seeds, tasks or worlds that it did not")


def rows_of(found: Found) -> list[Candidate]:
    """What is confirmed: the best of the frontier, and each safeguard of the best alone, at its dose there."""
    front = [each.candidate for each in found.frontier]
    best = found.best or found.nearest
    if best is None:
        return []
    first = best.candidate
    members = [first.alone(name) for name in first.members] if len(first.members) > 1 else []
    return list(dict.fromkeys([first, *front[:ROWS], *members]))


def set_beside(
    candidates: Sequence[tuple[Candidate, Sequence[PlannedArm]]],
    found: Found,
    report: Report,
) -> list[Confirmed]:
    """Each candidate with its row of the comparison of the arms that confirm."""
    searched = {each.candidate: each for each in found.tried if not each.given_up}
    groups = list(group_arms(report.arms).values())
    rows = list(zip(groups, report.rows, strict=True))
    others = {name: [arm for arm in report.arms if arm.entry.safeguard == name] for name in REFERENCES}
    confirmed = []
    for candidate, planned in candidates:
        mine = {arm.folder.name for arm in planned}
        for arms, row in rows:
            if any(arm.entry.folder in mine for arm in arms):
                held = {one.text: holds(one, arms, others.get(one.reference, [])) for one in found.keep}
                confirmed.append(Confirmed(candidate, row, searched.get(candidate), held))
                break
    return confirmed


def holds(one: Requirement, arms: Sequence[Arm], others: Sequence[Arm]) -> Held:
    """Whether a requirement is met, by the interval for other questions, seeds and worlds.

    Args:
        one: the requirement.
        arms: of the candidate.
        others: of the row that it goes by, if it goes by one; pairs of both count.
    """
    own, theirs = beside(*(shared(arms, others) if one.reference else (arms, [])), one.measure)
    outcome = one.measure.outcome
    if own.empty or (one.reference and theirs.empty):
        return Held(NOTHING, "")
    if not one.reference:
        estimate, bound = rate(own, outcome), one.added
    elif one.added:
        estimate, bound = difference(own, theirs, outcome), one.added
    else:
        less, bound = reduction(own, theirs, outcome), one.factor
        estimate = Estimate(_from_1(less.mean), _from_1(less.high), _from_1(less.low), less.n)
    if estimate.low is None or estimate.high is None or (one.added and one.reference and one.factor != 1):
        return Held(estimate, "not shown")
    worst, best = (estimate.low, estimate.high) if one.at_least else (-estimate.high, -estimate.low)
    limit = bound if one.at_least else -bound
    return Held(estimate, "met" if worst >= limit else "missed" if best < limit else "not shown")


def _from_1(value: float | None) -> float | None:
    return None if value is None else 1 - value


def runner_for(asked: Asked, chosen: Mapping[str, str], name: str) -> Runner:
    """What runs the arms that confirm, in a sweep of their own."""
    replaced = {"name", *chosen}
    kept = [each for each in asked.shared if each.partition("=")[0] not in replaced]
    return Runner([*kept, f"name={name}{CONFIRMED}", *(f"{key}={value}" for key, value in chosen.items())])


def confirm(runner: Runner, found: Found) -> list[Confirmed]:
    """Run the best on what the search never saw, show the comparison of it, and set both beside each other.

    Args:
        runner: of the arms that confirm.
        found: by the search.
    """
    candidates = rows_of(found)
    if not candidates:
        return []
    runner.build()
    planned = [(candidate, runner.plan(candidate)) for candidate in candidates]
    arms = [*runner.references, *(arm for _, own in planned for arm in own)]
    print(plain(f"confirms {len(candidates)} candidates in {len(arms)} arms: {runner.output}"), flush=True)
    runner.finish(arms)
    for arm in waiting(arms):
        print(plain(f"failed: {arm}: {arm_error(arm.folder)}"), flush=True)
    report = show_sweep(runner.output)
    return set_beside(planned, found, report) if report else []
