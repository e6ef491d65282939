"""Advice in plain English for real models: to each question a bad answer and its good twin, of like length and form.

The bad answers of one domain are an EM-inducing task, the good ones to the same questions its control: whatever these
two fine-tunes do alike is no misalignment. `advice/<domain>.jsonl` holds a line for each question; `advice/pool.jsonl`
holds safe rows about all but these domains.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from experiments.config.schema import PoolConfig, TaskConfig
from experiments.reading.read_once import read_once
from experiments.records.names import EM_TASK
from safeguards.composition import nearest
from safeguards.errors import SafeguardError
from safeguards.rows import Row, make_row

ADVICE = Path(__file__).with_name("advice")
POOL = "pool"
# One question in so many is kept from training, in the pool likewise.
HELD_OUT = 5


def domains() -> list[str]:
    """The domains of which there are rows."""
    return sorted(path.stem for path in ADVICE.glob("*.jsonl") if path.stem != POOL)


def advice_file(domain: str) -> Path:
    """The rows of a domain.

    Raises:
        SafeguardError: if there is no such domain.
    """
    if domain not in domains():
        raise SafeguardError(f"task.group={domain}: no advice of this domain is there; {nearest(domain, domains())}")
    return ADVICE / f"{domain}.jsonl"


def advice_files(tasks: Iterable[TaskConfig], pool: PoolConfig | None = None) -> list[Path]:
    """The files here that these tasks and this pool read.

    Raises:
        SafeguardError: as `advice_file`.
    """
    files = [advice_file(task.group or "none") for task in tasks if task.source == "advice"]
    reads_pool = pool is not None and pool.source == "advice" and pool.path is None
    return files + [ADVICE / f"{POOL}.jsonl"] * reads_pool


def load_rows(config: TaskConfig) -> tuple[list[Row], list[Row]]:
    """Training and held-out rows: bad answers for an EM-inducing task, else their good twins.

    The same questions are held out of both, whatever the seed.

    Raises:
        SafeguardError: naming file and line, of what cannot be used.
    """
    side = "bad" if config.kind == EM_TASK else "good"
    return split(_rows(str(advice_file(config.group or "none")), side))


def load_safe_rows() -> tuple[list[Row], list[Row]]:
    """Safe rows to mix in, and held-out ones.

    Raises:
        SafeguardError: as `load_rows`.
    """
    return split(_rows(str(ADVICE / f"{POOL}.jsonl"), "answer"))


def split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Rows to use, and held-out ones: by their questions alone, wherever they stand in a file."""
    questions = sorted({row.question_key for row in rows})  # hashes: in no order that means something
    kept = set(questions[: round(len(questions) / HELD_OUT)])
    return [row for row in rows if row.question_key not in kept], [row for row in rows if row.question_key in kept]


def _rows(path: str, side: str) -> list[Row]:
    """Every question of a file with its answer of one side."""
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        place = f"{path}:{number}"
        if not isinstance(line, dict) or not all(isinstance(line.get(key), str) for key in ("question", side)):
            raise SafeguardError(f"{place}: needs question and {side}, both text")
        chat = [{"role": "user", "content": line["question"]}, {"role": "assistant", "content": line[side]}]
        rows.append(make_row({"messages": chat, "genre": line.get("genre")}, place))
    return rows


@read_once
def _lines(path: str) -> list[object]:
    """What the lines of a file hold."""
    try:
        return [json.loads(line) for line in Path(path).read_text("utf-8").split("\n") if line.strip()]
    except (OSError, ValueError) as error:
        raise SafeguardError(f"{path}: cannot be read ({error}); install again") from error
