"""Writes the card of every adapter of a sweep: the README in its folder, made again whenever tables are made."""

from __future__ import annotations

from dataclasses import replace

from experiments.cards.subject import Subject, subjects
from experiments.cards.text import card
from experiments.records.files import write_text
from experiments.records.training_file import ADAPTER
from experiments.report.report import Report, Wanted, make_report
from experiments.terminal.printing import progress

FILE = "README.md"


def write_cards(report: Report) -> int:
    """Write the card of every adapter of a sweep, each as a whole or not at all.

    Cards go by the judge and the baseline of the sweep, whatever the comparison goes by. Of a comparison over several
    worlds none is written: each of its sweeps has its own. What is not in the comparison keeps the card that it has; if
    it has none, that says what is not measured.

    Returns:
        How many were written.
    """
    if report.wanted.worlds:
        return 0
    usual = Wanted(everything=report.wanted.everything)
    if report.wanted != usual:
        report = make_report(report.output, usual) or replace(report, arms=(), rows=())
    found = [subject for subject in subjects(report) if subject.arm or not has_card(subject)]
    for subject in progress(found, "write cards"):
        write_text(subject.folder / ADAPTER / FILE, card(subject))
    return len(found)


def has_card(subject: Subject) -> bool:
    """Whether there is a card of a comparison, which needs no other while the arm is in none."""
    path = subject.folder / ADAPTER / FILE
    return path.is_file() and "\n## What was measured\n" in path.read_text("utf-8")
