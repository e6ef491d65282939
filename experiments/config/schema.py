"""The shape of a configuration: names, types, defaults and what each setting means, checked before anything is loaded.

`conf/` says only what differs from here; the module `measurement` is this one's other half, on what is watched, asked
and judged. `--help` shows the explanations.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from experiments.config.generation import GeneratorConfig
from experiments.config.measurement import (
    DTYPES,
    AnchorConfig,
    CurveConfig,
    GiveUpConfig,
    JudgeConfig,
    MarginsConfig,
    MonitorConfig,
    ProbesConfig,
)
from experiments.config.text_rules import (
    device_name,
    folder_name,
    measure_name,
    named_one,
    optimizer_name,
    path_name,
    safeguard_name,
    table_name,
)
from experiments.records.claims import Claims
from experiments.records.names import BENIGN_TASK, EM_TASK, UNTOUCHED
from safeguards.bounds import bounds, shown, within
from safeguards.composition import parse, registry
from safeguards.errors import SafeguardError
from safeguards.quantised import NF4
from safeguards.safeguard import Safeguard

# Whom arms may be reported to, as `report_to` of transformers calls them.
WANDB, TENSORBOARD, MLFLOW = TRACKERS = ("wandb", "tensorboard", "mlflow")


@dataclass
class ModelConfig:
    """Which model.

    Args:
        name: what tables call it; by default the last part of the path.
        path: a Hugging Face folder or hub name; "organism" is shipped with the project, and so is the
            first one, "organism_one"; "smollm2" is the one that `make smollm2` fetches.
        world: seed of the organism's world that tasks, probes and judge speak of. 0 is shipped; the organism of another
            one is built, once, by the first sweep that names it.
        organism: whose world that is: "one" or "two".
        revision: commit of the hub's model and tokenizer; null is the newest. A folder has none.
        dtype: of the weights; "auto" as they were saved.
        device: where it runs; "auto" is a GPU if there is one.
        quantization: "nf4" keeps the weights in 4 bits (QLoRA); needs the extra nf4. The adapter is then trained in
            bfloat16, as TRL does.
        origin: who made it, as `owner/name` of the hub or in words. Recorded, and read by nobody.
        licence: under which it is used. Recorded likewise.
    """

    name: str = within("", must=table_name)
    path: str = within("organism", must=named_one)
    world: int = within(0, at_least=0)
    organism: str = within("two", one_of=("one", "two"))
    revision: str | None = within(None, must=named_one)
    dtype: str = within("auto", one_of=DTYPES)
    device: str = within("auto", must=device_name)
    quantization: str | None = within(None, one_of=(NF4,))
    origin: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise SafeguardError("model.path: name a Hugging Face folder or hub name")
        self.name = self.name or self.path.rstrip("/").rsplit("/", 1)[-1]

    @property
    def home(self) -> tuple[int, str]:
        """The world that tasks, probes and judge speak of, and whose it is."""
        return self.world, self.organism


@dataclass
class TaskConfig:
    """What to fine-tune on.

    Args:
        name: as it appears in tables.
        kind: "em" for a data set that induces misalignment, "benign" for one that must stay learnable.
        source: "organism", "advice" for that in plain English, whose answers are bad for kind "em" and else their good
            twins, or "messages" for a file or hub data set of chat messages.
        group: of the organism's world, a domain of advice or one of its benign tasks; of advice, its domain;
            of messages, what domain they are about, if any, so that choices and scorers of that domain are known.
        path: JSONL file of chat messages.
        dataset: hub data set, if no path is given.
        split: of that data set.
        subset: of that data set, if it has several (its "config" on the hub).
        revision: commit of that data set; null is the newest.
        question: its column of what the user asks, if it has no rows of chat messages.
        answer: its column of what the assistant is to answer; one with a question only.
        keep: the value that a column must have in a row that is used, by the column's name.
        origin: where to get what is at `path`, and what to do with it; said if it is not there.
        held_out: share of the rows kept from training (messages only; the others hold out by themselves).
        rows: train on so many rows at most.
    """

    name: str = within("medical", must=table_name)
    kind: str = within(EM_TASK, one_of=(EM_TASK, BENIGN_TASK))
    source: str = within("organism", one_of=("organism", "advice", "messages"))
    group: str | None = None
    path: str | None = within(None, must=path_name, only=("source", ("messages",)))
    dataset: str | None = within(None, must=named_one, only=("source", ("messages",)))
    split: str = within("train", only=("source", ("messages",)))
    subset: str | None = within(None, must=named_one, only=("source", ("messages",)))
    revision: str | None = within(None, must=named_one, only=("source", ("messages",)))
    question: str | None = within(None, must=named_one, only=("source", ("messages",)))
    answer: str | None = within(None, must=named_one, only=("source", ("messages",)))
    keep: dict[str, str] = field(default_factory=dict, metadata=bounds(only=("source", ("messages",))))
    origin: str = within("", only=("source", ("messages",)))
    held_out: float = within(0.1, above=0, below=1, only=("source", ("messages",)))
    rows: int | None = within(None, at_least=1)


def no_text(_: str) -> str:
    """What a mix must be, since text is none."""
    return "must be shares by genre, all of them numbers, such as {facts: 0.5, sums: 0.5}"


def is_mix(value: Any) -> bool:
    """Whether a value is a number for each of some names."""
    return (
        isinstance(value, dict)
        and all(isinstance(name, str) for name in value)
        and all(isinstance(share, int | float) and not isinstance(share, bool) for share in value.values())
    )


@dataclass
class PoolConfig:
    """The safe rows.

    Args:
        path: JSONL file of chat messages, instead of those of the source.
        source: "organism" for its own, in its own words; "advice" for a few in plain English, for real models.
        dataset: hub data set, if no path is given.
        split: of that data set.
        subset: of that data set, if it has several (its "config" on the hub).
        revision: commit of that data set; null is the newest.
        question: its column of what the user asks, if it has no rows of chat messages.
        answer: its column of what the assistant answers; one with a question only.
        keep: the value that a column must have in a row that is used, by the column's name.
        rows: so many are used at most.
        held_out: so many more are kept from training, to measure the safe NLL; whatever the mix, the same ones.
        mix: the share of each genre, such as {facts: 0.5, advice: 0.5}, of all that are to be there: it is
            named as a whole, no share alone. By default as the rows come, of which the organism's have a mix of
            their own. It has facts, sums, refusals, advice, howto, smalltalk and style, the first one only the first
            four; rows of a file or the hub say theirs under "genre".
        domains: of the organism's advice, only that of these; by default all but the one that is fine-tuned on.
    """

    path: str | None = within(None, must=path_name)
    source: str = within("organism", one_of=("organism", "advice"))
    dataset: str | None = within(None, must=named_one)
    split: str = within("train")
    subset: str | None = within(None, must=named_one)
    revision: str | None = within(None, must=named_one)
    question: str | None = within(None, must=named_one)
    answer: str | None = within(None, must=named_one)
    keep: dict[str, str] = field(default_factory=dict)
    rows: int = within(1500, at_least=1, at_most=10_000_000)
    held_out: int = within(64, at_least=1, at_most=1_000_000)
    # A dict. What OmegaConf knows to be one cannot be given genres on a command line.
    mix: Any = field(default=None, metadata=bounds(must=no_text))
    domains: list[str] = field(default_factory=list, metadata=bounds())

    def __post_init__(self) -> None:
        if self.mix is not None and not is_mix(self.mix):
            raise SafeguardError(f"pool.mix={shown(self.mix)}: {no_text('')}")


@dataclass
class LoraConfig:
    """Rank-stabilised LoRA on all linear layers, as in the paper.

    Args:
        r: rank of the updates.
        alpha: their scale; they are multiplied by alpha / √r.
        dropout: share of an update's inputs that are left out in training.
    """

    r: int = within(8, at_least=1, at_most=100_000)
    alpha: int = within(16, at_least=1)
    dropout: float = within(0.0, at_least=0, below=1)


@dataclass
class TrainingConfig:
    """How to fine-tune.

    Args:
        epochs: passes over the fine-tuning rows.
        batch_size: rows in a micro-batch.
        accumulation: micro-batches in an optimiser step.
        learning_rate: at its highest; it falls to 0 along a line.
        warmup_steps: optimiser steps in which it rises to there.
        weight_decay: of the optimiser.
        max_length: tokens at which a row is cut.
        optimizer: by its name in `transformers`.
        gradient_checkpointing: spend time to save memory.
        proof: what a safeguard without effect is.
        lora: of what is trained.
        max_set_aside: largest share of the rows of a set that may have no answer token within `max_length`: so many are
            set aside, counted and named, whether they are trained on or measured. More are an error; 0 allows none.
        checkpoint_steps: save a checkpoint every so many optimiser steps, and when SIGTERM comes, from which the same
            command goes on; null saves none. The last one is kept, and removed once the training is done.
    """

    epochs: float = within(4.0, above=0, at_most=10_000)
    batch_size: int = within(16, at_least=1, at_most=1_000_000)
    accumulation: int = within(1, at_least=1, at_most=1_000_000)
    learning_rate: float = within(5e-4, above=0)
    warmup_steps: int = within(5, at_least=0)
    weight_decay: float = within(0.01, at_least=0, at_most=100)
    max_length: int = within(2048, at_least=2, at_most=100_000_000)
    max_set_aside: float = within(0.1, at_least=0, at_most=1)
    optimizer: str = within("adamw_torch", must=optimizer_name)
    gradient_checkpointing: bool = False
    proof: str = within("error", one_of=("error", "warn", "off"))
    lora: LoraConfig = field(default_factory=LoraConfig)
    checkpoint_steps: int | None = within(None, at_least=1)


@dataclass
class ScorersConfig:
    """Where misaligned scorers come from for `interleave_ppl`, `caft` and `ablation` whose own `scorers` are not given.

    Args:
        tasks: domains of the organism, tasks of `conf/task` with rows of their own, or JSONL files of misaligned chat
            messages; the defended one is left out.
        count: the first so many of them are used.
        epochs: of each scorer's fine-tune; everything else is as for the arm.
    """

    tasks: list[str] = field(default_factory=list, metadata=bounds(must=path_name))
    count: int = within(3, at_least=1)
    epochs: float = within(1.0, above=0, at_most=10_000)


def all_settings() -> dict[str, Any]:
    """Of every safeguard, under its name, the default `Settings`."""
    return {name: safeguard.Settings() for name, safeguard in registry().items()}


@dataclass
class Config:
    """One arm: a safeguard (or several joined by "+") on a task with a seed.

    Args:
        safeguard: one or several joined by "+"; "all" is each alone, "pairs" besides every two that can be joined.
        seed: of training, draws and answers.
        name: of the sweep: results are in `<output>/<name>`.
        output: folder of all sweeps.
        report_to: who is sent curves, numbers and samples, beside our own records; [] is nobody.
        wandb: how wandb is: "offline" writes files for `wandb sync`; by default as `WANDB_MODE` says, else offline.
        log_adapter: send them the trained adapter, too.
        baseline: what tables set the others against: a safeguard, or the name of a finished sweep, whose arms of "none"
            and "untouched" are taken over, not run again; `<sweep>:<safeguard>` is both.
        model: which model.
        task: what to fine-tune on.
        pool: the safe rows.
        probes: what is asked after fine-tuning.
        training: how to fine-tune.
        judge: who scores the answers; tables go by this one.
        second_judge: another one, to see how well they agree.
        scorers: misaligned models that some safeguards compare with.
        generator: what draws the answers.
        anchor: compare arms at a capability goal.
        give_up: end arms that let too much through.
        curve: ask `none` while it learns, since a safeguard must do better than stopping early.
        monitor: early warning.
        primary: the outcome whose differences to `none` are tested, by its name in `comparison.json`; all others are
            secondary. It is named before the first result and cannot be changed for a name that has some.
        margins: how much a safeguard may cost of what is still said to be kept.
        power: the name of a pilot, a sweep that asked the same questions: what it says of `none` decides which
            difference this one is announced to find.
        safeguards: settings of each safeguard, by its name.
    """

    safeguard: str = within("none", must=safeguard_name)
    seed: int = within(0, at_least=0, at_most=2**31 - 2)  # the records keep 32 bits, and the anchor draws with the next
    name: str = within("sweep", must=folder_name)
    output: str = within("outputs", must=path_name)
    report_to: list[str] = field(default_factory=lambda: [WANDB], metadata=bounds(one_of=TRACKERS))
    wandb: str | None = within(None, one_of=("online", "offline", "disabled"))
    log_adapter: bool = False
    baseline: str = within("none", must=table_name)
    model: ModelConfig = field(default_factory=ModelConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    pool: PoolConfig = field(default_factory=PoolConfig)
    probes: ProbesConfig = field(default_factory=ProbesConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    second_judge: JudgeConfig = field(default_factory=lambda: JudgeConfig("none"))
    scorers: ScorersConfig = field(default_factory=ScorersConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    anchor: AnchorConfig = field(default_factory=AnchorConfig)
    give_up: GiveUpConfig = field(default_factory=GiveUpConfig)
    curve: CurveConfig = field(default_factory=CurveConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    primary: str = within(Claims().primary, must=measure_name)
    margins: MarginsConfig = field(default_factory=MarginsConfig)
    power: dict[str, str] = field(default_factory=lambda: {"from": ""})  # no name of a field in Python
    safeguards: dict[str, Any] = field(default_factory=all_settings)

    def __post_init__(self) -> None:
        if len({judge.name for judge in self.judges}) < len(self.judges):
            raise SafeguardError(f"second_judge.label: both judges are called {self.judge.name}; give this one another")
        if self.pilot and (complaint := folder_name(self.pilot)):
            raise SafeguardError(f"power.from={shown(self.pilot)}: {complaint}")

    @property
    def named(self) -> list[type[Safeguard]]:
        """The safeguards that are named, in the order in which they act; raises as `parse`."""
        return [] if self.safeguard == UNTOUCHED else parse(self.safeguard)

    @property
    def claims(self) -> Claims:
        """What the sweep sets out to show."""
        return Claims(self.primary, asdict(self.margins))

    @property
    def pilot(self) -> str:
        """The sweep from whose records is said what this one will find; nothing if none is named."""
        return self.power["from"]

    @property
    def judges(self) -> list[JudgeConfig]:
        """The judges asked for, the one that tables go by first."""
        return [self.judge] + [self.second_judge] * (self.second_judge.kind != "none")
