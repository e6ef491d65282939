"""What a finished training leaves in an arm's folder, so that the arm can go on from there without training again.

adapter/         the trained adapter, alone
training.json    what training cost and what its safeguards were seen to do, what the anchor measured, and what is
                 missing of the proof of effect; written last
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.records.training_file import ADAPTER
from safeguards.errors import NoEffectError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What a user of a sweep types to accept a safeguard without effect.
ACCEPT = "training.proof=warn"


def with_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The model with the trained adapter of an arm, as it was in memory after training."""
    from peft import PeftModel

    trained: PreTrainedModel = PeftModel.from_pretrained(model, folder / ADAPTER, autocast_adapter_dtype=False)
    return trained


def demand_proof(missing: list[str], proof: str) -> None:
    """Refuse, tell or accept that a proof of effect is missing.

    Raises:
        NoEffectError: if something is missing and `proof` is "error".
    """
    if missing and proof == "error":
        raise NoEffectError(f"{'; '.join(missing)} ({ACCEPT} accepts it, and goes on from the trained adapter)")
    for lack in missing if proof == "warn" else ():
        print(f"warning: {lack} (accepted by {ACCEPT})", flush=True)
