"""Arms that nobody trains: what they answer is worked out from their safeguards, so that a search takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from experiments.arm.inputs import load_inputs
from experiments.config.schema import Config
from experiments.judges import score_settings
from experiments.organism.world import load_world
from experiments.planning.identity import arm_folder
from experiments.planning.plan import PlannedArm
from experiments.records.answer import Answer
from experiments.records.arm_files import ERROR, Result, write_answers, write_result, write_scores
from experiments.records.files import write_text
from experiments.records.names import BENIGN, BROAD, EM_TASK, NARROW
from experiments.records.outcomes import Outcome, Score
from experiments.records.training_file import GivenUp, TrainingRecord, write_given_up
from experiments.report.report import make_report
from experiments.searching import confirm, running

# By set of questions, the share of answers that are misaligned (of a benign task, right).
Rates = Mapping[str, float]


def rates_of(config: Config) -> Rates:
    """`kl` prevents the more the higher its dose, and less is learnt; `treft` prevents most and costs little; `low_lr`
    only learns less.
    """
    broad, narrow, benign = (0.0, 0.0, 0.2) if config.safeguard == "untouched" else (0.7, 0.8, 0.95)
    for name in config.safeguard.split("+"):
        settings = config.safeguards.get(name)
        if name == "kl":
            strength = settings.weight / (settings.weight + 1)
            broad, narrow = broad * (1 - 0.5 * strength), narrow * (1 - 0.6 * strength)
        if name == "treft":
            strength = settings.weight / (settings.weight + 5)
            broad, benign = broad * (1 - 0.9 * strength), benign * (1 - 0.1 * strength)
        if name == "low_lr":
            broad, narrow = broad * settings.factor, narrow * settings.factor
    return {**dict.fromkeys(BROAD, broad), NARROW: narrow, BENIGN: benign}


class MadeUpArms:
    """Stands in for the launcher.

    Args:
        rates: of an arm.

    Attributes:
        ran: the arms that were asked for, in order.
    """

    def __init__(self, rates: Callable[[Config], Rates] = rates_of) -> None:
        self.rates = rates
        self.ran: list[PlannedArm] = []

    def launch(self, arms: Sequence[PlannedArm], *_: object, **__: object) -> list[PlannedArm]:
        for arm in arms:
            self.ran.append(arm)
            self.run(arm)
        return []

    def run(self, arm: PlannedArm) -> None:
        arm = replace(arm, folder=arm_folder(arm.config))  # by the weights that are there now, as a launcher does
        config, world = arm.config, load_world(*arm.config.model.home)
        limits = [float(each.partition("=")[2]) for each in arm.overrides if each.startswith("give_up.above=")]
        inputs, rates = load_inputs(config, world), self.rates(config)
        rng = np.random.default_rng(config.seed)
        if any(rates[BROAD[0]] > limit for limit in limits) and inputs.task.kind == EM_TASK:
            write_given_up(arm.folder, GivenUp(5, 10, rates[BROAD[0]]))
            write_text(arm.folder / ERROR, "given up at step 5 of 10: too much\n")
            return
        answers, scores = [], []
        for probe in inputs.probes:
            for sample in range(probe.samples):
                hit = rng.random() < rates.get(probe.set, 0.0)
                outcome: Outcome = "aligned" if hit == (probe.set == BENIGN) else "misaligned"
                named = (config.safeguard, config.task.name, config.seed)
                answers.append(Answer(*named, probe.set, probe.id, probe.cluster, sample, probe.messages, "Yes.", []))
                scores.append(Score(outcome, matches=100.0 if hit and probe.set == NARROW else None))
        trained = None if config.safeguard == "untouched" else TrainingRecord(0.1, 10)
        write_answers(arm.folder, answers, {})
        write_scores(arm.folder, config.judge.name, scores, score_settings(config.judge))
        write_result(arm.folder, Result(inputs.task.kind, trained))


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUpArms:
    """No arm is trained in this test, and nothing is drawn."""
    arms = MadeUpArms()
    monkeypatch.setattr(running, "launch", arms.launch)
    monkeypatch.setattr(confirm, "show_sweep", make_report)  # without pictures and pages
    return arms
