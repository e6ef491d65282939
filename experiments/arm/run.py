"""One arm, from its configuration to its records: load, fine-tune, ask, write; then judge.

torch and trl are imported inside, once everything that can be wrong with the configuration has been checked.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from experiments.arm.answering import ask, measure_nll
from experiments.arm.choosing import measure_choices
from experiments.arm.inputs import Inputs, load_inputs, measurable
from experiments.arm.watching import make_anchor, make_curve, make_give_up, make_monitor
from experiments.config.schema import Config
from experiments.judges import JUDGE_KEYS, find_judge, score_settings
from experiments.organism.world import World, load_world
from experiments.probes import judge_prompts
from experiments.records.arm_files import (
    Likelihoods,
    Result,
    judges_of,
    places_of,
    read_answers,
    read_prompts,
    read_result,
    write_answers,
    write_result,
    write_scores,
)
from experiments.records.checkpoint_file import remove_checkpoints
from experiments.records.drawn_file import remove_drawn
from experiments.records.files import write_text
from experiments.records.names import UNTOUCHED
from experiments.records.preferences import write_preferences
from experiments.records.training_file import Trained, TrainingRecord, read_training, write_training
from experiments.terminal.spent import spending
from experiments.tracking.arm import tracking_arm
from experiments.training.together import together
from experiments.training.trained import demand_proof, with_adapter
from safeguards.errors import SafeguardError
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from experiments.models.load import LoadedModel
    from experiments.tracking.guarded import Guarded


def run_arm(config: Config, folder: Path) -> None:
    """Fine-tune and ask, unless that is done already; then let every judge score the answers who has not yet.

    Raises:
        SafeguardError: if the configuration cannot be carried out, wherever possible before the model is loaded.
    """
    world = load_world(*config.model.home)
    judges = [find_judge(judge, world, key) for key, judge in zip(JUDGE_KEYS, config.judges, strict=False)]
    with tracking_arm(config, folder) as trackers:
        if read_result(folder) is None:
            fine_tune_and_ask(config, folder, world, trackers)
        for settings, judge in zip(config.judges, judges, strict=True):
            for place in places_of(folder):
                if settings.name in judges_of(place):
                    continue
                with spending("judging"):
                    scores = judge(list(read_answers(place)), read_prompts(place))
                write_scores(place, settings.name, scores, score_settings(settings))


def fine_tune_and_ask(config: Config, folder: Path, world: World, trackers: Guarded) -> None:
    """Fine-tune under the arm's safeguards, ask the probes, and leave the answers and the result in `folder`.

    Its curves go to the trackers while it trains.

    A training that is finished is not done again, such as where only its proof of effect was missing; one that is not,
    and answers that are drawn, go on from what is kept of them.
    """
    inputs = load_inputs(config, world)
    write_text(folder / "config.yaml", yaml.safe_dump(asdict(config), sort_keys=False))

    from experiments.models.lend import lend_model, refuse_changed_base
    from experiments.training.scorers import with_scorers

    trained = read_training(folder)
    # Scorers before the model, so that one model is in memory.
    safeguards = [] if trained else with_scorers(config)
    loaded = lend_model(config.model)
    inputs = measurable(inputs, loaded.tokenizer, config.training)
    result = Result(inputs.task.kind)
    if config.safeguard != UNTOUCHED:
        if trained:
            loaded = with_adapter(loaded, folder)
        else:
            remove_drawn(folder)
            loaded, trained = together(
                train, config, safeguards, folder, inputs, world, loaded=loaded, trackers=trackers
            )
            try:
                refuse_changed_base(f"safeguard={config.safeguard}, {folder}")
            except SafeguardError:
                remove_checkpoints(folder)  # else another run would go on from the end of this training
                raise
            write_training(folder, trained)
        remove_checkpoints(folder)
        demand_proof(trained.missing, config.training.proof)
        result = replace(result, training=trained.training, anchor=trained.anchor, looks=trained.looks)
    started = time.perf_counter()
    with spending("answering"):
        write_answers(folder, ask(config, loaded, inputs.probes, folder), judge_prompts(inputs.probes))
        if inputs.choices:
            write_preferences(folder, measure_choices(config, loaded, inputs.choices))
        held_out = {"task": inputs.task.held_out, "safe": inputs.safe_rows}
        nll = Likelihoods(**{name: measure_nll(config, loaded, rows) for name, rows in held_out.items()})
    write_result(folder, replace(result, nll=nll, evaluation_seconds=time.perf_counter() - started))
    remove_drawn(folder)


def train(
    config: Config,
    safeguards: list[Safeguard],
    folder: Path,
    inputs: Inputs,
    world: World,
    loaded: LoadedModel | None = None,
    trackers: Guarded | None = None,
) -> tuple[LoadedModel, Trained]:
    """Fine-tune under the safeguards, in all processes of a sweep; the model and the record of its training."""
    from experiments.models.lend import lend_model
    from experiments.tracking.curves import Curves
    from experiments.training.fine_tune import FineTune

    loaded = loaded or lend_model(config.model)
    started = time.perf_counter()
    anchor = make_anchor(config, loaded.tokenizer, inputs, world)
    with spending("preparing"):
        monitors = [make_monitor(config, loaded)] if config.monitor.on else []
        curves = [Curves(trackers, monitors)] if trackers else []
        callbacks = [*monitors, *curves]
        trainer = FineTune(config, loaded, folder, inputs.task.rows, inputs.pool, safeguards, callbacks)
    if anchor:
        anchor.attach(trainer)
    if give_up := make_give_up(config, loaded.tokenizer, inputs, world, folder):
        give_up.attach(trainer)
    curve = make_curve(config, loaded.tokenizer, inputs, folder)
    if curve:
        curve.attach(trainer)
    trainer.fine_tune()
    record = TrainingRecord(
        step_seconds=trainer.watch.median_step,
        steps=len(trainer.watch.step_seconds),
        seconds=time.perf_counter() - started + trainer.watch.seconds_before,
        rows=len(trainer.rows),
        trace=trainer.trace,
        notes=trainer.notes,
        gradient_shares=trainer.evidence.gradient_shares,
        monitor=[{"drift": monitor.history, "stopped": monitor.stopped} for monitor in monitors],
    )
    found = Trained(record, anchor.record if anchor else None, trainer.missing, curve.looked if curve else [])
    return loaded._replace(model=trainer.model), found
