"""Where a sweep is tracked, in `tracking.json` of its folder, for commands that add to it later.

key         random, made once: from it follow the ids of all runs, so that an arm that is tried again, or scored by
            another judge, goes on with its run, and a sweep of this name elsewhere has runs of its own
report_to   the trackers
log_adapter whether adapters are sent, too
wandb       the mode of wandb
project, entity, group
            where wandb has the runs; without an entity, it is that of whoever is logged in
experiment  where MLflow has them
servers     of wandb and MLflow, where the environment names one, without users and passwords

What the environment names is taken instead, now as when it was written. No secret is in it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from experiments.config.folders import output_folder
from experiments.config.schema import MLFLOW, WANDB, Config
from experiments.records.files import read_object, write_json
from experiments.records.locks import locked
from experiments.terminal.escaping import hidden
from experiments.tracking.silent import silent_wandb
from safeguards.errors import SafeguardError
from safeguards.files import digest

FILE = "tracking.json"
PROJECT = "safeguards"
# How wandb calls its modes in the environment, older names included.
MODES = {"online": "online", "offline": "offline", "disabled": "disabled", "run": "online", "dryrun": "offline"}


@dataclass(frozen=True)
class Tracking:
    """Where a sweep is tracked; each part is explained above."""

    key: str
    report_to: list[str]
    log_adapter: bool
    wandb: str
    project: str = PROJECT
    entity: str | None = None
    group: str = ""
    experiment: str = PROJECT
    servers: dict[str, str] = field(default_factory=dict)

    @property
    def trackers(self) -> list[str]:
        """Those that do something."""
        return [name for name in self.report_to if name != WANDB or self.wandb != "disabled"]

    def run_id(self, name: str) -> str:
        """The id of the run of an arm, by the name of its folder, or of the comparison."""
        return digest(f"{self.key} {name}")[:16]


def mode_of(config: Config) -> str:
    """How wandb is used: as is set, else as `WANDB_MODE` says, else offline.

    Raises:
        SafeguardError: if that is no mode.
    """
    return config.wandb or mode_named() or "offline"


def mode_named() -> str:
    """What `WANDB_MODE` says; nothing if it is not set.

    Raises:
        SafeguardError: if that is no mode.
    """
    given = os.environ.get("WANDB_MODE", "")
    if given and given not in MODES:
        raise SafeguardError(
            f"WANDB_MODE={given}: must be online, offline or disabled; unset it, or write wandb=offline"
        )
    return MODES[given] if given else ""


def settle(config: Config) -> Tracking:
    """Where the arms of a configuration are tracked; written down for later commands.

    Raises:
        SafeguardError: as `mode_of`, and for a server whose password is not there.
    """
    output = output_folder(config)
    with locked(output, FILE):
        known = read_object(output / FILE, Tracking)
        asked = Tracking(
            key=known.key if known else secrets.token_hex(8),
            report_to=config.report_to,
            log_adapter=config.log_adapter,
            wandb=mode_of(config),
            group=config.name,
        )
        found = placed(asked, known)
        if found != known and (known or found.trackers):
            write_json(output / FILE, asdict(found))
    return found


def tracking_of(output: Path) -> Tracking | None:
    """Where a sweep is tracked, for a command that adds to it; None if it is not.

    Raises:
        SafeguardError: as `settle`.
        DamagedError: if the record cannot be read.
    """
    known = read_object(output / FILE, Tracking)
    if known is None or not known.trackers:
        return None
    return placed(replace(known, wandb=mode_named() or known.wandb), known)


def placed(asked: Tracking, known: Tracking | None) -> Tracking:
    """The same, with the places that the environment names, else those that are known of earlier runs."""
    before = known or asked
    servers, experiment = dict(before.servers), before.experiment
    project, entity, group = before.project, before.entity, before.group or asked.group
    if MLFLOW in asked.trackers:
        servers[MLFLOW] = server(MLFLOW, "MLFLOW_TRACKING_URI", before)
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or experiment
    if WANDB in asked.trackers:
        own = (
            silent_wandb().setup().settings
        )  # of the environment, and of files that `wandb init` and `wandb login` write
        project, entity, group = own.project or project, own.entity or entity, own.run_group or group
        servers[WANDB] = server(WANDB, "WANDB_BASE_URL", before)
    named = {name: address for name, address in servers.items() if address}
    return replace(asked, project=project, entity=entity, group=group, experiment=experiment, servers=named)


def server(name: str, variable: str, known: Tracking) -> str:
    """The server that the environment names, else the known one; nothing if there is none.

    Raises:
        SafeguardError: if that one has a password, which no record holds.
    """
    if given := os.environ.get(variable):
        return hidden(given)
    found = known.servers.get(name, "")
    if "@" in found:
        raise SafeguardError(f"{variable}: is not set, and the runs of this sweep are at {found}; set it as before")
    return found


def trackers_of(config: Config) -> list[str]:
    """The trackers that arms of a configuration are sent to.

    Raises:
        SafeguardError: as `mode_of`.
    """
    return Tracking("", config.report_to, config.log_adapter, mode_of(config)).trackers
