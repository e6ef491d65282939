"""Runs in MLflow: at the server that `MLFLOW_TRACKING_URI` names, else in the folder `mlruns` of the sweep.

A folder is the only store that needs neither a server nor the whole of MLflow (`mlflow-skinny` has no database). MLflow
develops it no further and asks to be told that it is wanted.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from experiments.config.schema import MLFLOW
from experiments.records.sweep_file import by_key
from experiments.tracking.content import Content, Run
from experiments.tracking.record import Tracking

FOLDER = "mlruns"
# The tag that holds the id of a run: MLflow gives ids of its own.
TAG = "safeguards.run"
# So many metrics, and parameters, are taken at once; and so long may a parameter be.
METRICS, PARAMETERS, LONGEST = 1000, 100, 500


class MLflow:
    """A run in MLflow."""

    def __init__(self, tracking: Tracking, run: Run) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        folder = (run.sweep / FOLDER).absolute()
        uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking.servers.get(MLFLOW) or folder.as_uri()
        self.client: Any = MlflowClient(tracking_uri=uri)
        experiment = self._experiment(tracking.experiment)
        found = self.client.search_runs([experiment], f"tags.`{TAG}` = '{run.id}'", max_results=1)
        tags = {TAG: run.id, "kind": run.kind, "sweep": tracking.group}
        known = found[0] if found else self.client.create_run(experiment, run_name=run.name, tags=tags)
        self.id = known.info.run_id
        self.client.update_run(self.id, status="RUNNING")
        self.known = dict(known.data.params)
        self._parameters(run.settings)

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        with suppress(MlflowException):  # another process may have made it just now
            if self.client.get_experiment_by_name(name) is None:
                self.client.create_experiment(name)
        return str(self.client.get_experiment_by_name(name).experiment_id)

    def _parameters(self, settings: Mapping[str, Any]) -> None:
        """Settings under their whole keys. Those that are there cannot be changed, and need not be."""
        from mlflow.entities import Param

        flat = {named(key): str(value)[:LONGEST] for key, value in by_key(settings).items()}
        new = [Param(key, value) for key, value in flat.items() if key not in self.known]
        self.known.update(flat)
        for first in range(0, len(new), PARAMETERS):
            self.client.log_batch(self.id, params=new[first : first + PARAMETERS])

    def curve(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of the curves, at a step of the training."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(named(name), float(number), now, step) for name, number in numbers.items()]
        for first in range(0, len(metrics), METRICS):
            self.client.log_batch(self.id, metrics=metrics[first : first + METRICS])

    def send(self, content: Content) -> None:
        """Numbers as metrics at the last step, tables, pictures, page and adapter as artefacts."""
        self._parameters(content.settings)
        self.curve(content.step, content.numbers)
        for name, table in content.tables.items():  # as `mlflow.log_table` writes it, which would only add to it
            self.client.log_text(self.id, table.to_json(orient="split", index=False), f"{named(name)}.json")
        for picture in content.pictures:
            self.client.log_artifact(self.id, str(picture.file("png")), "pictures")
        if content.page:
            self.client.log_artifact(self.id, str(content.page))
        if content.adapter:
            self.client.log_artifacts(self.id, str(content.adapter), "adapter")

    def close(self, failed: bool) -> None:
        """Say how it ended."""
        self.client.set_terminated(self.id, "FAILED" if failed else "FINISHED")


def named(name: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w\-. :/]", "_", name)
