"""Let another judge score the answers of a sweep: `python -m experiments.rescore name=demo judge=openai judge.model=…`.

Overrides are those of the sweep; only `name`, `output`, `judge` and `second_judge` count. Arms that a judge has scored
already are left as they are; with `--again` they are scored again, but what an endpoint or a local model has replied to
is not asked again. Prints the comparison by this judge and, if there are several, how well they agree.

With `labels=FILE` the judge is a person: outcomes that were filled in where `python -m experiments.draw_labels` asked
for them. Rates of the judge by which they were drawn are then corrected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from experiments.config.compose import compose_config
from experiments.config.folders import output_folder, typed_folder
from experiments.config.hydra_settings import refuse_several
from experiments.config.measurement import JudgeConfig
from experiments.config.schema import Config, ModelConfig
from experiments.judges import JUDGE_KEYS, find_judge, has_scored, naming, score_settings
from experiments.organism import is_organism
from experiments.organism.world import load_world
from experiments.records.arm_files import (
    ARMS,
    check_arm,
    count_answers,
    places_of,
    read_answers,
    read_prompts,
    read_result,
    write_scores,
)
from experiments.records.damage import set_aside_damaged_scores
from experiments.records.files import DamagedError
from experiments.records.human_labels import keep_labels
from experiments.records.locks import locked
from experiments.records.sweep_file import PLAN, read_sweep, write_sweep
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line
from experiments.terminal.escaping import plain
from experiments.tracking.arm import track_arms
from safeguards.errors import SafeguardError

# The settings that count.
READ = re.compile(r"name|output|(second_)?judge(\..+)?|judge@second_judge|hydra\.searchpath")


def rescore(config: Config, again: bool = False) -> None:
    """Have the judges score every arm of this name that is done, also those that only earlier commands asked for.

    Args:
        config: of which output folder, sweep and judges count.
        again: also arms that a judge has scored.

    Raises:
        SafeguardError: if there is nothing to score or a judge cannot go on. Arms scored until then are kept.
    """
    output = output_folder(config)
    models = {output / ARMS / arm.folder: arm.model for arm in read_sweep(output).planned(everything=True)}
    done = {folder: model for folder, model in models.items() if is_whole(folder)}
    for folder in done:
        with locked(output, folder.name):
            set_aside_damaged_scores(folder, [judge.name for judge in config.judges])
    if not done:
        raise SafeguardError(f"{output}: no arm is done; run experiments.sweep with name={config.name} again")
    # All judges are found before the first is asked, and one for all arms (of a world), so that a model is loaded once.
    worlds = {  # a record leaves out the usual organism, and imported answers have no world
        folder: (model.get("world", 0), model.get("organism", ModelConfig.organism)) for folder, model in done.items()
    }
    judges = list(zip(JUDGE_KEYS, config.judges, strict=False))
    found = [
        {world: find_judge(judge, load_world(*world), key) for world in set(worlds.values())} for key, judge in judges
    ]
    foreign = [model["name"] for model in done.values() if not is_organism(model.get("path", ""))]
    if foreign and any(judge.kind == "exact" for judge in config.judges):
        raise SafeguardError(f"judge=exact: knows only the organism's world, but answers are those of {foreign[0]}")
    waiting = []
    for key, judge in judges:
        with naming(key):
            waiting.append({folder: places for folder in done if (places := unscored(folder, judge, again))})
    for (_, judge), by_world, folders in zip(judges, found, waiting, strict=True):
        count = sum(count_answers(place) for places in folders.values() for place in places)
        already = f"{len(done)} arms, {len(done) - len(folders)} of them scored by {judge.name} already"
        print(f"{already}; {count} answers of {len(folders)} arms to judge", flush=True)
        for number, (folder, places) in enumerate(folders.items(), start=1):
            print(plain(f"[{number}/{len(folders)}] {folder.name}"), flush=True)
            with locked(output, folder.name):  # as the sweep that runs it: scores are to be of the answers there
                for place in places:
                    scores = by_world[worlds[folder]](list(read_answers(place)), read_prompts(place))
                    write_scores(place, judge.name, scores, score_settings(judge))
    with locked(output, PLAN):
        sweep = read_sweep(output)  # it may have grown in the meantime
        if sweep.judge == "none":  # nobody had judged it, so from now on its tables go by this judge
            write_sweep(output, replace(sweep, judge=config.judge.name))
    track_arms(output, [folder for folder in done if any(folder in folders for folders in waiting)])


def unscored(folder: Path, judge: JudgeConfig, again: bool) -> list[Path]:
    """Where answers of an arm and of looks on its way are that a judge is to score."""
    return [place for place in places_of(folder) if again or not has_scored(place, judge)]


def rescore_by_labels(settings: Mapping[str, str]) -> None:
    """Keep what people said of answers, and print the comparison by the judge that they correct."""
    output = typed_folder(settings, "sweep")
    kept = keep_labels(output, Path(settings["labels"]))
    print(plain(f"{kept.labels} answers are labelled by {kept.name}"), flush=True)
    from experiments.report.report import Wanted
    from experiments.showing.show import show_sweep

    show_sweep(output, Wanted(kept.corrects), send=True)


def is_whole(folder: Path) -> bool:
    """Whether an arm is done; one that is, but with damaged answers, is reported and left out."""
    try:
        check_arm(folder)
        return read_result(folder) is not None
    except DamagedError as error:
        print(f"left out: {error}", flush=True)
        return False


@ending_in_one_line()
def main() -> None:
    """The command line. What is wrong is said in one line, and the exit status is 1."""
    judges = {"judge": "exact, openai, local or classifier", "judge.…": "its settings: experiments.sweep --help judge"}
    others = {"judge@second_judge": "another", "labels": "instead of a judge: the file that a person filled in"}
    line = CommandLine("rescore", __doc__, {**SWEEP, **judges, **others}, composes=True)
    line.add_argument("--again", action="store_true", help="also arms that this judge has scored")
    given = line.read()
    if "labels" in given.settings:
        if beside := [key for key in given.settings if key not in ("name", "output", "labels")]:
            line.error(f"{beside[0]}: is not read with labels=…, which is the judge; leave it away")
        if given.again:
            line.error("--again: is not read with labels=…; a file is always read anew, so leave it away")
        if not given.settings["labels"]:
            line.error("labels=: must name the file that a person filled in")
        rescore_by_labels(given.settings)
        return
    for key in given.settings:
        if not READ.fullmatch(key.lstrip("+")):
            line.error(f"{key}: is not read here; only name, output, judge…, second_judge… and judge@second_judge are")
    refuse_several(given.overrides)
    if "judge" not in given.settings:
        line.error(f"judge=…: name the judge that is to score: {judges['judge']}")
    config = compose_config(*given.overrides)
    if config.judge.kind == "none":
        line.error(f"judge={given.settings['judge']}: scores nothing; name {judges['judge']}")
    rescore(config, given.again)
    from experiments.report.report import Wanted
    from experiments.showing.show import show_sweep

    show_sweep(output_folder(config), Wanted(config.judge.name), send=True)


if __name__ == "__main__":
    main()
