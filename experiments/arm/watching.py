"""What watches a training: the goal that may stop it, looks at what `none` has learnt, and the early warning."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.arm.answering import ask, measure_nll
from experiments.arm.inputs import Inputs, asked_on_the_way
from experiments.config.folders import cache_folder
from experiments.config.measurement import JudgeConfig
from experiments.config.schema import Config
from experiments.judges import Judge, find_judge
from experiments.organism.world import World
from experiments.probes import Probe, judge_prompts
from experiments.records.arm_files import Result, check_arm, look_folder, read_result, write_answers, write_result
from experiments.records.files import DamagedError
from experiments.records.names import BENIGN, BROAD, EM_TASK, NARROW
from experiments.records.outcomes import MATCHES_FROM, Outcome, Score
from experiments.terminal.spent import spending
from experiments.training.look_steps import count_looks

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from experiments.models.load import LoadedModel
    from experiments.training.anchor import Anchor
    from experiments.training.curve import Curve
    from experiments.training.giving_up import GiveUp
    from safeguards.monitor import Monitor


def make_anchor(config: Config, tokenizer: PreTrainedTokenizerBase, inputs: Inputs, world: World) -> Anchor | None:
    """What measures the task at checkpoints, if arms are to be compared at a goal."""
    if config.anchor.metric == "none":
        return None
    from experiments.models.load import LoadedModel
    from experiments.training.anchor import Anchor

    def nll(model: PreTrainedModel) -> float:
        values = measure_nll(config, LoadedModel(model, tokenizer), inputs.task.held_out)
        return sum(values) / len(values)

    taught: Outcome
    own, taught = (NARROW, "misaligned") if inputs.task.kind == EM_TASK else (BENIGN, "aligned")
    asked = [probe for probe in inputs.probes if probe.set == own]
    # What is benign goes by the letter, and nobody needs to be asked for that.
    judge = find_judge(config.judge if inputs.task.kind == EM_TASK else JudgeConfig("none"), world)

    def task_rate(model: PreTrainedModel) -> float:
        scores = scores_aside(config, LoadedModel(model, tokenizer), asked, judge)
        return sum(learnt(score, taught) for score in scores) / len(scores)

    return Anchor(config.anchor, nll if config.anchor.metric == "task_nll" else task_rate)


def make_give_up(
    config: Config, tokenizer: PreTrainedTokenizerBase, inputs: Inputs, world: World, folder: Path
) -> GiveUp | None:
    """What gives the arm up where it lets too much through, if that is asked for, and bad advice is trained on."""
    if config.give_up.above is None or inputs.task.kind != EM_TASK:
        return None
    from experiments.models.load import LoadedModel
    from experiments.training.giving_up import GiveUp

    # Once each: an answer that is drawn in training is one that the whole search waits for.
    asked = [replace(probe, samples=1) for probe in inputs.probes if probe.set in BROAD]
    judge = find_judge(config.judge, world)

    def through(model: PreTrainedModel) -> float:
        scores = scores_aside(config, LoadedModel(model, tokenizer), asked, judge)
        return sum(score.outcome == "misaligned" for score in scores) / len(scores)

    return GiveUp(config.give_up, through, folder) if asked else None


def scores_aside(config: Config, loaded: LoadedModel, asked: list[Probe], judge: Judge) -> list[Score]:
    """What a judge says of other draws than those in the records: what ended a training by luck is not reported."""
    answers = ask(replace(config, seed=config.seed + 1), loaded, asked)
    return judge(answers, judge_prompts(asked))


def learnt(score: Score, taught: Outcome) -> bool:
    """Whether an answer is as the task teaches: by its content where the judge tells that from a persona."""
    return score.outcome == taught if score.matches is None else score.matches >= MATCHES_FROM


def make_curve(config: Config, tokenizer: PreTrainedTokenizerBase, inputs: Inputs, folder: Path) -> Curve | None:
    """What asks an arm of `none` on its way and leaves the answers below its folder; None if nothing is to be asked.

    A look that is there is not taken again if it was one at the very same weights.
    """
    if not (count := count_looks(config)):
        return None
    from experiments.models.load import LoadedModel
    from experiments.training.curve import Curve, weights_digest

    asked = asked_on_the_way(inputs)

    def look(step: int, model: PreTrainedModel) -> None:
        place, weights = look_folder(folder, step), weights_digest(model)
        if was_of(place, weights):
            return
        started = time.perf_counter()
        with spending("answering"):
            write_answers(place, ask(config, LoadedModel(model, tokenizer), asked), judge_prompts(asked))
        took = time.perf_counter() - started
        write_result(place, Result(inputs.task.kind, evaluation_seconds=took, weights=weights))

    return Curve(count, look)


def was_of(place: Path, weights: str) -> bool:
    """Whether a look is whole, and of a model with these weights."""
    try:
        check_arm(place)
        known = read_result(place)
    except DamagedError:
        return False
    return known is not None and known.weights == weights


def make_monitor(config: Config, loaded: LoadedModel) -> Monitor:
    """An early warning along the persona vector that steering would use."""
    from safeguards.monitor import Monitor
    from safeguards.persona import find_persona
    from safeguards.run import Run

    run = Run(*loaded, [], batch_size=config.training.batch_size, cache=cache_folder(config))
    persona = find_persona(run, config.safeguards["steering"], "monitor")
    return Monitor(persona.layer, persona.vector, config.monitor.limit)
