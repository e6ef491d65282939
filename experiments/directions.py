"""Is there one direction of misalignment? `python -m experiments.directions source=finance targets=medical,cooking`.

Finds the direction in which one fine-tune went wrong, takes it out of the activations of fine-tunes on other domains,
and puts it into those of the aligned model, after Soligo et al. 2025, arXiv 2506.11618. A random direction of equal
norm is the control. Answers are drawn with the intervention and judged exactly; nothing is trained but the fine-tunes
themselves, which are kept for the next time. Other settings are those of a sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import starmap
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from experiments.arm.answering import ask
from experiments.config.compose import compose_config
from experiments.config.folders import cache_folder
from experiments.config.hydra_settings import refuse_several
from experiments.config.schema import Config, TaskConfig
from experiments.judges import find_judge
from experiments.organism.world import load_world
from experiments.probes import Probe, load_probes
from experiments.records.files import write_text
from experiments.records.names import BROAD, NARROW
from experiments.records.table import scored_table
from experiments.report.table import Column, as_markdown, make_table
from experiments.statistics.estimates import Estimate
from experiments.statistics.rates import rate
from experiments.tasks import load_task
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line
from safeguards.composition import nearest
from safeguards.errors import SafeguardError
from safeguards.run import Run

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from experiments.models.load import LoadedModel
    from safeguards.activations import Edit

# Settings of this command alone, with their defaults.
OWN = {"source": "finance", "targets": "medical,cooking,driving", "doses": "1,2,4"}
# Settings of a sweep that are not read here.
NOT_READ = ("safeguard", "task", "name")
# Columns: which probe sets, and which outcome.
MEASURES = {
    "broad misaligned %": (BROAD, "misaligned"),
    "narrow misaligned %": ((NARROW,), "misaligned"),
    "incoherent %": (BROAD, "incoherent"),
}


def study(config: Config, source: str, targets: Sequence[str], doses: Sequence[float]) -> dict[str, list[Estimate]]:
    """The measures under each intervention, by its name."""
    from experiments.models.load import load_model
    from experiments.training.scorers import make_scorer
    from safeguards.activations import adding
    from safeguards.directions import find_shift, random_like
    from safeguards.scorers import load_scorer

    folders = {name: make_scorer(config, TaskConfig(name, group=name)) for name in (source, *targets)}
    loaded = load_model(config.model)
    run = Run(*loaded, [], batch_size=config.training.batch_size, cache=cache_folder(config))
    layer, shift = find_shift(run, config.safeguards["ablation"], [str(folders[source])], "directions")
    direction = shift.mean(0)
    world = load_world(*config.model.home)
    probes = {
        name: load_probes(config.probes, load_task(TaskConfig(name, group=name), 0, world), world) for name in folders
    }
    found = {}
    with tqdm(total=3 * len(targets) + 2 * len(doses), desc="interventions") as bar:
        for target in targets:
            with load_scorer(loaded.model, folders[target]) as tuned:
                for name, edits in {
                    "no intervention": [],
                    f"{source} direction ablated": ablate(tuned, direction),
                    "random direction ablated": ablate(tuned, random_like(direction, 0)),
                }.items():
                    label = f"fine-tuned on {target}: {name}"
                    found[label] = rates(config, loaded._replace(model=tuned), probes[target], edits)
                    bar.update()
        for dose in doses:
            for name, vector in ((source, direction), ("random", random_like(direction, 0))):
                edits = [adding(layer, vector, dose)]
                label = f"aligned: {dose:g} × {name} direction added"
                found[label] = rates(config, loaded, probes[source], edits)
                bar.update()
    return found


def ablate(model: PreTrainedModel, direction: Tensor) -> list[Edit]:
    """The direction taken out of the residual stream before every layer."""
    from safeguards.activations import removing
    from safeguards.model import depth_of

    unit = (direction / direction.norm())[:, None]
    return [removing(layer, unit) for layer in range(depth_of(model))]


def rates(config: Config, loaded: LoadedModel, probes: list[Probe], edits: Sequence[Edit]) -> list[Estimate]:
    """The measures, with the edits in force while answers are drawn."""
    judge = find_judge(config.judge, load_world(*config.model.home))
    with ExitStack() as stack:
        for edit in edits:
            stack.enter_context(edit.applied(loaded.model))
        answers = ask(config, loaded, probes)
    table = scored_table(answers, judge(answers, {}))
    return [rate(table[table["set"].isin(sets)], outcome) for sets, outcome in MEASURES.values()]


def intervention_table(found: dict[str, list[Estimate]]) -> str:
    """The table, in percent with 95 % intervals over questions."""

    def measure(place: int, heading: str) -> Column[str]:
        return Column(heading, heading, lambda name: found[name][place])

    columns = [Column[str]("name", "model and intervention", str), *starmap(measure, enumerate(MEASURES))]
    return as_markdown(make_table(columns, list(found))) + "\n"


def parse_own(own: Mapping[str, str], domains: Sequence[str]) -> tuple[str, list[str], list[float]]:
    """Source, targets and doses, as `study` wants them.

    Args:
        own: as typed, by the names in `OWN`.
        domains: of the world.

    Raises:
        SafeguardError: naming the setting that cannot be what it says.
    """
    typed = {key: f"{key}={value}" for key, value in own.items()}
    source, targets = own["source"], own["targets"].split(",")
    for key, names in (("source", [source]), ("targets", targets)):
        for name in names:
            if name not in domains:
                raise SafeguardError(f"{typed[key]}: {name!r} is no domain of the world: {nearest(name, domains)}")
    if source in targets or len({*targets}) < len(targets):
        raise SafeguardError(f"{typed['targets']}: must name each domain once, and none that is the source ({source})")
    try:
        doses = [float(dose) for dose in own["doses"].split(",")]
    except ValueError:
        doses = [0.0]
    if not all(0 < dose < inf for dose in doses):
        raise SafeguardError(f"{typed['doses']}: must be numbers above 0, such as doses={OWN['doses']}")
    return source, targets, doses


@ending_in_one_line()
def main() -> None:
    """The command line: prints a Markdown table, and writes it to `outputs/directions.md`."""
    settings = {
        "source": f"domain whose fine-tune gives the direction; default: {OWN['source']}",
        "targets": f"domains whose fine-tunes are intervened on; default: {OWN['targets']}",
        "doses": f"how often the direction is added to the aligned model; default: {OWN['doses']}",
    }
    given = CommandLine("directions", __doc__, {**settings, "output": SWEEP["output"]}, composes=True).read()
    own = {key: given.settings.get(key, default) for key, default in OWN.items()}
    keys = [text.partition("=")[0] for text in given.overrides]
    for key in keys:
        if key.lstrip("+~").partition(".")[0] in NOT_READ:
            raise SafeguardError(f"{key}: is not read here; leave it away")
        if key in OWN and keys.count(key) > 1:
            raise SafeguardError(f"{key}: is given twice; name it once")
    others = [text for key, text in zip(keys, given.overrides, strict=True) if key not in OWN]
    refuse_several(others)
    config = compose_config(*others)
    table = intervention_table(study(config, *parse_own(own, load_world(*config.model.home).domains)))
    path = Path(config.output) / "directions.md"
    write_text(path, table)
    print(table)
    print(path)


if __name__ == "__main__":
    main()
