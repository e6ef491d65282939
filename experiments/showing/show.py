"""Show a sweep: make its comparison once, and from it everything that people look at."""

from __future__ import annotations

from pathlib import Path

from experiments.pictures.draw import draw_pictures
from experiments.report.report import Wanted, make_report
from experiments.report.write import print_places, print_report, write_files


def show_sweep(output: Path, wanted: Wanted | None = None) -> bool:
    """Write the comparison of the sweep in `output` to files, and print it.

    By another judge than the one that the sweep goes by, the files are `comparison.<judge>.json` and so on; of
    everything that was ever asked for under this name, and not by the last command only, `comparison.all.json`;
    against another baseline than that of the sweep, `comparison.against_<baseline>.json`.

    Args:
        output: of the sweep, or of several worlds any other folder.
        wanted: what is to be compared.

    Returns:
        False, and writes nothing, if no arm is done.

    Raises:
        SafeguardError: as `make_report`.
    """
    report = make_report(output, wanted)
    if report is None:
        return False
    write_files(report)
    print_report(report)
    draw_pictures(report)
    print_places(report)
    return True
