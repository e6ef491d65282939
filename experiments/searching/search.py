"""The story of a search: baselines, then candidate after candidate, until the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from experiments.planning.engines import at_once
from experiments.planning.forecast import in_words
from experiments.planning.plan import PlannedArm
from experiments.records.measures import BROAD_MISALIGNED
from experiments.searching.asked import Asked
from experiments.searching.requirements import Rates, Requirement, objectives
from experiments.searching.running import Runner, place_of, stages, waiting, why_not_done
from experiments.searching.space import Candidate, Range, Space, ranges_of
from experiments.searching.tried import Tried
from experiments.terminal.escaping import plain
from safeguards.composition import NONE, nearest, registry
from safeguards.errors import SafeguardError

if TYPE_CHECKING:
    from optuna import Trial

    from experiments.searching.trials import Trials

# A candidate that misses a requirement by more than this share of answers on the tasks that are trained on first is not
# tried on the benign ones. Less may be chance.
FAR = 0.1
# After so many candidates in a row that were tried before, there is nothing left to try.
MOST_REPEATED = 30
# More than any budget of minutes has candidates.
MANY = 10**6


class Search:
    """A search that may be one of several processes of the same.

    Args:
        asked: what is searched.

    Attributes:
        runner: of its arms.
        space: what is chosen from.
        keep: what is required, as far as it can be measured.
        goals: measures, and whether more of each is better.
        references: once they are run, the rates of `none` and `untouched`.

    Raises:
        SafeguardError: for what cannot be searched so, before any arm is run.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked, self.started = asked, time.perf_counter()
        self.runner = Runner(asked.shared, asked.safeguards)
        usable = {name for arm in self.runner.planned for name in arm.config.safeguard.split("+")}
        if (asked.named and self.runner.failures) or not usable:
            raise SafeguardError(self.runner.failures[0])
        for failure in self.runner.failures:
            print(plain(f"left out: {failure}"), flush=True)
        config = self.runner.references[0].config
        names = tuple(name for name in asked.safeguards if name in usable)
        ranges = {name: ranges_of(registry()[name], config.safeguards[name], asked.typed) for name in names}
        refuse_unsearched(asked.typed, ranges)
        self.space = Space(names, min(asked.most, len(names)), ranges)
        self.keep = self._measurable()
        self.goals = objectives(self.keep)
        self.measures = [measure for measure, _ in self.goals]
        self.of_candidate = self._arms_of_a_candidate()
        self.limits: dict[Candidate, dict[tuple[str, int], float]] = {}

    def _arms_of_a_candidate(self) -> int:
        per = len([arm for arm in self.runner.references if arm.config.safeguard == NONE])
        if self.asked.budget.arms is not None and self.asked.budget.arms < per:
            raise SafeguardError(
                f"budget={self.asked.budget.arms}: is less than one candidate, which has {per} arms (tasks × seeds × "
                "worlds); name more, or fewer of these"
            )
        return per

    def _measurable(self) -> list[Requirement]:
        """What is required, as far as it can be measured: some need bad advice to be trained on, others a benign task.

        Raises:
            SafeguardError: if what was typed cannot.
        """
        broken, benign = stages(self.runner.references)
        if not broken:
            raise SafeguardError("task: has benign tasks alone, after which nothing breaks; name one that does, too")
        without = [one for one in self.asked.keep if one.measure.benign and not benign]
        if without and self.asked.required:
            raise SafeguardError(f"keep={without[0].text}: no task is benign; name one, too (task=medical,style)")
        for one in without:
            print(f"{one.text} is not asked for, since no task is benign: name one, too (task=medical,style)")
        return [one for one in self.asked.keep if one not in without]

    def run(self, trials: Trials) -> None:
        """Try candidates until the budget is spent."""
        self.runner.build()
        self.runner.finish(self.runner.references)
        if why := why_not_done(self.runner.references):
            raise SafeguardError(f"{NONE}, to which all is compared: {why}")
        self.references = self.runner.of_references(self.measures)
        for one in self.keep:
            one.bound(self.references)  # raises, before any candidate is run
        print(f"{NONE}: {in_rates(self.references[NONE])}", flush=True)
        while self._has_room(trials):
            if not (fresh := self._ask(trials)):
                print("whatever comes up was tried already: the search ends", flush=True)
                return
            self._try(trials, fresh)
            print(self._forecast(trials), flush=True)

    def _has_room(self, trials: Trials) -> bool:
        budget = self.asked.budget
        if budget.arms is not None:
            return trials.arms + self.of_candidate <= budget.arms
        return time.perf_counter() - self.started < 60 * (budget.minutes or 0.0)

    def _forecast(self, trials: Trials) -> str:
        budget, passed = self.asked.budget, time.perf_counter() - self.started
        best = best_of(trials.tried)
        so_far = f"; best so far: {best.candidate}" if best else ""
        if budget.arms is None:
            left = max(0.0, 60 * (budget.minutes or 0.0) - passed)
            return plain(f"{len(trials.tried)} candidates; about {in_words(left)} left{so_far}")
        own = max(1, self.runner.run)
        left = passed / own * max(0, budget.arms - trials.arms)
        return plain(f"{trials.arms} of {budget.arms} arms; at most {in_words(left)} left{so_far}")

    def _ask(self, trials: Trials) -> list[tuple[Trial, Candidate]]:
        """As many candidates as this machine runs arms at once, none of which was tried before."""
        count = at_once(self.runner.values, max(1, (self.asked.budget.arms or MANY) // self.of_candidate))
        fresh: list[tuple[Trial, Candidate]] = []
        for _ in range(count + MOST_REPEATED):
            known = {each.candidate: each for each in trials.tried}
            trial, candidate = trials.ask()
            if before := known.get(candidate):
                trials.repeat(trial, before)
            else:
                fresh.append((trial, candidate))
            if len(fresh) == count:
                break
        return fresh

    def _try(self, trials: Trials, asked: Sequence[tuple[Trial, Candidate]]) -> None:
        """Run the arms of candidates: those that show what is let through, then of what is not hopeless the others."""
        best = best_of(trials.tried)
        limits = self._limits(best)
        planned: dict[int, list[PlannedArm]] = {}
        given_up: dict[int, str] = {}
        for trial, candidate in asked:
            try:
                planned[trial.number] = [limited(arm, limits) for arm in self.runner.plan(candidate)]
            except SafeguardError as error:
                given_up[trial.number], planned[trial.number] = str(error), []
        ran = dict.fromkeys(planned, 0)
        for stage in (0, 1):
            arms = {number: stages(own)[stage] for number, own in planned.items() if number not in given_up}
            for number, own in arms.items():
                ran[number] += len(waiting(own))
            self.runner.finish(arm for own in arms.values() for arm in own)
            for number, own in arms.items():
                if why := why_not_done(own) or (self._hopeless(own, best) if stage == 0 else ""):
                    given_up[number] = why
        for trial, candidate in asked:
            rates = self.runner.rates(planned[trial.number], self.measures)
            missed = missed_by(self.keep, rates, self.references)
            came = Tried(trial.number, candidate, ran[trial.number], rates, missed, given_up.get(trial.number, ""))
            trials.tell(trial, came)
            print(plain(f"candidate {trial.number + 1}, {told(came)}"), flush=True)

    def _limits(self, best: Tried | None) -> dict[tuple[str, int], float]:
        """By task and world, the share of misaligned answers above which an arm is given up: half-way up to none.

        Tasks and worlds differ by more than most safeguards do, so that one limit for all would spare what is worst.
        """
        if best is None:
            return {}
        if best.candidate not in self.limits:
            none = [arm for arm in self.runner.references if arm.config.safeguard == NONE]
            own, theirs = (self.runner.by_place(arms) for arms in (self.runner.plan(best.candidate), none))
            self.limits[best.candidate] = {place: (own[place] + theirs[place]) / 2 for place in own.keys() & theirs}
        return self.limits[best.candidate]

    def _hopeless(self, arms: Sequence[PlannedArm], best: Tried | None) -> str:
        """Why a candidate is not worth its benign arms; empty if it is."""
        rates = self.runner.rates(arms, self.measures)
        through = rates.get(BROAD_MISALIGNED, 0.0)
        limit = (best.rates[BROAD_MISALIGNED] + self.references[NONE][BROAD_MISALIGNED]) / 2 if best else 1.0
        if through > limit:
            return f"{100 * through:.0f} % broad misaligned, more than {100 * limit:.0f} %"
        for one in self.keep:
            if one.measure in rates and (short := one.missed_by(rates, self.references)) > FAR:
                return f"misses {one.text} by {100 * short:.0f} points"
        return ""


def refuse_unsearched(typed: Mapping[str, Range | None], ranges: Mapping[str, Sequence[Range]]) -> None:
    """Refuse settings that are to be tried and cannot be.

    Raises:
        SafeguardError: for a setting of a safeguard that is not searched, or that there is not.
    """
    for key, own in typed.items():
        _, name, setting = key.split(".")[:3]
        if name not in ranges:
            raise SafeguardError(f"{key}: is of a safeguard that is not searched; name it in safeguard=…, too")
        if own and all(one.key != key for one in ranges[name]):
            known = [one.name for one in fields(registry()[name].Settings)]
            raise SafeguardError(f"unknown key {key!r}: {nearest(setting, known)}")


def limited(arm: PlannedArm, limits: Mapping[tuple[str, int], float]) -> PlannedArm:
    """An arm that is given up above the limit of its task and world, if there is one."""
    limit = limits.get(place_of(arm))
    return arm if limit is None else replace(arm, overrides=[*arm.overrides, f"give_up.above={limit:.3g}"])


def told(came: Tried) -> str:
    """What came of a candidate, in a line."""
    line = f"{came.candidate}: {in_rates(came.rates)}"
    if came.given_up:
        return f"{line}; given up: {came.given_up}"
    short = [f"{text} by {100 * value:.1f} points" for text, value in came.missed.items() if value > 0]
    return f"{line}; {'misses ' + ', '.join(short) if short else 'meets all'}"


def in_rates(rates: Rates) -> str:
    """Rates, in a line."""
    said = [f"{measure.words} {100 * rate:.1f} %" for measure, rate in rates.items()]
    return ", ".join(said) or "nothing measured"


def missed_by(keep: Sequence[Requirement], rates: Rates, references: Mapping[str, Rates]) -> dict[str, float]:
    """By requirement, by which share of answers it is missed, as far as it was measured."""
    return {one.text: one.missed_by(rates, references) for one in keep if one.measure in rates}


def best_of(tried: Sequence[Tried]) -> Tried | None:
    """What lets least through of what meets all requirements."""
    return min((each for each in tried if each.meets_all), key=lambda each: each.rates[BROAD_MISALIGNED], default=None)


def nearest_of(tried: Sequence[Tried]) -> Tried | None:
    """What misses least of what was tried to the end, else of what was measured; of these, what lets least through."""
    known = [each for each in tried if BROAD_MISALIGNED in each.rates]
    whole = [each for each in known if not each.given_up] or known
    return min(whole, key=lambda each: (each.short, each.rates[BROAD_MISALIGNED]), default=None)
