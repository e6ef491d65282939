"""Trackers that cannot end an arm: what goes wrong in one is said in one line, and it is left out from then on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from experiments.config.schema import MLFLOW, TENSORBOARD, WANDB
from experiments.terminal.escaping import hidden, plain
from experiments.tracking.content import Content, Run, Tracker
from experiments.tracking.record import Tracking
from experiments.tracking.to_mlflow import MLflow
from experiments.tracking.to_tensorboard import TensorBoard
from experiments.tracking.to_wandb import Wandb
from safeguards.errors import one_line

KINDS: dict[str, Callable[[Tracking, Run], Tracker]] = {WANDB: Wandb, TENSORBOARD: TensorBoard, MLFLOW: MLflow}


class Guarded:
    """All trackers of a run as one. Nothing is sent where there are none.

    Args:
        name: of the run, for what goes wrong.
        begin: where it is tracked, and the run; None if it is not.
    """

    def __init__(self, name: str, begin: Callable[[], tuple[Tracking, Run] | None]) -> None:
        self.name = name
        self.trackers: dict[str, Tracker] = {}
        begun = None
        with self._guarded("tracking"):
            begun = begin()
        if begun is None:
            return
        for kind in begun[0].trackers:
            with self._guarded(kind):
                self.trackers[kind] = KINDS[kind](*begun)

    def curve(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of the curves, at a step of the training."""
        self._each(lambda tracker: tracker.curve(step, numbers))

    def send(self, read: Callable[[], Content]) -> None:
        """What is known at the end, which is read only if there is anybody to send it to."""
        if not self.trackers:
            return
        with self._guarded("tracking"):
            content = read()
            self._each(lambda tracker: tracker.send(content))

    def close(self, failed: bool) -> None:
        """The end, for now."""
        self._each(lambda tracker: tracker.close(failed))
        self.trackers.clear()

    def _each(self, ask: Callable[[Tracker], None]) -> None:
        for kind, tracker in list(self.trackers.items()):
            with self._guarded(kind):
                ask(tracker)

    @contextmanager
    def _guarded(self, kind: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            print(
                plain(f"  {kind} leaves {self.name} out: {hidden(one_line(error))} (its records are kept)"), flush=True
            )
            if broken := self.trackers.pop(kind, None):
                with suppress(Exception):
                    broken.close(failed=True)
