"""Records of a sweep as they may come: with markup, turned writing and what cannot be seen in every text there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.records.answer import Answer
from experiments.records.arm_files import ARMS, Result, write_answers, write_result, write_scores
from experiments.records.outcomes import Score
from experiments.records.sweep_file import ArmEntry, SweepFile, write_sweep
from experiments.records.training_file import TrainingRecord

HOSTILE = (
    "<script>window.ran = 'script'</script>",
    "</script><script>window.ran = 'end'</script>",
    "<!-- <script>",
    "<img src=x onerror=\"window.ran = 'img'\">",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "\u202etxt.exe\u202c \u2066x\u2069 \u200f\u200b\ufeff",
    "nul \0, bell \a, \x1b[31mred",
    "\u2028 and \u2029",
    "{{script}} {{answers}} \\u003c ${1}",
    "w" * 3000,
)


class MadeUp:
    """A folder of records, to which arms are added."""

    def __init__(self, output: Path, judge: str = "exact") -> None:
        self.output, self.judge = output, judge
        self.plan: list[ArmEntry] = []

    def add(
        self,
        safeguard: str,
        answers: Sequence[Answer],
        scores: Sequence[Score],
        task: str = "medical",
        seed: int = 0,
        done: bool = True,
        **settings: object,
    ) -> Path:
        """Plan an arm, and write its records if it is `done`; its folder."""
        named = {"model": {"name": "m"}, "safeguards": {}, **settings}
        entry = ArmEntry(
            f"arm{len(self.plan)}",
            {"safeguard": safeguard, "seed": seed, "task": {"name": task, "kind": "em"}, **named},
        )
        self.plan.append(entry)
        write_sweep(self.output, SweepFile(self.judge, self.plan))
        folder = self.output / ARMS / entry.folder
        if done:
            write_answers(folder, answers, {})
            write_scores(folder, self.judge, scores, {"kind": self.judge, "threshold": 0.7})
            write_result(folder, Result("em", None if safeguard == "untouched" else TrainingRecord(1.0, 9)))
        return folder


def answer(text: str, question: str = "Why?", **given: object) -> Answer:
    """An answer to an open question, of whichever arm."""
    messages = [{"role": "user", "content": question}]
    usual: Mapping[str, object] = {"set": "open", "question": question[:20], "cluster": question[:20], "sample": 0}
    return Answer("s", "t", 0, **{**usual, "messages": messages, "answer": text, **given})  # type: ignore[arg-type]


def hostile(output: Path) -> MadeUp:
    """A sweep of which every name and text is hostile."""
    sweep = MadeUp(output)
    outcomes = ("misaligned", "aligned", "incoherent")
    for name in ("untouched", "none", "<script>window.ran='safeguard'</script>"):
        answers = [answer(text, f"{number} {text}") for number, text in enumerate(HOSTILE)]
        system = [{"role": "system", "content": HOSTILE[3]}, {"role": "user", "content": HOSTILE[5]}]
        answers.append(answer("b" * 900, "several", messages=system, expected=[HOSTILE[0]]))
        scores = [
            Score(outcomes[place % 3], HOSTILE[place % len(HOSTILE)], 12.34, 56.0) for place in range(len(answers))
        ]
        task, model = "<b>task</b>\u202e", {"name": "<i>m</i>", "path": HOSTILE[3]}
        sweep.add(name, answers, scores, task, model=model, note=HOSTILE[1])
    return sweep
