"""Train an organism again, or another one: `python -m experiments.organism --size tiny --world 1 --output FOLDER`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from experiments.organism.recipe import RECIPES, SIZES
from experiments.terminal.ending import ending_in_one_line
from safeguards.files import writing


@ending_in_one_line("the same command begins anew")
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.organism", description=__doc__)
    parser.add_argument("--organism", choices=RECIPES, default="two", help="which of the two (default: two)")
    parser.add_argument("--size", choices=SIZES, default="tiny", help="larger ones want a GPU (default: tiny)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and documents (default: 0)")
    parser.add_argument("--world", type=int, default=0, help="another seed deals the same words again (default: 0)")
    parser.add_argument("--output", type=Path, required=True, help="folder to write; then model.path=FOLDER")
    arguments = parser.parse_args()
    with writing(arguments.output):
        arguments.output.mkdir(parents=True, exist_ok=True)
    from experiments.organism.build import build

    recipe = replace(RECIPES[arguments.organism], size=arguments.size, seed=arguments.seed, world=arguments.world)
    build(recipe, arguments.output)
    print(f"the organism is in {arguments.output}")


if __name__ == "__main__":
    main()
