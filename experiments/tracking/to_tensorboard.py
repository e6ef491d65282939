"""Runs in TensorBoard: `tensorboard --logdir outputs/<name>/tensorboard` shows all arms of a sweep by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.records.sweep_file import by_key
from experiments.report.table import Table, as_markdown
from experiments.tracking.content import Content, Run
from experiments.tracking.record import Tracking

FOLDER = "tensorboard"
# Endings of event files: curves are added to, what is known at the end is written anew.
CURVES, END = ".curves", ".end"


class TensorBoard:
    """The event files of a run. TensorBoard shows no pages and keeps no adapters."""

    def __init__(self, tracking: Tracking, run: Run) -> None:
        self.folder = run.sweep / FOLDER / run.place
        self.curves: Any = None

    def curve(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of the curves; what an earlier try drew from this step on is not shown any more."""
        if self.curves is None:
            from torch.utils.tensorboard import SummaryWriter

            self.curves = SummaryWriter(str(self.folder), purge_step=step, filename_suffix=CURVES)
        for name, number in numbers.items():
            self.curves.add_scalar(name, number, step)

    def send(self, content: Content) -> None:
        """Numbers as scalars at the last step, tables as text, in place of those that were there."""
        import numpy as np
        import pandas as pd
        from matplotlib.image import imread
        from torch.utils.tensorboard import SummaryWriter

        for earlier in self.folder.glob(f"*{END}"):
            earlier.unlink()
        with SummaryWriter(str(self.folder), filename_suffix=END) as writer:
            settings = Table(
                pd.DataFrame(by_key(content.settings).items(), columns=["setting", "value"]).astype(str), ""
            )
            writer.add_text("settings", as_markdown(settings), content.step)
            for name, number in content.numbers.items():
                writer.add_scalar(name, number, content.step)
            for name, table in content.tables.items():
                writer.add_text(name, as_markdown(Table(table.fillna("").astype(str), "")), content.step)
            for picture in content.pictures:
                pixels = np.asarray(imread(picture.file("png")))
                writer.add_image(f"pictures/{picture.path.name}", pixels[..., :3], content.step, dataformats="HWC")

    def close(self, failed: bool) -> None:
        """Write what is not written yet."""
        if self.curves is not None:
            self.curves.close()
