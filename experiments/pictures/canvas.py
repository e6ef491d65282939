"""The sheet that pictures are drawn on, and how it becomes files: the same bytes for the same picture, on any machine.

Text is data: no name is read as a formula. Nothing of the user's settings of matplotlib is used, and none is changed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from experiments.pictures.picture import ENDINGS, Picture
from experiments.pictures.words import lines
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


def named_rows(called: Sequence[str], columns: int, bars: bool = False) -> tuple[Figure, list[Axes]]:
    """Panels side by side with a place for each row, named at the left, the first at the top.

    Args:
        called: what each row is called.
        columns: how many panels.
        bars: whether they hold bars, which are as thick as names need.
    """
    said = [lines(name) for name in called]
    widest = max(len(line) for name in said for line in name.split("\n"))
    each = 0.13 * max(name.count("\n") + 1 for name in said) + (0.13 if bars else 0.1)
    size = 0.6 + 0.068 * widest + (5.0 if columns == 1 else 2.1 * columns), 1.15 + each * max(len(said), 2)
    figure = sheet(*size, layout="constrained")
    found = list(figure.subplots(1, columns, squeeze=False, sharey=True)[0])
    found[0].set_yticks(range(len(said)), said)
    found[0].set_ylim(len(said) - 0.4, -0.6)
    for axes in found:
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        for place in range(0, 0 if bars else len(said), 2):
            axes.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", lw=0, zorder=0)
    return figure, found


def multiples(
    called: Sequence[str], most: int = 4, size: tuple[float, float] = (1.75, 1.3)
) -> tuple[Figure, list[Axes]]:
    """Small panels of one scale, each named at its top, at most so many beside each other; size in inches."""
    columns = min(most, len(called)) if len(called) != most + 1 else (most + 2) // 2
    said = [lines(name, 20) for name in called]
    high = -(-len(said) // columns)
    each = size[1] + 0.13 * max(name.count("\n") for name in said)
    figure = sheet(max(size[0] * columns, 3.2) + 0.5, each * high + 0.5 + 0.6 * (high == 1), layout="constrained")
    grid = figure.subplots(high, columns, squeeze=False, sharex=True, sharey=True)
    found = [axes for row in grid for axes in row]
    for axes in found[len(said) :]:
        axes.remove()
    for n, (axes, name) in enumerate(zip(found, said, strict=False)):
        axes.set_title(name, fontsize=TEXT if size[0] > 2 else SMALL)
        axes.tick_params(labelbottom=n + columns >= len(said))
    return figure, found[: len(said)]


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
    drawing.figure.draw_without_rendering()
    drawing.figure.set_layout_engine("none")  # laid out once, and not again for each file
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
