"""How often the intervals of tables hold the truth: `python -m experiments.coverage simulations=1000`.

Simulates answers whose true rates are known, over a grid of questions, seeds and rates, in three worlds of questions,
and makes of them the very intervals that tables have. Prints every cell: of 95 % intervals, in %, how many hold the
truth, and in brackets how many lie below and above it; and of several arms that are equal to `none`, how often any is
said to differ from it; of chances to be on the frontier, how often they come true. A thousand simulations take over an
hour on two cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

from tqdm.auto import tqdm

from experiments.statistics import tradeoff_simulation
from experiments.statistics.simulation import (
    ANSWERS,
    WORLDS,
    Coverage,
    Design,
    any_coverage,
    difference_coverage,
    family_wise_error,
    rate_coverage,
)
from experiments.terminal.command_line import CommandLine
from experiments.terminal.ending import ending_in_one_line
from safeguards.errors import SafeguardError

SEEDS, QUESTIONS, RATES = (3, 5), (8, 24, 36), (0.002, 0.005, 0.05, 0.5)
PAIRS = ((0.002, 0.002), (0.005, 0.005), (0.05, 0.05), (0.5, 0.5), (0.005, 0.001), (0.05, 0.01), (0.5, 0.2))
KS = (4, 16, 64)
ARMS, FAMILY_RATES = 9, (0.001, 0.002, 0.005, 0.05, 0.5)
# What is simulated, with the heading of each column and how its cell is made from a design.
Make = partial[Coverage]


def columns(simulations: int) -> dict[str, list[tuple[str, float, Make]]]:
    """By what is estimated: heading, rate, and what simulates a cell."""
    rates = [(f"{100 * rate:g} %", rate, partial(rate_coverage, simulations=simulations)) for rate in RATES]
    pairs = [
        (f"{100 * one:g} − {100 * other:g} %", one, partial(difference_coverage, other=other, simulations=simulations))
        for one, other in PAIRS
    ]
    several = [
        (f"any of {k} at {100 * rate:g} %", rate, partial(any_coverage, k=k, simulations=simulations))
        for k, rate in product(KS, RATES)
    ]
    return {"rates": rates, "differences": pairs, "any": several}


def cells(what: str, simulations: int) -> Iterator[tuple[str, int, int, str, Callable[[], Coverage]]]:
    """World, seeds, questions, heading and the work of every cell."""
    for world, seeds, questions in product(WORLDS, SEEDS, QUESTIONS):
        for heading, rate, make in columns(simulations)[what]:
            k = make.keywords.get("k", 0)
            design = Design(questions, seeds, rate, world, max(ANSWERS, k))
            yield world, seeds, questions, heading, partial(make, design)


def shown(found: Coverage) -> str:
    """A cell."""
    return f"{100 * found.held:.1f} ({100 * found.below:.0f}, {100 * found.above:.0f})"


def print_grid(what: str, simulations: int, pool: ProcessPoolExecutor) -> None:
    """A table of every cell, a row per world, number of seeds and number of questions."""
    asked = list(cells(what, simulations))
    waiting = [pool.submit(work) for *_, work in asked]
    found = [shown(each.result()) for each in tqdm(waiting, what, disable=None)]
    headings = list(dict.fromkeys(heading for _, _, _, heading, _ in asked))
    print(f"\n| {what} | seeds | questions | {' | '.join(headings)} |\n|:--|--:|--:|{'--:|' * len(headings)}")
    for place in range(0, len(asked), len(headings)):
        world, seeds, questions, *_ = asked[place]
        print(f"| {world} | {seeds} | {questions} | {' | '.join(found[place : place + len(headings)])} |", flush=True)


def print_family(simulations: int, pool: ProcessPoolExecutor) -> None:
    """How often any of several arms equal to `none` is said to differ."""
    waiting = [
        pool.submit(family_wise_error, Design(36, 3, rate, world), ARMS, simulations)
        for world, rate in product(WORLDS, FAMILY_RATES)
    ]
    found = [f"{100 * each.result():.1f}" for each in tqdm(waiting, "family", disable=None)]
    print(f"\n| any of {ARMS} arms found | {' | '.join(f'{100 * rate:g} %' for rate in FAMILY_RATES)} |")
    print(f"|:--|{'--:|' * len(FAMILY_RATES)}")
    for place, world in enumerate(WORLDS):
        row = found[place * len(FAMILY_RATES) : (place + 1) * len(FAMILY_RATES)]
        print(f"| {world} | {' | '.join(row)} |", flush=True)


@ending_in_one_line()
def main() -> None:
    """The command line."""
    what = ("rates", "differences", "any", "family", "frontier")
    line = CommandLine(
        "coverage",
        __doc__,
        {"simulations": "of every cell; default: 1000", "what": f"some of {','.join(what)}; default: all"},
    )
    given = line.read().settings
    count, chosen = given.get("simulations", "1000"), given.get("what", ",".join(what)).split(",")
    if not count.isdecimal() or int(count) < 1:
        raise SafeguardError(f"simulations={count}: must be a whole number, at least 1")
    if unknown := [name for name in chosen if name not in what]:
        raise SafeguardError(f"what={unknown[0]}: must be some of {','.join(what)}")
    os.environ["OMP_NUM_THREADS"] = "1"  # one process per core does the work
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name in chosen:
            if name == "family":
                print_family(int(count), pool)
            elif name == "frontier":
                print(*tradeoff_simulation.tables(int(count), pool), sep="\n")
            else:
                print_grid(name, int(count), pool)


if __name__ == "__main__":
    main()
