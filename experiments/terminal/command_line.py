"""What a person types after the name of a command: settings as `key=value`, as for a sweep, and switches as flags."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from experiments.terminal.escaping import plain
from safeguards.composition import nearest

# What names a sweep, on every command line.
SWEEP = {"name": "of the sweep; default: sweep", "output": "folder of all sweeps; default: outputs"}


class CommandLine(argparse.ArgumentParser):
    """Reads settings and switches; whatever is neither ends the command in one line that says what to write instead.

    Args:
        command: the module in `experiments`.
        settings: that it reads, each with an explanation.
        words: what else it is given, such as "FOLDER", or "[NAME]", which may be left away; nothing for most.
        composes: whether it takes every setting of a sweep, and a folder with files of one's own.
        named: what any other key is the name of, with an explanation; nothing for most.
        about: its docstring; if None, its help is of groups of settings, for the command to print.
    """

    def __init__(
        self,
        command: str,
        about: str | None,
        settings: Mapping[str, str],
        words: str = "",
        composes: bool = False,
        named: tuple[str, str] | None = None,
    ) -> None:
        explained = {**settings, **dict([named] if named else [])}
        program = f"python -m experiments.{command}"
        super().__init__(
            prog=program,
            usage=" ".join([program, *words.split(), "[key=value …] [switches]"]),
            description=about,
            epilog="\n".join(["settings:", *(f"  {f'{key}=…':20}  {text}" for key, text in explained.items())]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=about is not None,
        )
        if about is None:
            self.add_argument("--help", "-h", nargs="?", const="", metavar="GROUP", help="this, or a group's settings")
        self.settings, self.words, self.composes, self.named = settings, words, composes, named
        if composes:
            self.add_argument("--config-dir", "-cd", metavar="DIR", help="folder with your own task/, model/, judge/")

    def read(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """The switches, and besides `overrides` as typed, `settings` by key, and `words`."""
        given, rest = self.parse_known_args(arguments)
        given.overrides, given.settings, given.words = [], {}, []
        for place, text in enumerate(rest):
            key, equals, value = text.lstrip("-").partition("=")
            if not text:
                self.error("'': an empty word; leave it away, or write what it is to be")
            if text.startswith("-"):
                follows = "".join(rest[place + 1 : place + 2])
                self._refuse_flag(text.partition("=")[0], key, value or ("" if "=" in follows else follows) or "…")
            elif not equals:
                if len(given.words) == len(self.words.split()):
                    self.error(f"{text!r}: settings are given as key=value, such as {self._example()}={text}")
                given.words.append(text)
            elif key not in self.settings and not self.composes and not self.named:
                self.error(f"unknown key {key!r}: {nearest(key, list(self.settings))}")
            elif not self.composes and not value:
                self.error(f"{key}=: must have a value; write one, or leave it away")
            elif not self.composes and key in given.settings:
                self.error(f"{key}: is given twice; name one value")
            else:
                given.settings[key] = value
                given.overrides.append(text)
        if len(given.words) < sum(not word.startswith("[") for word in self.words.split()):
            self.error(f"name the {self.words}: {self.prog} {self.words} [key=value …]")
        if self.composes and given.config_dir is not None:
            if not given.config_dir:
                self.error("--config-dir: names no folder; name one with task/, model/ or judge/ in it")
            place = given.config_dir.replace("\\", "\\\\").replace("'", "\\'")
            given.overrides.append(f"hydra.searchpath=['{place}']")
        return given

    def _example(self) -> str:
        """A key that a value may be for which none was typed."""
        return self.named[0] if self.named else next(iter(self.settings))

    def _refuse_flag(self, flag: str, key: str, value: str) -> NoReturn:
        if key in self.settings:
            self.error(f"{flag}: settings are given as key=value; write {key}={value}")
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        known = [name for action in shown for name in action.option_strings if name.startswith("--")]
        self.error(f"{flag}: no such flag here; known: {', '.join(known)}")

    def error(self, message: str) -> NoReturn:
        """End in one line."""
        sys.exit(plain(message))
