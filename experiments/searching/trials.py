"""The candidates of a search, in a journal that several processes and machines share: what was tried, what comes next.

Optuna keeps the journal and chooses (TPE for several objectives with constraints: Ozaki et al. 2022, JAIR 73, Watanabe
and Hutter 2023, IJCAI). A process that was killed leaves its candidate to the next one.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from experiments.records.locks import locked
from experiments.records.measures import Measure
from experiments.searching.requirements import KNOWN
from experiments.searching.space import Candidate, Space
from experiments.searching.tried import Tried
from safeguards.errors import SafeguardError
from safeguards.files import writing

JOURNAL = "search.journal"
# What cannot act together is far from whatever is required.
IMPOSSIBLE = 1000.0


class Trials:
    """What was tried of a search, and what is to be tried next.

    Args:
        folder: of the search.
        space: what is chosen from.
        goals: measures, and whether more of each is better.

    Raises:
        SafeguardError: if nothing can be written there, or the journal cannot be read.
    """

    def __init__(self, folder: Path, space: Space, goals: Sequence[tuple[Measure, bool]]) -> None:
        self.folder, self.space, self.goals = folder, space, goals
        self.held: dict[int, ExitStack] = {}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", module="optuna")
        with writing(folder / JOURNAL), locked(folder, "search"):
            try:
                storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
                self.study = optuna.create_study(
                    storage=storage,
                    study_name="search",
                    directions=["maximize" if more else "minimize" for _, more in goals],
                    load_if_exists=True,
                )
            except (ValueError, KeyError, AssertionError) as error:
                raise SafeguardError(
                    f"{folder / JOURNAL}: cannot be read; take another name=…, or delete it: the arms stay"
                ) from error
            begun = len(self.study.trials)
            self.study.sampler = optuna.samplers.TPESampler(
                seed=begun,
                n_startup_trials=len(space.safeguards),
                multivariate=True,
                group=True,
                constant_liar=True,
            )

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Start with every safeguard alone at its usual dose; or go on, and take up what nobody does any more.

        Args:
            asked: all that makes another search of it, if it changes, by key.

        Raises:
            SafeguardError: naming what was asked for otherwise when the search was begun.
        """
        with locked(self.folder, "search"):
            known = self.study.user_attrs.get("asked")
            if known is None:
                self.study.set_user_attr("asked", dict(asked))
                for name in self.space.safeguards:
                    self.study.enqueue_trial(self.space.usual(name))
            else:
                self._refuse_other(known, asked)
            for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
                self._take_up(trial)

    def _refuse_other(self, known: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        for key in dict.fromkeys([*known, *asked]):
            if json.dumps(known.get(key)) != json.dumps(asked.get(key)):
                raise SafeguardError(
                    f"{self.folder}: its search was begun with {in_words(key, known.get(key))}, not with "
                    f"{in_words(key, asked.get(key))}; go on with that, or take another name=…"
                )

    def _take_up(self, trial: FrozenTrial) -> None:
        """Have a candidate tried again whose process has ended."""
        with locked(self.folder, f"candidate-{trial.number}", wait=False) as mine:
            if mine:
                self.study.tell(trial.number, state=TrialState.FAIL)
                self.study.enqueue_trial(trial.params)

    def ask(self) -> tuple[Trial, Candidate]:
        """The next candidate, which is ours until it is told of."""
        while True:
            with locked(self.folder, "search"):
                trial = self.study.ask()
                candidate = self.space.suggest(trial)
                if candidate is not None:
                    self.held[trial.number] = ExitStack()
                    self.held[trial.number].enter_context(locked(self.folder, f"candidate-{trial.number}"))
                    trial.set_user_attr("safeguard", candidate.safeguard)
                    trial.set_user_attr("settings", list(candidate.settings))
                    return trial, candidate
                trial.set_constraint("together", IMPOSSIBLE)
                self.study.tell(trial, state=TrialState.PRUNED)

    def tell(self, trial: Trial, came: Tried) -> None:
        """What came of a candidate, as `ask` gave it."""
        trial.set_user_attr("arms", came.arms)
        trial.set_user_attr("rates", {measure.key: rate for measure, rate in came.rates.items()})
        trial.set_user_attr("missed", dict(came.missed))
        trial.set_user_attr("given_up", came.given_up)
        self._end(trial, came)

    def repeat(self, trial: Trial, before: Tried) -> None:
        """The sampler came up with what was tried before: it is told again what came of it, and that is all."""
        self._end(trial, before)

    def _end(self, trial: Trial, came: Tried) -> None:
        for text, missed in came.missed.items():
            trial.set_constraint(text, missed)
        if came.given_up:
            trial.set_constraint("given up", 1.0)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, [came.rates[measure] for measure, _ in self.goals])
        self.held.pop(trial.number).close()

    @property
    def tried(self) -> list[Tried]:
        """All candidates that are done with, by whatever process."""
        done = (TrialState.COMPLETE, TrialState.PRUNED)
        trials = [trial for trial in self.study.get_trials(states=done) if "rates" in trial.user_attrs]
        return [as_tried(trial.number, trial.user_attrs) for trial in trials]

    @property
    def arms(self) -> int:
        """How many arms were run for candidates, by whatever process."""
        return sum(each.arms for each in self.tried)


def as_tried(number: int, known: Mapping[str, Any]) -> Tried:
    """What the journal has of a candidate."""
    return Tried(
        number,
        Candidate(known["safeguard"], tuple(known["settings"])),
        known["arms"],
        {KNOWN[key]: rate for key, rate in known["rates"].items()},
        known["missed"],
        known["given_up"],
    )


def in_words(key: str, value: Any) -> str:
    """What was asked for under a key, as it is typed."""
    if value is None:
        return f"no {key}"
    return f"{key}={json.dumps(value) if isinstance(value, dict | list) else value}"
