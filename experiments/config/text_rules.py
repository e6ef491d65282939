"""What text must be that names a file, a model, a device or the like. Each rule says so, or nothing if all is well."""

from __future__ import annotations

import re
from pathlib import Path

from experiments.records.measures import MEASURES

# Beside the sweeps, the folder of what they share.
CACHE = "cache"


def file_name(value: str) -> str:
    """What text must be that names files, if it is not that."""
    plain = re.fullmatch(r"(\w[\w.+-]{0,99})?", value)
    return "" if plain else "must be letters, digits and .+_- only, at most 100, since it names files"


def table_name(value: str) -> str:
    """What text must be that stands in tables, if it is not that."""
    return "" if len(value.strip()) > 0 and len(value) <= 100 else "must be a name of 1 to 100 characters"


def hub_name(value: str) -> str:
    """What text must be that is a folder or the name of something on the hub, if it is not that."""
    if len(value) > 4096 or any(len(part.encode()) > 255 for part in value.split("/")):
        return "must be a path, whose parts have at most 255 characters"
    try:
        Path(value).expanduser()
    except RuntimeError:
        return "must be a whole path: nobody here has this home folder"
    return ""


def path_name(value: str) -> str:
    """What text must be that is a path on this machine, if it is not that."""
    if not value.strip():
        return "must be a path"
    return "must be a whole path, without ~" if value.startswith("~") else hub_name(value)


def device_name(value: str) -> str:
    """What text must be that is a device, if it is not that."""
    known = re.fullmatch(r"auto|cpu|(cuda|mps|xpu)(:\d{1,3})?", value)
    return "" if known else "must be auto, cpu, cuda, mps or xpu, with a number as in cuda:0 if there are several"


def named_one(value: str) -> str:
    """What a model or data set must be, if it is not that."""
    return hub_name(value) if value else "must be a folder or hub name"


def folder_name(value: str) -> str:
    """What the name of a sweep must be, which is a folder's, if it is not that."""
    if value == CACHE:
        return f"must be another name, since {CACHE} is the folder of what all sweeps keep"
    return file_name(value) or ("" if value else "must be a name")


def optimizer_name(value: str) -> str:
    """What an optimizer must be, if it is not that. Only an uncommon one makes `transformers` load, which knows all."""
    if value in ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd"):
        return ""
    from transformers.training_args import OptimizerNames

    return "" if value in {known.value for known in OptimizerNames} else "must be an optimizer of transformers"


def safeguard_name(value: str) -> str:
    """What the safeguard of an arm must be, if it is not that. "none" is to be said."""
    return "" if value.strip() else "must be a safeguard, several joined by +, or none"


def measure_name(value: str) -> str:
    """What an outcome of a comparison must be, if it is not that."""
    keys = [measure.key for measure in MEASURES]
    return "" if value in keys else f"must be one of {', '.join(keys)}"
