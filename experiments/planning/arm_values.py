"""The values of one arm after another, quickly: config groups are composed once per choice, the rest is set on top."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

# Its settings are those of the early warning, too.
MONITORED = "steering"


class ArmValues:
    """What Hydra would compose from an arm's overrides, without reading the same files for every arm.

    Args:
        loader: Hydra's.
        master: the configuration that all arms share.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self.loader, self.master = loader, master
        self.composed: dict[tuple[str, ...], DictConfig | Exception] = {}
        self.parse = cache(self._parse)
        self.is_read_elsewhere = cache(self._is_read_elsewhere)
        own = list(master.hydra.overrides.hydra)
        self.is_group = cache(lambda key: bool(loader.get_group_options(key, overrides=own)))

    def values(self, overrides: Sequence[str]) -> DictConfig:
        """The values of an arm, Hydra's own left out. They are good until the next call, which sets its own on them.

        Raises:
            HydraException, OmegaConfBaseException: if there is no such arm.
        """
        parsed = {text: self.parse(text) for text in overrides}
        leaves = {text: override for text, override in parsed.items() if not self.is_group(override.key_or_group)}
        if any(isinstance(override.value(), dict) for override in leaves.values()):
            leaves = {}  # their order counts, and what they leave out must not be what the arm before had
        groups = tuple(text for text in parsed if text not in leaves)
        # Which values are set must be the same, too: one that was set stays.
        key = (*groups, *(override.key_or_group for override in leaves.values()))
        if key not in self.composed:
            self.composed[key] = self._compose(groups)
        found = self.composed[key]
        if isinstance(found, Exception):
            raise found
        for override in leaves.values():
            _set(found, override)
        return found

    def counting(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """The overrides without those of safeguards that are not named: two arms that differ only there are one."""
        named = [name for text in overrides if text.startswith("safeguard=") for name in re.findall(r"\w+", text)]
        return tuple(
            text
            for text in overrides
            if not (found := re.match(r"safeguards\.(\w+)", text))
            or found[1] in (*named, MONITORED)
            or self.is_read_elsewhere(found[0])
            or any("${" in other for other in overrides)
        )

    def _parse(self, text: str) -> Override:
        (override,) = OverridesParser.create(config_loader=self.loader).parse_overrides([text])
        return override

    def _is_read_elsewhere(self, key: str) -> bool:
        """Whether a value in any configuration file is taken from this key."""
        folders = [Path(one.path) for one in self.master.hydra.runtime.config_sources if one.schema == "file"]
        files = [path for folder in folders for path in folder.rglob("*.yaml")]
        return any(f"${{{key}" in path.read_text("utf-8", errors="ignore") for path in files)

    def _compose(self, overrides: Sequence[str]) -> DictConfig | Exception:
        try:
            values = self.loader.load_sweep_config(self.master, list(overrides))
        except Exception as error:  # kept like values: it is as slow to find
            return error
        with open_dict(values):
            del values["hydra"]
        assert isinstance(values, DictConfig)
        return values


def _set(values: DictConfig, override: Override) -> None:
    """Set one value, with errors as Hydra raises them."""
    value: Any = override.value()
    if override.package is not None:
        raise ConfigCompositionException(f"{override.input_line}: there is no group {override.key_or_group!r}")
    try:
        OmegaConf.update(values, override.key_or_group, value, merge=True)
    except OmegaConfBaseException as error:
        raise ConfigCompositionException(f"Error merging override {override.input_line}") from error
