"""Which safeguards, at which doses, for my fine-tune? `python -m experiments.search budget=60 "keep=[narrow>=0.8]"`.

Tries safeguards, joined and at doses, as arms of an ordinary sweep; then confirms the best on seeds, tasks and worlds
that the search never saw (`<name>-confirmed`). Settings are those of experiments.sweep, and the search's own:
"""

from __future__ import annotations

from dataclasses import fields

from hydra import initialize_config_dir

from experiments.config.compose import CONF
from experiments.config.schema import Config
from experiments.searching.asked import OWN, Asked, read_asked
from experiments.terminal.command_line import CommandLine
from experiments.terminal.ending import ending_in_one_line
from experiments.training.together import processes
from safeguards.errors import SafeguardError


def search(asked: Asked) -> None:
    """Search, confirm, and tell what was found.

    Raises:
        SafeguardError: for what cannot be searched so, before any arm is run.
    """
    from experiments.searching.confirm import confirm, runner_for, unseen
    from experiments.searching.found import find
    from experiments.searching.search import Search
    from experiments.searching.trials import Trials
    from experiments.searching.write import tell

    with initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="sweep"):
        mine = Search(asked)
        confirming = runner_for(asked, unseen(asked, mine.runner.references), mine.runner.output.name)
        trials = Trials(mine.runner.output, mine.space, mine.goals)
        trials.begin(asked.identity(mine.space.as_json()))
        mine.run(trials)
        found = find(mine.keep, mine.goals, mine.references, trials.tried, mine.space)
        tell(mine.runner.output, found, [], asked.shared)
        confirmed = confirm(confirming, found)
        tell(mine.runner.output, found, confirmed, asked.shared)


@ending_in_one_line()
def main() -> None:
    """The command line."""
    line = CommandLine("search", __doc__, OWN, composes=True)
    line.settings = {**OWN, **dict.fromkeys(["name", *(one.name for one in fields(Config))], "of a sweep")}
    given = line.read()
    if processes() > 1:
        raise SafeguardError("search: is one process; start it several times with the same name=… to share its work")
    search(read_asked(given.overrides))


if __name__ == "__main__":
    main()
