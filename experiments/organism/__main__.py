"""Train an organism again, or another one: `python -m experiments.organism --size tiny --world 1 --output FOLDER`.

Without `--output` the organism of another world is built for all sweeps with that `model.world`, if it is not there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from experiments.organism.built import SHIPPED_WORLD, build_once, built_folder, recipe_of
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
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="folder to write; then model.path=FOLDER")
    given = parser.parse_args()
    if given.world < 0:
        parser.error(f"--world {given.world}: must be at least 0")
    usual = recipe_of((given.world, given.organism))
    recipe = replace(usual, size=given.size, seed=given.seed)
    if given.output is None:
        if recipe != usual or given.world == SHIPPED_WORLD:
            parser.error("--output: name a folder; only other worlds, of size tiny and seed 0, have one in the cache")
        folder = built_folder(recipe)
        build_once(recipe, folder, waits=lambda: print("another process builds it, and is waited for", flush=True))
    else:
        folder = given.output
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        from experiments.organism.build import build

        build(recipe, folder)
    print(f"the organism is in {folder}")


if __name__ == "__main__":
    main()
