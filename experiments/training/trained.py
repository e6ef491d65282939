"""Going on from a finished training: with its adapter, and with what is missing of the proof of effect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.records.training_file import ADAPTER
from safeguards.errors import NoEffectError

if TYPE_CHECKING:
    from experiments.models.load import LoadedModel

# What a user of a sweep types to accept a safeguard without effect.
ACCEPT = "training.proof=warn"


def with_adapter(loaded: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the trained adapter of an arm, as it was in memory after training."""
    from peft import PeftModel

    return loaded._replace(
        model=PeftModel.from_pretrained(loaded.model, folder / ADAPTER, autocast_adapter_dtype=False)
    )


def demand_proof(missing: list[str], proof: str) -> None:
    """Refuse, tell or accept that a proof of effect is missing.

    Raises:
        NoEffectError: if something is missing and `proof` is "error".
    """
    if missing and proof == "error":
        raise NoEffectError(f"{'; '.join(missing)} ({ACCEPT} accepts it, and goes on from the trained adapter)")
    for line in missing if proof == "warn" else ():
        print(f"warning: {line} (accepted by {ACCEPT})", flush=True)
