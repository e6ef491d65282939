"""What was measured of a safeguard, here and elsewhere: costs, our tables and the published ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

import results

from experiments.report.published import published_tables
from safeguards import cards


def costs(name: str, said: dict[str, str]) -> str:
    """What its card says, and what was measured."""
    if "Costs" not in said:
        return ""
    known = results.costs(name)
    if known is None:
        return f"{capital(said['Costs'])}\n\nNot measured."
    table, row = known
    plain = [each for each in table.rows if each[0].strip("`") == "none"]
    where = f"As multiples of a plain training ([{table.section}]({link(table.section)}), which says of which model):"
    return f"{capital(said['Costs'])}\n\n{where}\n\n{cards.as_markdown(table.columns, [*plain, row])}"


def ours(name: str) -> str:
    """Its row in our tables, beside `none`."""
    found = results.outcomes(name)
    if not found:
        return "Not measured."
    compared = [table for table in found if table.section in results.COMPARISONS] or found[:1]
    shown = [part for table in compared for part in one_result(name, table)]
    more = ", ".join(f"[{table.section}]({link(table.section)})" for table in found if table not in compared)
    return "\n\n".join([*shown, *[f"It is also in: {more}."] * bool(more)])


def one_result(name: str, table: results.Measured) -> Iterator[str]:
    """One table, cut to what concerns it."""
    rows = [row for each in ("untouched", "none", name) for row in table.of(each)]
    yield f"[{table.section}]({link(table.section)}), which says of which models and tasks (in % and points):"
    yield cards.as_markdown(table.columns, rows)


def published(name: str) -> str:
    """What papers say of it."""
    heads = (
        "table",
        "setting",
        "general misaligned",
        "without",
        "incoherent",
        "in-domain misaligned",
        "benign accuracy",
    )
    rows, remarks = [], []
    for table in published_tables():
        without = next((row for row in table.rows if row.safeguard == "none"), None)
        for row in (row for row in table.rows if row.safeguard.split()[0] == name):
            where = f"{table.name}: {table.table} ([arXiv {table.arxiv}](https://arxiv.org/abs/{table.arxiv}))"
            general = number(row.general_misaligned) or (f"{row.reduction} % less" if row.reduction is not None else "")
            beside = number(without.general_misaligned) if without else ""
            others = (row.general_incoherent, row.in_domain_misaligned, row.benign_accuracy)
            rows.append((where, cell(f"{table.model}; {row.called}"), general, beside, *map(number, others)))
            remarks.append(f"{table.name}: {table.unit}; judge: {table.judge}; numbers from {table.taken}.")
            remarks += [f"{table.name}: {row.unlike}."] * bool(row.unlike)
    if not rows:
        return "None that we know of in numbers that can be set beside ours."
    return f"{cards.as_markdown(heads, rows)}\n\n" + "\n".join(f"* {line}" for line in dict.fromkeys(remarks))


def number(value: float | None) -> str:
    """With two decimals, as tables are printed."""
    return "" if value is None else f"{value:.2f}"


def link(section: str) -> str:
    """A link to a section of RESULTS.md, from the page of a safeguard."""
    anchor = re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-")
    return f"../../{results.RESULTS}#{anchor}"


def cell(text: str) -> str:
    """Text in a table."""
    return text.replace("|", "\\|")


def capital(text: str) -> str:
    """With a large first letter, and on one line."""
    line = " ".join(text.split())
    return line[:1].upper() + line[1:]
