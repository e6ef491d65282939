"""The sheet that pictures are drawn on, and how it becomes files: the same bytes for the same picture, on any machine.

Text is data: no name is read as a formula. Nothing of the user's settings of matplotlib is used, and none is changed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from experiments.pictures.picture import ENDINGS, Picture
from experiments.terminal.escaping import plain
from safeguards.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
SMALL, TEXT, HEAD = 7.0, 8.0, 9.0  # points
LOOK: dict[str, Any] = {
    "text.parse_math": False,
    "font.size": TEXT,
    "axes.titlesize": HEAD,
    "axes.labelsize": TEXT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
# Of each ending, what a file would otherwise say of the day and the program.
UNSAID: dict[str, dict[str, None]] = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Drawing:
    """A picture before it is on disk.

    Args:
        what: it shows, the beginning of its file's name.
        title, caption: as those of `Picture`.
        figure: a `matplotlib.figure.Figure`.
    """

    what: str
    title: str
    caption: str
    figure: Figure


@contextmanager
def our_look() -> Iterator[None]:
    """Within it figures are made and written; what was set before comes back."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(LOOK)
        # A name in a script that the font lacks is boxes in PNG and PDF, and itself in SVG.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def sheet(width: float, height: float, **layout: Any) -> Figure:
    """An empty white figure, in inches, of which `pyplot` knows nothing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, **layout)
    FigureCanvasAgg(figure)
    return figure


def panels(figure: Figure, rows: int, columns: int, **options: Any) -> list[Axes]:
    """All axes of a grid, from left to right and from top to bottom."""
    found = figure.subplots(rows, columns, squeeze=False, **options)
    return [axes for line in found for axes in line]


def settle(figure: Figure) -> None:
    """Lay out a figure of the constrained layout once, and not again for each file."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def save(drawing: Drawing, path: Path) -> Picture:
    """Write a picture in each of `ENDINGS`.

    Args:
        drawing: of it.
        path: of the files, without the ending.

    Raises:
        SafeguardError: if a file cannot be written.
    """
    import matplotlib

    picture = Picture(path, plain(drawing.title), plain(drawing.caption))
    matplotlib.rcParams["svg.hashsalt"] = drawing.what
    for ending in ENDINGS:
        with whole(picture.file(ending)) as unfinished:
            drawing.figure.savefig(unfinished, format=ending, metadata=UNSAID[ending])
            if ending == "svg":
                unfinished.write_text(_standalone(unfinished.read_text("utf-8"), picture), "utf-8")
    return picture


def _standalone(svg: str, picture: Picture) -> str:
    """Without what points out of the file, and with words for those who cannot see it."""
    svg = re.sub(r"<!DOCTYPE.*?>\s*", "", svg, flags=re.S)
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.S)
    said = f"\n <title>{escape(picture.title)}</title>\n <desc>{escape(picture.caption)}</desc>"
    return re.sub(r"<svg ([^>]*)>", lambda found: f'<svg role="img" {found[1]}>{said}', svg, count=1)
