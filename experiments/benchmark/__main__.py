"""The command line: `python -m experiments.benchmark`.

Every safeguard trains on the same rows as TRL's plain `SFTTrainer`, in turns because a machine's speed drifts; each
turn is one epoch. Printed as ratios to the plain trainer:

* time: of an epoch over the same fine-tuning rows, against the plain trainer in the same round: the median of the
  rounds, and the lowest and highest. That includes the looks that prove an effect, at steps 2, 4, 8, … and the last: of
  a short epoch many steps, of a long one few.
* step: the median step, which has no such look, against that of the plain trainer.
* ideal: what the passes that were made have to cost. Tokens that go forward and backward cost what they cost the plain
  trainer, those that only go forward the share that is measured for a bare forward pass in the same rounds.
* memory: the peak of what tensors hold, weights included, from the first step on (`PeakMemory` says how).
* reference: passes of the aligned reference per training pass.

And perplexity scoring: rows per second in batches against one row at a time.

Measure on an idle machine; if it was not, that is said below the tables, with what others used of its cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from experiments.organism import SHIPPED
from experiments.records.files import write_json
from experiments.terminal.ending import ending_in_one_line
from safeguards.composition import NONE, parse, registry
from safeguards.errors import SafeguardError
from safeguards.files import writing
from safeguards.rows import read_rows

if TYPE_CHECKING:
    from experiments.benchmark.bench import Ratios
    from experiments.benchmark.scoring import Scoring

# On another model than the organism: what needs neither misaligned scorers nor a persona that passes its gate.
ANYWHERE = ("kl", "ldifs", "kl+ldifs", "interleave", "safegrad")
# Settings of a sweep that this command decides, or has no use for.
NOT_READ = ("name", "safeguard", "training.epochs", "training.proof", "wandb", "report_to", "log_adapter")


def tables(costs: list[Ratios], scores: list[Scoring]) -> str:
    """Both tables in Markdown."""
    shown = [
        {
            "safeguard": row.safeguard,
            "time": f"{row.time:.2f}× [{row.time_low:.2f}, {row.time_high:.2f}]",
            "step": f"{row.step:.2f}×",
            "ideal": f"{row.ideal:.2f}×",
            "time / ideal": f"{row.time_to_ideal:.2f}",
            "memory": f"{row.memory:.2f}×",
            "reference": f"{row.reference_passes:.1f}",
        }
        for row in costs
    ]
    plain = costs[0]
    caption = (
        f"{plain.safeguard}: {plain.seconds:.2f} s per epoch, {plain.memory_bytes / 2**20:.0f} MiB; "
        f"one extra forward pass: +{plain.forward_share:.2f}×; rounds: {plain.rounds}"
    )
    scored = [
        {
            "rows scored": f"{row.set} ({row.rows})",
            "rows/s": f"{row.rows_per_second:.0f}",
            "one at a time": f"{row.rows_per_second_alone:.0f}",
            "speed-up": f"{row.rows_per_second / row.rows_per_second_alone:.1f}×",
            "same ranking": "yes" if row.same_ranking else f"no, {row.largest_difference:.2g} nats apart",
            "padding": f"{100 * row.padding:.1f} %",
            "logits per answer token": f"{row.logits_per_answer_token:.2f}",
        }
        for row in scores
    ]
    parts = [pd.DataFrame(shown).to_markdown(index=False), caption, pd.DataFrame(scored).to_markdown(index=False)]
    return "\n\n".join(parts)


def refuse(chosen: argparse.Namespace) -> None:
    """Refuse what cannot be measured, and a file that cannot be written, before anything is.

    Raises:
        SafeguardError: naming switch, setting or file.
    """
    for key in ("steps", "rounds", "length"):
        if (number := getattr(chosen, key)) is not None and number < 1:
            raise SafeguardError(f"--{key} {number}: must be at least 1")
    for text in chosen.overrides:
        key, equals, _ = text.partition("=")
        if not equals:
            raise SafeguardError(f"{text!r}: settings are given as key=value, such as training.batch_size=1")
        if key.lstrip("+~") in NOT_READ:
            raise SafeguardError(f"{key}: is not read here; leave it away (safeguards are named by --safeguards)")
    if not chosen.minutes > 0:
        raise SafeguardError(f"--minutes {chosen.minutes:g}: must be above 0")
    if chosen.json:
        with writing(chosen.json):
            chosen.json.parent.mkdir(parents=True, exist_ok=True)
            chosen.json.open("a").close()


@ending_in_one_line("nothing is kept")
def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", default="organism", help="organism[_one], qwen2.5-0.5b-shape (random weights), a folder or hub name")
    add("--safeguards", help="as in a sweep, such as kl,kl+ldifs (default: every safeguard and kl+ldifs)")
    add("--steps", type=int, default=16, help="steps of the plain trainer in one epoch (default: 16)")
    add("--rounds", type=int, default=5, help="epochs of each trainer that are timed (default: 5)")
    add("--minutes", type=float, default=12, help="fewer rounds, but one, if these would take longer (default: 12)")
    add("--length", type=int, help="make every row so many tokens long (default: leave them)")
    add("--rows", type=Path, action="append", default=[], metavar="FILE", help="score this JSONL of chat rows, too")
    add("--json", type=Path, metavar="FILE", help="write all numbers to this file")
    add("overrides", nargs="*", help="settings as in a sweep, such as training.batch_size=1")
    chosen = parser.parse_args(given)
    everything = [*registry(), "kl+ldifs"] if chosen.model in SHIPPED else ANYWHERE
    expressions = chosen.safeguards.split(",") if chosen.safeguards else everything
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the record of allocations announces itself below that
    refuse(chosen)
    for expression in expressions:
        parse(expression)
    sets = {file.name: read_rows(file) for file in chosen.rows}

    from experiments.benchmark.bench import Bench
    from experiments.benchmark.idleness import Others, caution
    from experiments.benchmark.meters import now
    from experiments.benchmark.scoring import measure_scoring

    others, deadline = Others(), now() + 60 * chosen.minutes
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(chosen.model, chosen.steps, chosen.length, chosen.overrides, Path(folder))
        costs = bench.measure([NONE, *(name for name in expressions if name != NONE)], chosen.rounds, deadline)
    training = bench.config.training
    loaded = bench.load()
    scores = [
        measure_scoring(name, loaded, rows, 4 * training.batch_size, training.max_length)
        for name, rows in {"pool": bench.pool, **sets}.items()
    ]
    busy = others.share()
    print(tables(costs, scores))
    if line := caution(busy):
        print(f"\n{line}")
    if chosen.json:
        measured = {"costs": [row._asdict() for row in costs], "scoring": [row._asdict() for row in scores]}
        found = {**measured, "others": busy}
        write_json(chosen.json, found)


if __name__ == "__main__":
    main()
