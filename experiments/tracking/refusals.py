"""What is refused before anything is trained: a tracker that could be sent nothing."""

from __future__ import annotations

from importlib.util import find_spec

from experiments.config.schema import MLFLOW, TENSORBOARD, WANDB, Config
from experiments.terminal.escaping import hidden
from experiments.tracking.record import mode_of, trackers_of
from experiments.tracking.silent import silent_wandb
from safeguards.errors import SafeguardError, one_line

# The package of each tracker; the extra of ours that brings it along is called like the tracker.
PACKAGES = {WANDB: "wandb", TENSORBOARD: "tensorboard", MLFLOW: "mlflow"}


def refuse_untracked(config: Config) -> None:
    """Refuse settings of trackers that do not go together, a tracker that is not installed, and wandb without a login.

    Asks wandb whether it knows who is logged in, if anything is to be sent there now.

    Raises:
        SafeguardError: naming the key, or what to run.
    """
    trackers = trackers_of(config)
    if config.wandb in ("online", "offline") and WANDB not in config.report_to:
        raise SafeguardError(
            f"wandb={config.wandb}: is not read with report_to=[{','.join(config.report_to)}]; add wandb to it"
        )
    if config.log_adapter and not {WANDB, MLFLOW} & {*trackers}:
        raise SafeguardError(
            f"log_adapter=true: goes to wandb or MLflow, and report_to=[{','.join(trackers)}] has neither that is on"
        )
    for name in trackers:
        if find_spec(PACKAGES[name]) is None:
            raise SafeguardError(f"report_to=[{name}]: is not installed; pip install '.[{name}]', or leave it away")
    if WANDB in trackers and mode_of(config) == "online":
        refuse_logged_out("wandb=online", "run wandb login, or write wandb=offline and send it later")


def refuse_logged_out(what: str, remedy: str) -> None:
    """Refuse what takes a login to wandb where nobody is logged in, or where it does not answer.

    Raises:
        SafeguardError: saying what to run.
    """
    try:
        found = silent_wandb().login(prompt=False, verify=True)
    except Exception as error:
        raise SafeguardError(f"{what}: {hidden(one_line(error)).rstrip('.')}; {remedy}") from error
    if not found:
        raise SafeguardError(f"{what}: nobody is logged in to wandb here; {remedy}")
