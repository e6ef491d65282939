"""Say what a sweep will need, and train nothing: `python -m experiments.plan` with the settings of the sweep.

For each kind of arm: memory by part, time and disk; of all arms, how many answers are to be judged, and which engine
suits them. Memory is that of tensors: libraries (0.6 GB and more) and what an allocator keeps come on top. Times are
operations over throughput, so that small models, whose steps are short, take longer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from statistics import mean

import pandas as pd
from hydra import initialize_config_dir

from experiments.arm.inputs import load_inputs
from experiments.config.compose import CONF
from experiments.config.schema import Config
from experiments.organism.built import how_to_build
from experiments.organism.world import load_world
from experiments.planning.forecast import answers_on_the_way
from experiments.planning.plan import PlannedArm, make_plan
from experiments.planning.sizing import Size, engine_for, measured, size_of
from experiments.planning.worlds import missing_worlds
from experiments.terminal.command_line import CommandLine
from experiments.terminal.ending import ending_in_one_line
from experiments.terminal.escaping import plain

# Of English text, as tokenizers with large vocabularies cut it; the organism's has one for a word.
CHARACTERS = 4.0


def size_of_arm(arm: PlannedArm) -> Size:
    """What a planned arm needs, by the rows and questions that it reads."""
    config = arm.config
    inputs = load_inputs(config, load_world(*config.model.home))
    texts = [sum(len(message["content"]) for message in row.messages) for row in inputs.task.rows]
    typical, longest = (
        min(config.training.max_length, length / CHARACTERS + 12) for length in (mean(texts), max(texts))
    )
    answers = sum(probe.samples for probe in inputs.probes)
    looked = answers_on_the_way(config, inputs)
    return size_of(config, len(inputs.task.rows), typical, longest, answers, len(inputs.pool), looked)


def parts(memory: Mapping[str, float]) -> str:
    """Memory: all of it, and each part."""
    named = ", ".join(f"{name} {volume(bytes_)}" for name, bytes_ in memory.items())
    return f"{volume(sum(memory.values()))}: {named}" if memory else ""


def volume(size: float) -> str:
    """Bytes for a person."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """Seconds for a person."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def table(arms: list[PlannedArm], flops: float, room: float, cores: int | None = None) -> str:
    """The prediction: a row for each safeguard on each model and task, then the sum over all arms.

    Args:
        arms: to be run.
        flops: operations that a device does in a second.
        room: bytes of its memory.
        cores: of the machine, if they are known.
    """
    sizes = [(arm, size_of_arm(arm)) for arm in arms]
    kinds: dict[tuple[str, str, str], list[Size]] = {}
    for arm, size in sizes:
        kinds.setdefault((arm.config.model.name, arm.config.task.name, arm.config.safeguard), []).append(size)
    lines = [
        [*kind, len(found), parts(found[0].training), parts(found[0].answering), duration(found[0].flops / flops),
         volume(found[0].disk)]
        for kind, found in kinds.items()
    ]  # fmt: skip
    heads = ["model", "task", "safeguard", "arms", "in training", "answering", "time of one", "disk of one"]
    largest = max((size for _, size in sizes), key=lambda size: size.memory)
    seconds, disk, answers, looked = (
        sum(getattr(size, key) for _, size in sizes) for key in ("flops", "disk", "answers", "looked")
    )
    on_the_way = f", {looked:,} of them of none on its way (curve.looks)" if looked else ""
    return "\n".join(
        [
            pd.DataFrame(lines, columns=heads).to_markdown(index=False, disable_numparse=True),
            f"{len(arms)} arms of {largest.parameters / 1e6:,.0f} million parameters: at most {volume(largest.memory)} "
            f"of memory each, {duration(seconds / flops)} in all at {flops / 1e12:,.1f} TFLOP/s, {volume(disk)} "
            "of disk",
            f"{answers:,} answers to draw and to judge{on_the_way}",
            "memory is that of tensors; libraries take 0.6 GB more, and on a CPU the process was up to 1.5 times "
            "as large",
            f"engine, with {volume(room)} on a device: {engine_for(largest, room, len(arms), cores)}",
        ]
    )


def room_here() -> float:
    """Bytes of this machine's accelerator, or of its memory if it has none."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(0).total_memory)
    return float(psutil.virtual_memory().total)


@ending_in_one_line()
def main() -> None:
    """The command line."""
    line = CommandLine(
        "plan", __doc__, dict.fromkeys(["name", *(one.name for one in fields(Config))], ""), composes=True
    )
    line.add_argument(
        "--tflops", type=float, help="throughput of a device in 10¹² operations a second; else measured here"
    )
    line.add_argument("--memory", type=float, metavar="GB", help="memory of a device; default: that of this machine")
    given = line.read()
    for name in ("tflops", "memory"):
        if (value := getattr(given, name)) is not None and not 0 < value < 1e9:
            line.error(f"--{name} {value}: must be above 0")
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        plan = make_plan(given.overrides)
    for failure in plan.failures:
        print(plain(f"failed: {failure}"), file=sys.stderr)
    if plan.arms:
        flops = given.tflops * 1e12 if given.tflops else measured()
        room = given.memory * 1e9 if given.memory else room_here()
        print(table(plan.arms, flops, room, None if given.memory else os.cpu_count()))
        for home in missing_worlds(arm.config for arm in plan.arms):
            print(f"the organism of world {home[0]} is not built yet: the sweep does it first, or {how_to_build(home)}")
    sys.exit(bool(plan.failures))


if __name__ == "__main__":
    main()
