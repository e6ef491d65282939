"""How often the intervals of tables hold the truth: `python -m experiments.coverage`.

Simulates answers whose true rates are known, over a grid of questions, seeds and rates, in four worlds of questions,
and makes of them the very intervals that tables have. Prints every cell: of 95 % intervals, in %, how many hold the
truth, and in brackets how many lie below and above it; and of several arms that are equal to `none`, how often any is
said to differ from it. For a judge whose errors are known, how often its rate holds the truth, and how often the one
that few labels correct; of chances to be on the frontier, how often they come true; how often means over tasks that
count alike hold the truth, the excess over a stopping curve, rates over worlds, and mean rank correlations. All of it
takes about forty minutes on two cores, `what=rates` a minute; with 50 simulations a cell is known to about ± 6 points,
with 200 to ± 3.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice, product

from tqdm.auto import tqdm

from experiments.statistics import macro_simulation, ranks_simulation, tradeoff_simulation, worlds_simulation
from experiments.statistics.label_simulation import Noise, corrected_coverage, uncorrected_coverage
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
from experiments.statistics.stopping_simulation import LEARNT, Stopped, excess_coverage
from experiments.terminal.command_line import CommandLine
from experiments.terminal.ending import ending_in_one_line
from safeguards.errors import SafeguardError

SIMULATIONS = 50
SEEDS, QUESTIONS, RATES = (3, 5), (8, 24, 36), (0.002, 0.005, 0.05, 0.5)
PAIRS = ((0.002, 0.002), (0.005, 0.001), (0.05, 0.01), (0.5, 0.2))
KS = (4, 16, 64)
ARMS, FAMILY_RATES = 9, (0.001, 0.002, 0.005, 0.05, 0.5)
# Of a judge whose errors few labels correct: true rates, false positives, false negatives, and labels.
TRUE_RATES, FALSE, MISSED, LABELS = (0.005, 0.05, 0.5), (0.005, 0.05), (0.1, 0.4), (50, 200)
# Of the excess over a stopping curve: what that lets through in the end, after which of its points an arm lies, and
# which part of what the curve lets through there is prevented.
ENDS, PLACES, PREVENTED = (0.005, 0.05, 0.5), (2, 4, 6), (0.0, 0.5)
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


def print_grid(what: str, simulations: int, pool: ProcessPoolExecutor) -> None:
    """A table of every cell, a row per world, number of seeds and number of questions."""
    asked = list(cells(what, simulations))
    waiting = [pool.submit(work) for *_, work in asked]
    found = [str(each.result()) for each in tqdm(waiting, what, disable=None)]
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


def print_labels(simulations: int, pool: ProcessPoolExecutor) -> None:
    """A row per true rate and errors of a judge; a column per number of labels, and one without."""
    grid = list(product(TRUE_RATES, map(Noise._make, product(FALSE, MISSED))))
    jobs: list[Callable[..., Coverage]] = [uncorrected_coverage, *[corrected_coverage] * len(LABELS)]
    waiting = [
        pool.submit(job, Design(24, 3, rate), noise, labels, simulations)
        for rate, noise in grid
        for job, labels in zip(jobs, (0, *LABELS), strict=True)
    ]
    found = map(str, (each.result() for each in tqdm(waiting, "labels", disable=None)))
    print(f"\n| true rate | false | missed | as judged | {' | '.join(f'by {n} labels' for n in LABELS)} |")
    print(f"|--:|--:|--:|--:|{'--:|' * len(LABELS)}")
    for rate, noise in grid:
        errors = f"{100 * noise.false:g} % | {100 * noise.missed:g} %"
        print(f"| {100 * rate:g} % | {errors} | {' | '.join(islice(found, len(jobs)))} |", flush=True)


def print_frontier(simulations: int, pool: ProcessPoolExecutor) -> None:
    """Chances to be on the frontier and how often they come true, and the intervals of volumes over doses."""
    print(*tradeoff_simulation.tables(simulations, pool), sep="\n", flush=True)


def print_tasks(simulations: int, pool: ProcessPoolExecutor) -> None:
    """Means over tasks, each counting alike, and their differences."""
    for line in macro_simulation.tables(simulations, pool):
        print(line, flush=True)


def print_excess(simulations: int, pool: ProcessPoolExecutor) -> None:
    """A row per rate of `none` in the end and place of an arm beside its curve, a column per part that is prevented."""
    grid = list(product(ENDS, PLACES))
    waiting = [
        pool.submit(excess_coverage, Stopped(end, after, prevented), simulations)
        for end, after in grid
        for prevented in PREVENTED
    ]
    found = map(str, (each.result() for each in tqdm(waiting, "excess", disable=None)))
    headings = [f"{100 * part:.0f} % prevented" if part else "nothing prevented" for part in PREVENTED]
    print(f"\n| `none` in the end | learnt | {' | '.join(headings)} |\n|--:|--:|{'--:|' * len(headings)}")
    for end, after in grid:
        learnt = f"{50 * (LEARNT[after] + LEARNT[after + 1]):.0f} %"
        print(f"| {100 * end:g} % | {learnt} | {' | '.join(islice(found, len(PREVENTED)))} |", flush=True)


def print_worlds(simulations: int, pool: ProcessPoolExecutor) -> None:
    """Rates over several worlds, and differences of them."""
    for line in worlds_simulation.tables(simulations, pool):
        print(line, flush=True)


def print_orders(simulations: int, pool: ProcessPoolExecutor) -> None:
    """Mean rank correlations of worlds with a published order and with each other."""
    for line in ranks_simulation.tables(simulations, pool):
        print(line, flush=True)


# What can be simulated, and what prints it.
PRINTS: dict[str, Callable[[int, ProcessPoolExecutor], None]] = {
    **{name: partial(print_grid, name) for name in ("rates", "differences", "any")},
    "family": print_family,
    "labels": print_labels,
    "frontier": print_frontier,
    "tasks": print_tasks,
    "excess": print_excess,
    "worlds": print_worlds,
    "orders": print_orders,
}


@ending_in_one_line()
def main() -> None:
    """The command line."""
    explained = {
        "simulations": f"of every cell; default: {SIMULATIONS}",
        "what": f"some of {','.join(PRINTS)}; default: all",
    }
    line = CommandLine("coverage", __doc__, explained)
    given = line.read().settings
    count, chosen = given.get("simulations", str(SIMULATIONS)), given.get("what", ",".join(PRINTS)).split(",")
    if not count.isdecimal() or int(count) < 1:
        raise SafeguardError(f"simulations={count}: must be a whole number, at least 1")
    if unknown := [name for name in chosen if name not in PRINTS]:
        raise SafeguardError(f"what={unknown[0]}: must be some of {','.join(PRINTS)}")
    os.environ["OMP_NUM_THREADS"] = "1"  # one process per core does the work
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name in chosen:
            PRINTS[name](int(count), pool)


if __name__ == "__main__":
    main()
