"""Tables: columns and rows, once for the terminal, Markdown, LaTeX and CSV."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from experiments.statistics.estimates import Estimate
from experiments.terminal.escaping import latex, markdown, plain

Row = TypeVar("Row")
Value = Estimate | float | str | None


@dataclass(frozen=True)
class Column(Generic[Row]):
    """What a table shows of every row.

    Args:
        key: names the numbers in CSV.
        heading: for people.
        value: of a row, in full.
        text: of a row, for people (default: `shown` of the value); empty where there is nothing to say.
        caption: of a table with these rows, where the heading does not say it.
        needed: whether these rows need it. A column without a text is left out in any case.
        headed: the heading of a table with these rows, where it depends on them.
    """

    key: str
    heading: str
    value: Callable[[Row], Value]
    text: Callable[[Row], str] | None = None
    caption: str | Callable[[Sequence[Row]], str] = ""
    needed: Callable[[Sequence[Row]], bool] = bool
    headed: Callable[[Sequence[Row]], str] | None = None

    def cell(self, row: Row) -> str:
        """What people read."""
        return shown(self.value(row)) if self.text is None else self.text(row)

    def explanation(self, rows: Sequence[Row]) -> str:
        """The caption for these rows."""
        return self.caption if isinstance(self.caption, str) else self.caption(rows)

    def numbers(self, row: Row) -> dict[str, Any]:
        """What CSV has of a row: four columns for an estimate."""
        value = self.value(row)
        if isinstance(value, Estimate):
            return {f"{self.key}.{name}": part for name, part in value._asdict().items()}
        return {self.key: plain(value) if isinstance(value, str) else value}


@dataclass(frozen=True)
class Table:
    """Text in columns as people read it, with its caption, and a title where there are several tables."""

    cells: pd.DataFrame
    caption: str
    title: str = ""


def make_table(columns: Sequence[Column[Row]], rows: Sequence[Row], title: str = "") -> Table:
    """The columns that say something of these rows, with their captions."""
    cells = {column: [column.cell(row) for row in rows] for column in columns if column.needed(rows)}
    cells = {column: texts for column, texts in cells.items() if any(texts)}
    captions = [text for column in cells if (text := column.explanation(rows))]
    headings = [column.heading if column.headed is None else column.headed(rows) for column in cells]
    return Table(pd.DataFrame(list(zip(*cells.values(), strict=True)), columns=headings), " ".join(captions), title)


def as_markdown(table: Table) -> str:
    """The cells as they are, so 23.0 stays 23.0 and a name with a bar in it is one cell."""
    cells = table.cells.map(markdown).rename(columns=markdown)
    return str(cells.to_markdown(index=False, disable_numparse=True))


def as_latex(table: Table) -> str:
    """A tabular in the style of booktabs, after its caption as a comment."""
    cells = [list(table.cells.columns), *table.cells.to_numpy().tolist()]
    rows = [" & ".join(map(latex, row)) + r" \\" for row in cells]
    columns = "l" + "r" * (len(table.cells.columns) - 1)
    head = [f"% {plain(table.caption)}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rows[0], r"\midrule"]
    return "\n".join([*head, *rows[1:], r"\bottomrule", r"\end{tabular}"])


def as_csv(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> str:
    """All columns with all digits, none left out, as programs read them."""
    lines = [{name: part for column in columns for name, part in column.numbers(row).items()} for row in rows]
    return pd.DataFrame(lines).to_csv(index=False)


def print_table(table: Table) -> None:
    """Show the table in the terminal. Nothing of it is markup, whatever a name looks like."""
    caption = Text(plain(table.caption))
    grid = RichTable(caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for place, name in enumerate(table.cells.columns):
        grid.add_column(Text(plain(name)), justify="right" if place else "left", overflow="fold", no_wrap=not place)
    for cells in table.cells.itertuples(index=False):
        grid.add_row(*(Text(plain(cell)) for cell in cells))
    terminal().print(grid)


def terminal() -> Console:
    """Where tables are printed; what is no terminal, such as a file, is wide."""
    return Console(width=None if sys.stdout.isatty() else 200)


def shown(value: Value) -> str:
    """A value for people, rates in percent."""
    if isinstance(value, Estimate):
        return percent(value)
    return "" if value is None else str(value)


def percent(rate: Estimate) -> str:
    """A rate with its interval, in percent."""
    if rate.mean is None or rate.low is None or rate.high is None:
        return ""
    return f"{hundredths(rate.mean)} [{_bound(rate.low, rate.mean)}, {_bound(rate.high, rate.mean)}]"


def _bound(bound: float, mean: float) -> str:
    """To a tenth below ten, and where a whole number would be on the other side of the mean."""
    whole = round(100 * bound)
    beyond = (whole > 100 * mean) if bound <= mean else (whole < 100 * mean)
    return hundredths(bound) if abs(bound) < 0.1 or beyond else str(whole)


def hundredths(share: float) -> str:
    """A share in percent, or a difference of shares in points, as every table and warning writes it."""
    return f"{100 * share:.1f}"


def number(estimate: Estimate, digits: int = 3) -> str:
    """An estimate with its interval, to a thousandth or to so many digits."""
    if estimate.mean is None:
        return ""
    mean = f"{estimate.mean:.{digits}f}"
    return mean if estimate.low is None else f"{mean} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
