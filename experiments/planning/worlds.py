"""The organisms of the worlds that a sweep names: which are not there yet, and building them side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from statistics import mean
from typing import Any

from rich.console import Console
from rich.progress import Progress

from experiments.config.schema import Config
from experiments.organism.built import build_for, built_folder, built_place, is_built, recipe_of
from experiments.organism.recipe import Recipe
from experiments.organism.world import Home
from experiments.planning.engines import PATIENCE, THREADS, cores
from experiments.planning.forecast import in_words
from experiments.terminal.escaping import plain
from experiments.terminal.printing import in_tenths
from safeguards.errors import SafeguardError

# So many steps of each world are timed for the forecast; the first is not counted, since much is made ready in it.
TIMED = 33


def missing_worlds(configs: Iterable[Config]) -> list[Home]:
    """The worlds whose organism these arms need, as their model or its unaligned base, and that is not built yet."""
    needed: dict[Home, None] = {}
    for config in configs:
        named = [getattr(config.safeguards[safeguard.name], "base", "") for safeguard in config.named]
        if any(built_place(path, config.model.home) for path in (config.model.path, *named)):
            needed[config.model.home] = None
    return [home for home in needed if not is_built(home)]


def build_worlds(homes: Sequence[Home]) -> None:
    """Build the organisms of these worlds into the cache, a process for each core, and say how long that will take.

    Raises:
        SafeguardError: in one line, if one could not be built; the others are, and kept.
    """
    recipes = [recipe_of(home) for home in homes]
    at_once = min(len(recipes), max(1, cores() // _threads()))
    started, many = time.perf_counter(), _many(recipes)
    beside = f", {at_once} at a time" if 1 < at_once < len(recipes) else ""
    folder = built_folder(recipes[0]).parent
    print(f"builds {many} that no sweep had before, once{beside}, in {folder}", flush=True)
    console = Console()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        failed = _side_by_side(recipes, at_once, _Told(progress, recipes, at_once))
    if failed:
        raise SafeguardError("; ".join(failed))
    print(f"{many} built in {in_words(time.perf_counter() - started)}", flush=True)


def _threads() -> int:
    given = os.environ.get(THREADS, "")
    return max(1, int(given)) if given.isascii() and given.isdigit() else 1


def _many(recipes: Sequence[Recipe]) -> str:
    return f"{len(recipes)} worlds" if len(recipes) > 1 else _name(recipes[0])


def _name(recipe: Recipe) -> str:
    return f"world {recipe.world}" + f" of organism {recipe.organism}" * (recipe.organism != Recipe.organism)


def _side_by_side(recipes: Sequence[Recipe], at_once: int, told: _Told) -> list[str]:
    """Build them in processes of their own; a line for each that could not be built."""
    waiting, failed = list(recipes), []
    with _ending_with_us() as running:
        while waiting or running:
            while waiting and len(running) < at_once:
                ours, theirs = get_context("spawn").Pipe(duplex=False)
                recipe = waiting.pop(0)
                process = get_context("spawn").Process(
                    target=build_for, args=(theirs, recipe, built_folder(recipe)), daemon=True
                )
                process.start()
                theirs.close()
                running[ours] = recipe, process
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                recipe, process = running[connection]
                try:
                    message = connection.recv()
                except EOFError:
                    message = ("failed", f"its process ended with status {ended}") if (ended := _ended(process)) else ()
                    del running[connection]
                if message[:1] == ("failed",):
                    failed.append(f"{_name(recipe)} could not be built: {message[1]}")
                elif message:
                    told(recipe, *message)
    return failed


def _ended(process: BaseProcess) -> int | None:
    process.join()
    return process.exitcode


@contextmanager
def _ending_with_us() -> Iterator[dict[Connection, tuple[Recipe, Any]]]:
    """Processes by what they tell; if we are stopped, so are they, and what they have begun is removed."""
    running: dict[Connection, tuple[Recipe, Any]] = {}
    try:
        yield running
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join(PATIENCE)
            process.kill()


class _Told:
    """What processes tell, for the person at the terminal: bars or lines, and once a forecast."""

    def __init__(self, progress: Progress, recipes: Sequence[Recipe], at_once: int) -> None:
        self.progress, self.recipes, self.at_once = progress, recipes, at_once
        self.advance: dict[tuple[Recipe, str], Callable[[str], None]] = {}
        self.began: dict[Recipe, float] = {}
        self.steps: dict[Recipe, int] = {}
        self.seconds: dict[Recipe, float] = {}
        self.forecast = False

    def __call__(self, recipe: Recipe, what: str, *given: Any) -> None:
        """Take down one message, as `build_for` sends them."""
        if what == "waits":
            print(plain(f"{_name(recipe)}: another process builds it, and is waited for"), flush=True)
            return
        stage, steps, loss = given
        if (recipe, stage) not in self.advance:
            self.advance[recipe, stage] = self._advance(f"{_name(recipe)}, {stage}", steps)
        self.advance[recipe, stage](f"loss {loss:.3f}")
        self._time(recipe)

    def _advance(self, what: str, steps: int) -> Callable[[str], None]:
        if self.progress.disable:
            return in_tenths(what, steps)
        bar = self.progress.add_task(what, total=steps)
        return lambda state: self.progress.update(bar, advance=1, description=f"{what}, {state}")

    def _time(self, recipe: Recipe) -> None:
        """Say how long all will take, once the first that were begun have made some steps."""
        self.steps[recipe] = done = self.steps.get(recipe, 0) + 1
        if done == 1:
            self.began[recipe] = time.perf_counter()
        elif done == TIMED:
            self.seconds[recipe] = (time.perf_counter() - self.began[recipe]) / (TIMED - 1)
        if self.forecast or len(self.seconds) < min(len(self.began), self.at_once):
            return
        self.forecast = True
        every = self.recipes[0].pretraining.steps + self.recipes[0].alignment.steps
        step = mean(self.seconds.values())
        left = step * every * ceil(len(self.recipes) / self.at_once)
        self.progress.console.print(f"builds {_many(self.recipes)}: about {in_words(left)}, {step:.2f} s a step")
