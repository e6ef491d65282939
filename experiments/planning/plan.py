"""The plan of a sweep: which arms the command line asks for, each checked before anything heavy is imported."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.types import RunMode
from omegaconf import DictConfig
from tqdm.auto import tqdm

from experiments.config.compose import CONFIG_ERRORS, known_keys, reason, refuse_single_shares, typed_config
from experiments.config.hydra_settings import settle_hydra
from experiments.config.schema import Config
from experiments.config.settle import drop_idle, reset_unread
from experiments.judges import JUDGE_KEYS, find_judge, has_scored, naming
from experiments.organism.world import load_world
from experiments.planning.arm_values import ArmValues
from experiments.planning.identity import arm_folder, identity_fields, title
from experiments.planning.refusals import Refusals, refuse_shared_names
from experiments.planning.task_list import expand_tasks, tasks_named
from experiments.records.names import SEVERAL_TASKS, UNTOUCHED
from experiments.records.sweep_file import ArmEntry
from experiments.terminal.escaping import hidden
from safeguards.bounds import shown
from safeguards.composition import NONE, expand, nearest
from safeguards.errors import SafeguardError

BASELINES = (UNTOUCHED, NONE)
MOST_ARMS = 100_000
RESULTS = "it says where results belong"
SCORED = "it scores all answers; add a second one with judge@second_judge=…, others with experiments.rescore"
# What makes no arm of its own.
NAMED = "it is named once, before the first result"
NOT_SWEPT = {
    **{"name": RESULTS, "output": RESULTS, "judge": SCORED, "second_judge": SCORED},
    **{"wandb": "name one", "log_adapter": "name one", "report_to": "write several as a list, such as [wandb,mlflow]"},
    "curve": "all arms are measured by one; name one",
    "generator": "it draws all answers, and tables would mix them; name one",
    **{"primary": NAMED, "margins": NAMED, "power": "name one", "baseline": "name one"},
}


# Of its tables each is a sweep of its own.
PAPER = "+paper"


@dataclass(frozen=True)
class PlannedArm:
    """One arm: its configuration, where its results belong, and the overrides that make it."""

    config: Config
    folder: Path
    overrides: list[str]

    def __str__(self) -> str:
        return title(self.config)


@dataclass
class Plan:
    """All different arms, baselines first; a line for each reason why some cannot be run; what all have in common.

    `notes` are lines about arms that are not what their names say.
    """

    values: DictConfig
    arms: list[PlannedArm] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)

    @property
    def worth_running(self) -> bool:
        """Whether anything but baselines is left of what was asked for; always, if nothing was refused."""
        return bool(self.arms) and not (self.failures and {arm.config.safeguard for arm in self.arms} <= {*BASELINES})


def make_plan(arguments: Sequence[str]) -> Plan:
    """Expand the overrides, add the baselines, and check every arm. Hydra must have been initialised.

    Raises:
        SafeguardError: for an error in what all arms share; one in a single arm makes that arm a failure.
    """
    loader = GlobalHydra.instance().config_loader()
    try:
        values, choices = read_arguments(loader, arguments)
    except CONFIG_ERRORS as error:
        raise SafeguardError(reason(error)) from error
    plan = Plan(values)
    composed, refusals = ArmValues(loader, values), Refusals()
    found: dict[Path, PlannedArm] = {}
    refused: dict[str, list[str]] = {}
    unread: Counter[str] = Counter()
    lines: dict[str, str] = {}
    planned: set[str | tuple[str, ...]] = set()
    composable: Counter[str] = Counter()  # arms, by the safeguards that they name; all of them under ""
    count = prod(map(len, choices.values()))
    if count > MOST_ARMS:
        raise SafeguardError(f"{count:,} combinations of values; a sweep has at most {MOST_ARMS:,}")
    for chosen in tqdm(combinations(choices), "plan", count, leave=False, delay=1, disable=None):
        counting = composed.counting(chosen)
        if counting in planned and planned.issuperset(chosen):
            continue  # the same arm
        try:
            arm, notes = plan_arm(composed, chosen)
            composable.update(["", *notes.named])
            unread.update(notes.unread.keys())
            lines.update(notes.unread)
            refusals.refuse(arm.config)
        except CONFIG_ERRORS as error:
            refused.setdefault(reason(error), []).append(" ".join(chosen))
        else:
            found.setdefault(arm.folder, arm)
            plan.notes.update(dict.fromkeys(notes.idle))
            planned.update((counting, *chosen))
    for key, arms in unread.items():
        if arms == composable[owner(key)]:  # else it is for the other arms
            raise SafeguardError(lines[key])
    plan.arms = list(found.values())
    refuse_shared_names(arm.config for arm in plan.arms)
    for why, names in refused.items():
        others = f" (and {len(names) - 1} more arms)" if len(names) > 1 else ""
        plan.failures.append(f"{shown(hidden(names[0]), 500)}{others}: {why}")
    return plan


def read_arguments(loader: Any, arguments: Sequence[str]) -> tuple[DictConfig, dict[str, list[tuple[str, ...]]]]:
    """What all arms share, and for each key of the command line its values, each as the overrides that make it.

    Raises:
        CONFIG_ERRORS: if they cannot be parsed or there is no such configuration.
    """
    parser = OverridesParser.create(config_loader=loader)
    overrides = parser.parse_overrides(settle_hydra(parser, arguments))
    mine = [override for override in overrides if not override.is_hydra_override()]
    own = [override.input_line for override in overrides if override.is_hydra_override()]
    keys = [override.get_key_element() for override in mine]
    refuse_single_shares(mine)
    check_keys(mine, loader, own)
    for override in mine:
        key = override.get_key_element()
        if key == PAPER:
            check_paper(override, loader, own)
        if key == "task" and isinstance(override.value(), dict):
            raise SafeguardError(f"{override.input_line}: a task of your own stands in a list; write task=[{{…}}]")
        if override.is_sweep_override() and (why := NOT_SWEPT.get(re.split(r"[@.]", key)[0])):
            raise SafeguardError(f"{key} cannot be swept: {why}")
    if "model.path" in keys and "model" not in keys:
        # A model of the user's own is not to be trained with the organism's settings.
        mine = parser.parse_overrides(["model=local"]) + mine
    one_value = [override for override in overrides if not (override.is_sweep_override() or _is_several(override))]
    fixed = [override.input_line for override in one_value if override.input_line is not None]
    values = loader.load_configuration("config", fixed, RunMode.MULTIRUN)
    defaults = parser.parse_overrides([f"{key}={value}" for key, value in values.hydra.sweeper.params.items()])
    choices: dict[str, list[tuple[str, ...]]] = {}
    for override in (*defaults, *mine):
        key = override.get_key_element()
        swept = override.is_sweep_override()
        if override.is_interval_sweep():
            raise SafeguardError(f"{override.input_line}: has no list of values; give some with commas or range(…)")
        if _is_task_list(override):
            choices[key] = list(dict.fromkeys(expand_tasks(override.value())))
            if not choices[key]:
                raise SafeguardError(f"{override.input_line}: names no task; name one or several")
            continue
        given = override.sweep_string_iterator() if swept else [override.get_value_element_as_str()]
        if isinstance(names := override.value(), Glob):
            given = names.filter(loader.get_group_options(override.key_or_group, overrides=own))
        if key == "safeguard":
            given = (name for value in given for name in expand(value))
        if key == "task":
            given = (name for value in given for name in tasks_named(value))
        choices[key] = list(dict.fromkeys((f"{key}={value}",) for value in islice(given, MOST_ARMS + 1)))
        if not choices[key]:
            raise SafeguardError(f"{override.input_line}: stands for nothing; name values, or --help for what there is")
    baselines = [(f"safeguard={name}",) for name in BASELINES]
    choices["safeguard"] = [*baselines, *(name for name in choices["safeguard"] if name not in baselines)]
    return values, choices


def _is_task_list(override: Override) -> bool:
    return override.get_key_element() == "task" and isinstance(override.value(), list)


def _is_several(override: Override) -> bool:
    """Whether its one value stands for several tasks."""
    value = override.value()
    named = override.get_key_element() == "task" and isinstance(value, str) and value in SEVERAL_TASKS
    return named or _is_task_list(override)


def combinations(choices: dict[str, list[tuple[str, ...]]]) -> Iterator[list[str]]:
    """Every combination of choices, safeguards outermost and baselines first."""
    others = [values for key, values in choices.items() if key != "safeguard"]
    for chosen in itertools.product(choices["safeguard"], *others):
        yield [override for several in chosen for override in several]


class Notes(NamedTuple):
    """What of an arm's values does not count: those that nothing reads, and safeguards that are turned off.

    `named` are the safeguards that were asked for.
    """

    unread: dict[str, str]
    idle: list[str]
    named: list[str]


def owner(key: str) -> str:
    """The safeguard whose setting a key is; nothing if it is nobody's."""
    group, _, rest = key.partition(".")
    return rest.partition(".")[0] if group == "safeguards" else ""


def plan_arm(composed: ArmValues, overrides: list[str]) -> tuple[PlannedArm, Notes]:
    """Compose and check the configuration of one arm.

    Raises:
        CONFIG_ERRORS: if there is no such arm.
    """
    config = typed_config(composed.values(overrides))
    named = [safeguard.name for safeguard in config.named]
    notes = Notes(reset_unread(config), drop_idle(config), named)
    folder = arm_folder(config)
    for key, judge in zip(JUDGE_KEYS, config.judges, strict=False):
        find_judge(judge, load_world(*config.model.home), key)
        with naming(key):
            has_scored(folder, judge)  # refuses one that has, with other settings
    return PlannedArm(config, folder, overrides), notes


def check_paper(override: Override, loader: Any, own: Sequence[str]) -> None:
    """Stop at what is no table of a paper, or several: each is a sweep of its own, with its name."""
    tables = loader.get_group_options(PAPER.lstrip("+"), overrides=list(own))
    if override.is_sweep_override() or isinstance(override.value(), list | dict):
        raise SafeguardError(f"{PAPER}: one table per command; name one of {', '.join(tables)}")
    if override.value() not in tables:
        raise SafeguardError(f"unknown {PAPER} {str(override.value())!r}: {nearest(str(override.value()), tables)}")


def check_keys(overrides: Sequence[Override], loader: Any, own: Sequence[str]) -> None:
    """Stop at a key that no configuration has, naming the nearest one that exists.

    A group that only the user's folders have, which `own` settings of Hydra name, is added with a plus.
    """
    known = known_keys(loader)
    for override in overrides:
        key = override.get_key_element()
        added = (
            key.startswith("+")
            and not key.startswith(f"{PAPER}/")
            and loader.get_group_options(key[1:], overrides=list(own))
        )
        if added or key.split("@")[0] in known:  # group@package: only the group must be known
            continue
        meant = {"launcher": "hydra/launcher", "+launcher": "hydra/launcher"}.get(key)
        if meant is None and loader.get_group_options(key, overrides=list(own)):
            meant = f"+{key}"
        if meant:
            raise SafeguardError(f"unknown key {key!r}: did you mean {meant}={override.get_value_element_as_str()}?")
        raise SafeguardError(f"unknown key {key!r}: {nearest(key, known)}")


def describe(arm: PlannedArm) -> ArmEntry:
    """An arm in the plan on disk, from which tables are made without Hydra."""
    return ArmEntry(arm.folder.name, identity_fields(arm.config))
