"""The wandb workspace of a sweep, and a report on it, as objects of `wandb-workspaces`. Nothing is sent from here.

Their panels show what arms of this sweep have logged, by the names under which they log it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.records.arm_files import ARMS, judges_of
from experiments.records.files import DamagedError
from experiments.records.measures import BROAD_MISALIGNED, MEASURES, NARROW_LEARNT
from experiments.records.outcomes import OUTCOMES
from experiments.records.sweep_file import SweepFile, read_sweep
from experiments.report.arms import read_arm
from experiments.report.world_draws import as_one_model
from experiments.tracking.arm import SAMPLES, TRACE, curve_ends, numbers_of
from experiments.tracking.content import ARM, COMPARISON, STEP, TRAIN
from experiments.tracking.record import Tracking
from experiments.tracking.sweep import tradeoffs
from safeguards.errors import SafeguardError

# What is measured beside the rates, in the order in which it is shown.
MEASURED = ("narrow_nll", "safe_nll", "bias_gap", "misaligned_of_coherent", "unscored", "step_seconds")
# What a training log has beside the loss and its parts, which is seldom looked at.
FIRST_CURVES = (f"{TRAIN}loss", f"{TRAIN}cross_entropy")
SHOWN_CURVES = (f"{TRAIN}safeguard/", f"{TRAIN}monitor/")
LABEL = "label"  # the setting that rows of tables are called after


@dataclass(frozen=True)
class Logged:
    """The names under which arms of a sweep log their numbers and curves, and the columns of its comparison."""

    numbers: Sequence[str]
    curves: Sequence[str]

    @property
    def headline(self) -> list[str]:
        """Of each arm, one number each, by the names that tables have."""
        return [name for name in (*(measure.key for measure in MEASURES), *MEASURED) if name in self.numbers]

    @property
    def shown_curves(self) -> list[str]:
        """The loss, its parts, and the drift."""
        parts = sorted(name for name in self.curves if name.startswith(SHOWN_CURVES))
        return [name for name in FIRST_CURVES if name in self.curves] + parts

    @property
    def sets(self) -> list[str]:
        """The probe sets whose outcomes are logged; "broad" is all broad questions together."""
        found = (name.split("/")[1] for name in self.numbers if name.startswith("outcomes/"))
        return list(dict.fromkeys(found))


def logged_by(output: Path) -> Logged:
    """What the arms of a sweep that are done have logged; numbers are read of one arm for each kind of task.

    Raises:
        SafeguardError: if there is no sweep, or no arm of it is done.
    """
    sweep = read_sweep(output)
    numbers: dict[str, None] = {}
    curves: dict[str, None] = {}
    kinds: set[str] = set()
    for entry in sweep.planned(everything=True):
        folder = output / ARMS / entry.folder
        curves |= dict.fromkeys(curve_ends(folder))
        if entry.settings["task"].get("kind", "") in kinds or sweep.judge not in judges_of(folder):
            continue
        try:
            arm = read_arm(folder, entry, sweep.judge)
        except DamagedError:
            continue
        if arm:
            kinds.add(entry.settings["task"].get("kind", ""))
            numbers |= dict.fromkeys(numbers_of({sweep.judge: arm}, sweep.judge))
    if not numbers:
        raise SafeguardError(f"{output}: no arm is done; run experiments.sweep with name={output.name} again")
    return Logged(list(numbers), list(curves))


def make_workspace(tracking: Tracking, entity: str, logged: Logged) -> Any:
    """The workspace: of the arms of this sweep, sections of panels. A `Workspace` of `wandb-workspaces`."""
    import wandb_workspaces.workspaces as ws

    sections = [
        ws.Section(name=name, panels=panels, is_open=place < 3)
        for place, (name, panels) in enumerate(sections_of(logged).items())
    ]
    shown = ws.RunsetSettings(filters=of_group(tracking), groupby=[])
    return ws.Workspace(
        entity=entity,
        project=tracking.project,
        name=f"Safeguards: {tracking.group}",
        sections=sections,
        runset_settings=shown,
    )


def sections_of(logged: Logged) -> dict[str, list[Any]]:
    """The panels of arms, by the names of their sections; none that would be empty."""
    import wandb_workspaces.reports.v2 as wr

    sections = {
        "Headline metrics by safeguard": [bars(name, [name]) for name in logged.headline],
        "Trade-off": scatters(logged),
        "Training": [curve(name) for name in logged.shown_curves],
        "Outcomes": [bars(f"Outcomes: {name}", outcomes_of(name)) for name in logged.sets],
        # A trace is what was seen of a training, and answers from elsewhere have none.
        "Samples": [wr.WeavePanelSummaryTable(table_name=name) for name in (SAMPLES, *[TRACE] * bool(logged.curves))],
    }
    return {name: panels for name, panels in sections.items() if panels}


def bars(title: str, names: Sequence[str]) -> Any:
    """The mean of numbers over the arms of each safeguard, with its standard error."""
    import wandb_workspaces.reports.v2 as wr

    return wr.BarPlot(
        title=title,
        metrics=list(names),
        groupby=wr.Config(LABEL),
        groupby_aggfunc="mean",
        groupby_rangefunc="stderr",
        orientation="h",
    )


def curve(name: str) -> Any:
    """A training curve of each safeguard, as the mean of its arms."""
    import wandb_workspaces.reports.v2 as wr

    return wr.LinePlot(
        title=name.removeprefix(TRAIN),
        x=STEP,
        y=[name],
        groupby=wr.Config(LABEL),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
    )


def scatters(logged: Logged) -> list[Any]:
    """What is let through beside what is learnt, a point for each arm that has both."""
    import wandb_workspaces.reports.v2 as wr

    x, y = NARROW_LEARNT.key, BROAD_MISALIGNED.key
    both = {x, y} <= {*logged.numbers}
    return [wr.ScatterPlot(title=f"{x} and {y}", x=wr.SummaryMetric(x), y=wr.SummaryMetric(y))] * both


def outcomes_of(name: str) -> list[str]:
    """The names of the shares of outcomes of a probe set."""
    return [f"outcomes/{name}/{outcome}" for outcome in OUTCOMES]


def of_group(tracking: Tracking, kind: str = ARM) -> list[Any]:
    """Only runs of this sweep, of one kind."""
    import wandb_workspaces.workspaces as ws

    return [ws.Metric("Group") == tracking.group, ws.Metric("JobType") == kind]


def make_report(tracking: Tracking, entity: str, logged: Logged, sweep: SweepFile, columns: Iterable[str]) -> Any:
    """A page to read and to share: what was compared, the comparison, and panels. A `Report` of `wandb-workspaces`.

    Args:
        tracking, entity: where the runs are.
        logged: of the arms.
        sweep: its plan.
        columns: of its comparison.
    """
    import wandb_workspaces.reports.v2 as wr

    where = {"entity": entity, "project": tracking.project}
    compared = wr.Runset(**where, name="Comparison", filters=of_group(tracking, COMPARISON))
    arms = wr.Runset(**where, name="Arms", filters=of_group(tracking))
    blocks: list[Any] = [wr.H1("What was compared"), *(wr.P(text) for text in story(sweep, logged))]
    table = [wr.WeavePanelSummaryTable(table_name=COMPARISON), *(tradeoff(x, y) for x, y in tradeoffs(columns))]
    blocks += [wr.H1("The comparison"), wr.PanelGrid(runsets=[compared], panels=table)]
    for name, panels in sections_of(logged).items():
        blocks += [wr.H1(name), wr.PanelGrid(runsets=[arms], panels=panels)]
    return wr.Report(
        **where,
        title=f"Safeguards: {tracking.group}",
        description="Safeguards against emergent misalignment: what each prevents, and what it costs.",
        blocks=blocks,
    )


def tradeoff(x: str, y: str) -> Any:
    """Two columns of the comparison, a point for each of its rows."""
    import wandb_workspaces.reports.v2 as wr

    return wr.CustomChart(
        query={"summaryTable": {"tableKey": COMPARISON}},
        chart_name="wandb/scatter/v0",
        chart_fields={"x": x, "y": y},
        chart_strings={"title": f"{x} and {y}"},
    )


def story(sweep: SweepFile, logged: Logged) -> list[str]:
    """What a reader needs to know before the first number."""
    arms = sweep.planned(everything=True)
    safeguards = ", ".join(dict.fromkeys(arm.safeguard for arm in arms))
    tasks, seeds = ", ".join(dict.fromkeys(arm.task for arm in arms)), sorted({arm.seed for arm in arms})
    models = ", ".join(dict.fromkeys(arm.model["name"] for arm in arms))
    worlds = ", ".join(dict.fromkeys(world for _, world in as_one_model(arms) if world))
    where = f"; worlds {worlds}" * bool(worlds)
    compared = f"Safeguards {safeguards} on {models}; tasks {tasks}{where}; seeds {', '.join(map(str, seeds))}."
    judged = f"Scored by {sweep.judge}. Primary outcome: {sweep.claims.primary}; all others are secondary."
    read = "Bars are means over arms with their standard errors; intervals and tests are in the comparison."
    drift = "Drift is along the direction of misalignment, in lengths of it." if any_drift(logged) else ""
    return [text for text in (compared, judged, read, drift) if text]


def any_drift(logged: Logged) -> bool:
    """Whether a monitor watched some arm."""
    return any(name.startswith(f"{TRAIN}monitor/") for name in logged.curves)
