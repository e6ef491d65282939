"""Show a sweep: make its comparison once, and from it everything that people look at."""

from __future__ import annotations

from pathlib import Path

from experiments.cards.write import write_cards
from experiments.page.page import write_page
from experiments.pictures.draw import draw_pictures
from experiments.report.report import Report, Wanted, make_report
from experiments.report.write import print_places, print_report, write_files
from experiments.tracking.sweep import track_sweep


def show_sweep(output: Path, wanted: Wanted | None = None, send: bool = False) -> Report | None:
    """Write the comparison of the sweep in `output` to files, and print it.

    By another judge than the one that the sweep goes by, the files are `comparison.<judge>.json` and so on; of
    everything that was ever asked for under this name, and not by the last command only, `comparison.all.json`;
    against another baseline than that of the sweep, `comparison.against_<baseline>.json`.

    Args:
        output: of the sweep, or of several worlds any other folder.
        wanted: what is to be compared.
        send: it to the trackers of the sweep, too: where results are new, not where one only looks at them.

    Returns:
        The comparison; None, and nothing is written, if no arm is done.

    Raises:
        SafeguardError: as `make_report`.
    """
    report = make_report(output, wanted)
    if report is None:
        return None
    write_files(report)
    print_report(report)
    pictures = draw_pictures(report)
    write_cards(report)
    page = write_page(report, pictures)
    if send:
        track_sweep(report, pictures, page)
    print_places(report, page)
    return report
