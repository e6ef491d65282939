"""Writes the tables of a sweep, as commands do, without what is drawn, shown in a browser or sent elsewhere."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from experiments.report.report import Wanted, make_report
from experiments.report.write import print_places, print_report, write_files


def write_report(output: Path, **wanted: Any) -> bool:
    """Whether there was anything to write."""
    if report := make_report(output, Wanted(**wanted)):
        write_files(report)
        print_report(report)
        print_places(report)
    return report is not None


def read_csv(path: Path) -> list[dict[str, str]]:
    """The lines of a table that a command has written."""
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))
