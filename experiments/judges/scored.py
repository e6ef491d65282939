"""Which arms a judge has scored: one of the same name with other settings is another judge."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.config.measurement import COSTS, JudgeConfig
from experiments.judges.prompts import VERSION
from experiments.records.arm_files import judges_of, read_judge
from experiments.records.files import DamagedError
from safeguards.errors import SafeguardError

# Judges that are asked in words, and what says in their settings in which.
READERS, PROMPTS = ("openai", "local"), "prompts"


def score_settings(config: JudgeConfig) -> dict[str, Any]:
    """The settings that decide what a judge says."""
    settings = {name: value for name, value in asdict(config).items() if name not in COSTS}
    return {**settings, PROMPTS: VERSION} if config.kind in READERS else settings


def has_scored(folder: Path, config: JudgeConfig) -> bool:
    """Whether a judge has scored an arm already.

    Raises:
        SafeguardError: if one of that name has, but with other settings.
    """
    if config.name not in judges_of(folder):
        return False
    try:
        known = {PROMPTS: 1, **(read_judge(folder, config.name) or {})}
    except DamagedError:  # whoever scored it, these scores are to be made again
        return False
    for name, value in score_settings(config).items():
        if known.get(name, value) != value:
            done = f"{config.name} has scored {folder.name}"
            said = (
                f"{done} with older prompts" if name == PROMPTS else f"judge.{name}={value}: {done} with {known[name]}"
            )
            raise SafeguardError(
                f"{said}; name this judge by judge.label=…, or replace the scores by experiments.rescore … --again"
            )
    return True
