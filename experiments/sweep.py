"""Compare safeguards: `python -m experiments.sweep safeguard=kl,interleave_ppl`.

What a sweep consists of is planned in `experiments.planning.plan`; the story of one arm is `experiments.arm.run`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import MutableMapping, Sequence
from contextlib import redirect_stdout
from dataclasses import fields

from hydra import initialize_config_dir

from experiments.config.compose import CONF
from experiments.config.folders import output_folder
from experiments.config.help import group_help, overview
from experiments.config.schema import Config
from experiments.planning.baseline import check_baseline, check_sweep, read_baseline, take_over
from experiments.planning.engines import BASIC, engine_of
from experiments.planning.forecast import Forecast, forecast_by_steps
from experiments.planning.launch import launch
from experiments.planning.outline import outline
from experiments.planning.plan import Plan, PlannedArm, describe, make_plan
from experiments.planning.power import announce
from experiments.planning.readiness import refuse_unready
from experiments.planning.state import arm_error, is_done, misses_only_scores
from experiments.planning.worlds import build_worlds, missing_worlds
from experiments.records.locks import locked
from experiments.records.sweep_file import join_sweep
from experiments.terminal.command_line import CommandLine
from experiments.terminal.ending import AGAIN, TERMINATED, ending_in_one_line
from experiments.terminal.escaping import plain
from experiments.terminal.spent import in_shares, timed
from experiments.training.together import check_shared, check_started, follow, is_first, leading, processes


def sweep(arguments: list[str]) -> int:
    """Run the arms that are not done yet with Hydra's launcher, then compare all; the number of failures.

    Raises:
        SafeguardError: if nothing can be written where the results belong.
    """
    started = time.perf_counter()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        plan = reported_plan(arguments)
        if not plan.worth_running:
            return len(plan.failures)
        check_shared(plan.values.hydra.runtime.choices["hydra/launcher"], [arm.config.training for arm in plan.arms])
        config, configs = plan.arms[0].config, [arm.config for arm in plan.arms]
        output, judge, baseline = output_folder(config), config.judge.name, read_baseline(config.baseline)
        check_baseline(baseline, plan.arms, config.baseline)
        seconds: defaultdict[str, float] = defaultdict(float)
        if worlds := missing_worlds(configs):
            ready(plan, plan.arms)
            check_sweep(baseline, output)
            with locked(output, "worlds"), timed() as spent:  # so whether anything can be written there is known, too
                build_worlds(worlds)
            seconds["preparing"] += sum(spent.values())
            plan = make_plan(arguments)  # weights, which are known only now, are part of an arm's name
        arms, claims = [describe(arm) for arm in plan.arms], config.claims
        taken = take_over(baseline, plan.arms, output) if baseline.sweep else []
        waiting = [arm for arm in plan.arms if not is_done(arm)]
        announced = ready(plan, waiting)
        join_sweep(output, judge, arms, baseline.safeguard, claims)
        if taken:
            origin = plain(f"{len(taken)} arms are taken over from {output.parent / baseline.sweep}")
            print(f"{origin}; step times against them compare two runs, maybe of two machines", flush=True)
        print(f"{len(plan.arms)} arms, {len(plan.arms) - len(waiting)} of them done already", flush=True)
        if to_score := sum(map(misses_only_scores, waiting)):
            print(f"{to_score} arms are trained and have answers, but not every score: only these are made", flush=True)
        if announced:
            print(announced, flush=True)
        seconds["rest"] += time.perf_counter() - started - sum(seconds.values())
        run(plan, waiting, seconds)
    launched = time.perf_counter()
    from experiments.showing.show import show_sweep

    with locked(output, "comparison"):
        join_sweep(output, judge, arms, baseline.safeguard, claims)  # again: another command may have come in between
        show_sweep(output, send=True)
    seconds["rest"] += time.perf_counter() - launched
    if seconds["training"] + seconds["answering"]:
        print(in_shares(seconds), flush=True)
    unfinished = [f"{arm}: {arm_error(arm.folder)}" for arm in plan.arms if not is_done(arm)]
    for failure in unfinished:
        print(plain(f"failed: {failure}"), file=sys.stderr)
    return len(plan.failures) + len(unfinished)


def ready(plan: Plan, waiting: Sequence[PlannedArm]) -> str:
    """Refuse arms that wait to be run and cannot be; what to announce of them.

    Raises:
        SafeguardError: as `refuse_unready`.
    """
    configs = [arm.config for arm in plan.arms]
    refuse_unready(plan, waiting)
    return announce(configs) if waiting or configs[0].pilot else ""


def run(plan: Plan, waiting: Sequence[PlannedArm], seconds: MutableMapping[str, float]) -> None:
    """Run arms, those that other processes run meanwhile as well, once it is said how long that will take.

    To `seconds` is added on what their time was spent.
    """
    forecast = Forecast(plan.arms)
    told = forecast.line() if waiting else ""
    if waiting and not told and engine_of(plan.values) == BASIC and processes() == 1:
        with timed() as spent:
            told = forecast_by_steps(waiting)
        seconds["preparing"] += sum(spent.values())
    if told:
        print(told, flush=True)
    saving = any(arm.config.training.checkpoint_steps for arm in plan.arms)
    survives = saving and engine_of(plan.values) == BASIC  # the other launchers end their workers, or leave them
    with ending_in_one_line(terminated_by=AGAIN if survives else TERMINATED):
        if elsewhere := launch(waiting, plan.values, seconds, forecast=forecast):
            print(f"waits for {len(elsewhere)} arms that another process runs", flush=True)
            launch(elsewhere, plan.values, seconds, wait=True)


def show(arguments: list[str], what: str, package: str) -> int:
    """Print what the same command without `--cfg` would run; the number of failures."""
    with redirect_stdout(sys.stderr), initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        plan = reported_plan(arguments)
    if plan.arms:
        print(outline(plan, what, package), end="")
    return len(plan.failures)


def reported_plan(arguments: list[str]) -> Plan:
    """The plan of a sweep, once what there is to say about it is printed."""
    plan = make_plan(arguments)
    for note in plan.notes:
        print(note, flush=True)
    for failure in plan.failures:
        print(plain(f"failed: {failure}"), file=sys.stderr)
    return plan


@ending_in_one_line()
def main() -> None:
    """The command line. Exits with status 1 if an arm failed, 130 after Ctrl-C and 143 after SIGTERM (75 with
    `training.checkpoint_steps`, where arms run and save one first)."""
    line = CommandLine("sweep", None, dict.fromkeys(["name", *(one.name for one in fields(Config))], ""), composes=True)
    add = line.add_argument
    add("--cfg", "-c", choices=("job", "hydra", "all"), help="show what would be run and its settings, and run nothing")
    add("--package", "-p", default="", metavar="KEY", help="of that, only what is below a key, such as training")
    add("--resolve", action="store_true", help=argparse.SUPPRESS)  # it always is
    add("--multirun", "-m", action="store_true", help=argparse.SUPPRESS)  # it always is
    given = line.read()
    if given.help is not None:
        line.description, line.epilog = overview(), None
        is_group = given.help and "=" not in given.help
        print(group_help(given.help) if is_group else line.format_help())
        return
    if not given.cfg and (given.package or given.resolve):
        line.error("--package, --resolve: say only how to show a configuration; add --cfg job")
    check_started()
    if not is_first():
        if not given.cfg:
            follow()
        return
    if given.cfg:
        failures = show(given.overrides, given.cfg, given.package)
    else:
        with leading():
            failures = sweep(given.overrides)
    sys.exit(min(1, failures))


if __name__ == "__main__":
    main()
