"""Kill a sweep at random moments, run it again, and compare: `python tests/kill.py [KILLS]`. Not part of the suite.

Whatever the moment, the next run must give byte for byte the records of a sweep that nobody killed (but for times), in
as many files, and leave nothing half-written behind.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [
    sys.executable, "-m", "experiments.sweep", "safeguard=kl+interleave_ppl", "task=medical", "seed=0",
    "probes.sets=[open]", "probes.samples=1", "wandb=disabled", "training.epochs=0.2", "scorers.epochs=0.1",
    "scorers.count=1", "training.proof=warn", "curve.looks=2",
]  # fmt: skip
TIMES = ("seconds", "step_seconds", "evaluation_seconds", "train_runtime", "train_samples_per_second")
TIMES += ("train_steps_per_second", "step_time_ratio")
PICTURES = (".png", ".md", ".html")  # tell the times


def run(folder: Path, seconds: float | None = None) -> bool:
    """Run the sweep to its end, or kill it with all its children after so many seconds; whether it ended by itself."""
    log = (folder / "log").open("a")
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # PEFT writes down sets in their order
    process = subprocess.Popen(COMMAND, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        if process.wait(seconds):
            sys.exit(f"{folder / 'log'}: the sweep failed")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    return True


def contents(folder: Path) -> dict[str, object]:
    """Every file below the outputs, without what tells times; locks are not records."""
    found: dict[str, object] = {}
    for path in sorted((folder / "outputs").rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or ".locks" in name or path.suffix in PICTURES:
            continue
        if path.suffix in (".json", ".jsonl"):
            found[name] = (
                [timeless(json.loads(line)) for line in path.read_text().splitlines()]
                if path.suffix == ".jsonl"
                else timeless(json.loads(path.read_text()))
            )
        else:
            found[name] = path.read_bytes()
    return found


def timeless(value: object) -> object:
    """JSON without its times."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in TIMES}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def main() -> None:
    """The command line: how many kills (default: 5)."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as place:
        plain = Path(place) / "plain"
        plain.mkdir()
        started = time.monotonic()
        run(plain)
        lasts = time.monotonic() - started
        expected = contents(plain)
        print(f"without a kill: {len(expected)} files in {lasts:.0f} s", flush=True)
        moments = random.Random(0)
        for number in range(kills):
            folder = Path(place) / str(number)
            folder.mkdir()
            seconds = moments.uniform(0.1, 1.0) * lasts
            ended = run(folder, seconds)
            run(folder)
            came = contents(folder)
            differing = sorted(name for name in {*expected, *came} if expected.get(name) != came.get(name))
            print(f"{seconds:5.1f} s{' (had ended)' * ended}: {differing or 'equal'}", flush=True)
            if differing:
                sys.exit(1)


if __name__ == "__main__":
    main()
