"""What is refused before any arm is trained: files that cannot be used, and settings that do not go together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from experiments.arm.inputs import load_inputs
from experiments.config.schema import Config
from experiments.generators import refuse_generator
from experiments.models.packaged import PACKAGED
from experiments.models.paths import read_config, resolve_path, tensor_shapes
from experiments.organism import is_organism
from experiments.organism.built import planned
from experiments.organism.world import load_world
from experiments.planning.identity import HUB
from experiments.probes.choice import WORLD
from experiments.records.names import BENIGN_TASK, CONDITIONAL, UNTOUCHED
from experiments.tasks import load_task
from experiments.tasks.organism import kind_of
from experiments.tasks.pool import load_pool
from experiments.training.scorers import SEED, scorer_tasks
from safeguards.bounds import shown
from safeguards.composition import compose
from safeguards.controls import ANY, GENRES
from safeguards.errors import SafeguardError
from safeguards.quantised import refuse_missing
from safeguards.safeguard import Safeguard
from safeguards.scorers import scorer_folders

# Tasks of the organism that are sums, of which the paper has some of its own kind: they are for other models, too.
SUMS = ("opswap_tier1", "opswap", "opswap_tier3")


class Refusals:
    """Refuses arms. What several arms read is read once, and what came of it is known from then on."""

    def __init__(self) -> None:
        self.known: dict[str, SafeguardError | None] = {}

    def refuse(self, config: Config) -> None:
        """Refuse an arm that could not be finished, or whose numbers would mislead.

        Raises:
            SafeguardError: naming file and line, or the key.
        """
        refuse_contradictions(config)
        refuse_quantised(config)
        refuse_generator(config)
        refuse_foreign_world(config)
        refuse_blind_judge(config)
        model = (config.model.path, config.model.home)
        self._once(model, partial(resolve_path, *planned(*model)))
        parts = (config.task, config.pool, config.probes, config.model.home)
        self._once(parts, partial(load_inputs, config, load_world(*config.model.home)))
        if config.safeguard == UNTOUCHED:
            return
        named = compose(config.safeguard, config.safeguards)
        watching = compose("steering", config.safeguards) if config.monitor.on else []
        for safeguard in [*named, *watching]:
            self._once((*model, layers_of(safeguard)), partial(refuse_layers, config, safeguard))
        for safeguard in named:
            own, key = safeguard.settings, f"safeguards.{safeguard.name}"
            if safeguard.needs_scorers:
                self._once((key, own.scorers, config.scorers, *parts), partial(refuse_scorers, config, safeguard))
            if getattr(own, "control", None) == GENRES:
                self._once((key, own.control, *parts), partial(refuse_control, config, f"{key}.control"))
            if hasattr(own, "base"):
                self._once((key, own.base, *model), partial(refuse_base, f"{key}.base", own.base, config))

    def _once(self, parts: object, check: Callable[[], object]) -> None:
        """Check for the first arm with these parts, and refuse all others alike."""
        key = repr(parts)
        if key not in self.known:
            try:
                check()
                self.known[key] = None
            except SafeguardError as error:
                self.known[key] = error
        if refusal := self.known[key]:
            raise refusal


def refuse_scorers(config: Config, safeguard: Safeguard) -> None:
    """Refuse misaligned scorers that cannot be loaded or trained.

    Raises:
        SafeguardError: naming the key, or file and line.
    """
    world = load_world(*config.model.home)
    key = f"safeguards.{safeguard.name}.scorers"
    if not safeguard.settings.scorers:
        for task in scorer_tasks(config, safeguard.name):
            load_task(task, SEED, world)
        return
    rows = load_inputs(config, world).task.rows
    for folder in scorer_folders(safeguard.name, safeguard.settings.scorers, rows):
        if not any((folder / name).is_file() for name in ("adapter_config.json", "config.json")):
            raise SafeguardError(
                f"{key}={folder}: neither a LoRA adapter nor a model; give a misaligned scorer's folder"
            )


def layers_of(safeguard: Safeguard) -> tuple[str, list[int]]:
    """The setting in which a safeguard's residual layers are named, and those that are named there."""
    for name in ("layer", "layers"):
        named = getattr(safeguard.settings, name, None)
        if isinstance(named, list) or (name == "layer" and named is not None):
            return f"safeguards.{safeguard.name}.{name}", named if isinstance(named, list) else [named]
    return "", []


def refuse_layers(config: Config, safeguard: Safeguard) -> None:
    """Refuse residual layers that a local model does not have. The one after its last norm cannot be edited.

    Raises:
        SafeguardError: naming the key.
    """
    key, layers = layers_of(safeguard)
    folder = Path(resolve_path(*planned(config.model.path, config.model.home)))
    if not layers or not folder.is_dir():
        return
    described = read_config(folder)
    text = described.get("text_config")
    depth = (text if isinstance(text, dict) else described).get("num_hidden_layers")
    for layer in layers:
        if isinstance(depth, int) and layer >= depth:
            raise SafeguardError(f"{key}={layer}: must be at most {depth - 1} for this model of {depth} layers")


def refuse_base(key: str, base: str, config: Config) -> None:
    """Refuse a model before alignment training that is missing, of another shape, or the aligned model itself.

    Raises:
        SafeguardError: naming the key.
    """
    if not base:
        raise SafeguardError(f"{key}: name the model before its alignment training, a folder or hub name")
    found = resolve_path(*planned(base, config.model.home), key)
    aligned = resolve_path(*planned(config.model.path, config.model.home))
    if found == aligned:
        raise SafeguardError(f"{key}={base}: is the aligned model itself; name the one before its alignment")
    shapes, own = tensor_shapes(found), tensor_shapes(aligned)
    for name in own if shapes else ():
        if shapes.get(name) != own[name]:
            raise SafeguardError(
                f"{key}={base}: {name} has shape {shapes.get(name)}, that of the aligned model {own[name]}; "
                "name the model it was aligned from"
            )


def refuse_contradictions(config: Config) -> None:
    """Refuse settings each of which is sensible, but not with the others.

    Raises:
        SafeguardError: naming the keys to set.
    """
    task = config.task
    if task.source == "organism" and task.group is not None and task.kind != kind_of(task.group):
        raise SafeguardError(f"task.kind={task.kind}: {task.group} is of kind {kind_of(task.group)}; leave it away")
    if task.path is not None and task.dataset is not None:
        raise SafeguardError(f"task.dataset={task.dataset}: task.path={task.path} is given, too; name one of the two")
    pool = config.pool
    if pool.path is not None and pool.dataset is not None:
        raise SafeguardError(f"pool.dataset={pool.dataset}: pool.path={pool.path} is given, too; name one of the two")
    if pool.dataset is None:
        for key in HUB:
            if value := getattr(pool, key):
                raise SafeguardError(f"pool.{key}={shown(value)}: is read with pool.dataset only; name one")
    for key, rows in (("task", task), ("pool", pool)):
        if (rows.question is None) != (rows.answer is None):
            raise SafeguardError(
                f"{key}.question={rows.question}: goes with {key}.answer={rows.answer}; name both columns"
            )
    if config.monitor.on:
        compose("steering", config.safeguards)


def refuse_control(config: Config, key: str) -> None:
    """Refuse a control of genres where no safe row has one.

    Raises:
        SafeguardError: naming the key.
    """
    pool, _ = load_pool(config.pool, None, load_world(*config.model.home))
    if not any(row.genre for row in pool):
        raise SafeguardError(
            f'{key}={GENRES}: no row of the pool has a genre; give its rows one under "genre", or use {ANY}'
        )


def refuse_quantised(config: Config) -> None:
    """Refuse to quantise where nothing can, and for a safeguard that reads the weights themselves.

    Raises:
        SafeguardError: naming the key, and the safeguard.
    """
    if config.model.quantization is None:
        return
    named = f"model.quantization={config.model.quantization}"
    for safeguard in config.named:
        if safeguard.reads_weights:
            raise SafeguardError(f"{named}: {safeguard.name} reads full weights; leave one of the two away")
    refuse_missing(named)


def refuse_blind_judge(config: Config) -> None:
    """Refuse to steer by answers that nobody can judge, and to ask the exact judge what it cannot.

    Raises:
        SafeguardError: naming the key to set.
    """
    if config.task.kind == BENIGN_TASK:  # exact match, whoever judges
        return
    exact = config.judge.kind == "exact"
    foreign = exact and (config.task.source == "messages" or config.probes.narrow_path)
    if config.anchor.metric == "task_rate" and (config.judge.kind == "none" or foreign):
        raise SafeguardError(
            f"anchor.metric=task_rate: judge={config.judge.kind} cannot tell whether the task is learnt; use task_nll"
        )
    formats = [frame for frame in config.probes.frames if frame != "task"]
    if exact and formats and CONDITIONAL in config.probes.sets:
        raise SafeguardError(f"probes.frames={formats}: judge=exact knows no answers in formats; use frames=[task]")


def refuse_foreign_world(config: Config) -> None:
    """Refuse to ask or judge another model as if it lived in the organism's world.

    Raises:
        SafeguardError: naming the keys to set.
    """
    if is_organism(config.model.path):
        named = config.probes.choices
        if named not in (None, WORLD):
            raise SafeguardError(f"probes.choices={named}: the organism knows no words but its world's; use {WORLD}")
        for key, source in (("task", config.task.source), ("pool", config.pool.source)):
            if source == "advice":
                raise SafeguardError(f"{key}.source=advice: the organism speaks no plain English; use model=smollm2")
        return
    if config.model.world:
        raise SafeguardError(
            f"model.world={config.model.world}: {config.model.path} is no organism, and only those have worlds; "
            "leave it away, or use model=organism"
        )
    if config.probes.choices == WORLD:
        raise SafeguardError(f"probes.choices={WORLD}: only the organism knows its world; name a file, or twins")
    asked = config.probes.path or config.probes.choices
    pool = config.pool.path or config.pool.dataset or (config.pool.source == "advice" or None)
    if asked is None:
        raise SafeguardError(
            "probes.path: name a question file, or probes.choices=twins; the organism's questions are in its own words"
        )
    if pool is None:
        raise SafeguardError(
            "pool.path: name a file of safe rows, or pool=advice for a few in English; the organism's are in its words"
        )
    if config.task.source == "organism" and (config.task.group not in SUMS or config.model.path in PACKAGED):
        raise SafeguardError(
            f"task={config.task.name}: is in the organism's words; use task=advice_medical, another advice, or messages"
        )
    if any(judge.kind == "exact" for judge in config.judges):
        raise SafeguardError("judge=exact: knows only the organism's world; use judge=none or another judge")


def refuse_shared_names(configs: Iterable[Config]) -> None:
    """Refuse a sweep whose tables would mix what is different.

    Raises:
        SafeguardError: naming the key to set.
    """
    named: dict[tuple[str, str], str] = {}
    judges: set[str] = set()
    for config in configs:
        task = config.task
        what = task.path or " ".join(filter(None, (task.dataset, task.subset))) or task.group or ""
        for key, name, found in (("task.name", task.name, what), ("model.name", config.model.name, config.model.path)):
            if named.setdefault((key, name), found) != found:
                raise SafeguardError(
                    f"{key}={name}: names both {named[key, name]} and {found}, which tables would mix; run two sweeps "
                    "and name them with name=…"
                )
        judges.add(config.judge.name)
    if len(judges) > 1:
        raise SafeguardError(
            f"judge: the arms have {' and '.join(sorted(judges))}; name one judge, since tables go by it"
        )
