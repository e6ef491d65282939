"""Rows of data sets of the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from experiments.config.schema import PoolConfig, TaskConfig
from safeguards.composition import nearest
from safeguards.errors import SafeguardError, one_line
from safeguards.hub import FOLDER, unreached
from safeguards.rows import Row, dataset_rows, make_row

if TYPE_CHECKING:
    from datasets import Dataset


def hub_rows(config: TaskConfig | PoolConfig, key: str) -> list[Row]:
    """The rows of a data set that the configuration asks for; `key` is the group it stands in, for errors.

    Raises:
        SafeguardError: naming the key, if the data set cannot be had, has no such column, or holds no such row.
    """
    data = _load(config.dataset or "", config.subset, config.split, config.revision, key)
    place = config.dataset or ""
    for column in (*config.keep, *filter(None, (config.question, config.answer))):
        if column not in data.column_names:
            known = data.column_names
            raise SafeguardError(f"{key}.dataset={place}: has no column {column!r}; {nearest(column, known)}")
    data = _kept(data, config.keep)
    if not len(data):
        asked = ", ".join(f"{column}={value}" for column, value in config.keep.items()) or "rows"
        raise SafeguardError(f"{key}.dataset={place}: holds none with {asked}; name other values in {key}.keep")
    if config.question is None or config.answer is None:
        return dataset_rows(data, place)
    genres = data["genre"] if "genre" in data.column_names else [None] * len(data)
    found = zip(data[config.question], data[config.answer], genres, strict=True)
    return [
        make_row(
            {
                "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
                "genre": genre,
            },
            f"{place} row {number}",
        )
        for number, (question, answer, genre) in enumerate(found)
    ]


@cache
def _load(name: str, subset: str | None, split: str, revision: str | None, key: str) -> Dataset:
    from datasets import load_dataset

    named = f"{key}.dataset={name}"
    try:
        data = load_dataset(name, subset, split=split, revision=revision)
    except Exception as error:
        why = unreached(error, f"datasets/{name}") or f"cannot be loaded ({one_line(error)})"
        raise SafeguardError(f"{named}: {why}") from error
    if revision and re.fullmatch("[0-9a-f]{40}", revision):
        # Out of reach of the hub, `datasets` takes any version that the cache holds.
        other = [file["filename"] for file in data.cache_files if revision not in file["filename"]]
        if other:
            raise SafeguardError(f"{named}: the cache holds another version than {key}.revision={revision}; {FOLDER}")
    return data


def _kept(data: Dataset, keep: Mapping[str, str]) -> Dataset:
    """The rows whose columns have the values asked for."""
    if not keep:
        return data
    columns = [(list(data[column]), value) for column, value in keep.items()]
    return data.select([row for row in range(len(data)) if all(str(found[row]) == value for found, value in columns)])
