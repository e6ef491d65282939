"""Runs in wandb, online or as files for `wandb sync`.

A run that is there already is resumed, which `wandb sync` also does with files: of two folders with the same id, the
later one adds its curves to those of the earlier, and its summary takes the place of that, which is why all numbers are
sent every time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.config.schema import WANDB
from experiments.tracking.content import STEP, TRAIN, Content, Run
from experiments.tracking.record import Tracking
from experiments.tracking.silent import silent_wandb


class Wandb:
    """A run in wandb. What is not given here, wandb reads from its environment as always, such as `WANDB_TAGS`."""

    def __init__(self, tracking: Tracking, run: Run) -> None:
        wandb = silent_wandb()
        known = {} if os.environ.get("WANDB_BASE_URL") else {"base_url": tracking.servers.get(WANDB)}
        server = {name: address for name, address in known.items() if address}
        run.sweep.mkdir(parents=True, exist_ok=True)
        self.run: Any = wandb.init(
            project=tracking.project,
            entity=tracking.entity,
            group=tracking.group,
            job_type=run.kind,
            name=run.name,
            id=run.id,
            resume="allow",
            config=dict(run.settings),
            dir=os.environ.get("WANDB_DIR") or run.sweep,
            mode=tracking.wandb,
            settings=wandb.Settings(console="off", silent=True, **server),
        )
        self.run.define_metric(STEP)
        self.run.define_metric(f"{TRAIN}*", step_metric=STEP)

    def curve(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of the curves, at a step of the training."""
        self.run.log({**numbers, STEP: step})

    def send(self, content: Content) -> None:
        """Numbers as the summary of the run, all else as media of it."""
        import wandb

        self.run.config.update(dict(content.settings), allow_val_change=True)
        self.run.summary.update(dict(content.numbers))
        tables = {
            name: wandb.Table(dataframe=table.astype(object), allow_mixed_types=True)
            for name, table in content.tables.items()
        }
        media: dict[str, Any] = dict(tables)
        for title, chart in content.charts.items():
            media[title] = wandb.plot.scatter(tables[chart.table], chart.x, chart.y, title=title)
        for picture in content.pictures:
            media[f"pictures/{picture.path.name}"] = wandb.Image(str(picture.file("png")), caption=picture.caption)
        if content.page:
            media["page"] = wandb.Html(content.page.read_text("utf-8"), inject=False, data_is_not_path=True)
        if media:
            self.run.log(media)
        if content.adapter:
            self.run.log_artifact(self._artifact(content.adapter))

    def _artifact(self, folder: Path) -> Any:
        import wandb

        artifact = wandb.Artifact(f"adapter-{self.run.id}", type="model", metadata={"name": self.run.name})
        artifact.add_dir(str(folder))
        return artifact

    def close(self, failed: bool) -> None:
        """End the run, once all is sent or written."""
        self.run.finish(exit_code=int(failed))
