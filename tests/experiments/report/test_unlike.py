"""Warnings where a table mixes judges, questions or trainings."""

from __future__ import annotations

import json

import pytest
from report.test_report import Sweep
from report.test_stopping_curve import em

from experiments.records.files import write_json
from experiments.records.sweep_file import PLAN, RECORDS, known_sweep, read_sweep
from experiments.report.report import Report, make_report
from safeguards.errors import SafeguardError


@pytest.fixture
def sweep(tmp_path, monkeypatch) -> Sweep:
    monkeypatch.chdir(tmp_path)
    made = Sweep(tmp_path / "outputs" / "mine")
    for seed in (0, 1):
        made.add("none", "medical", seed, em(18, 16))
        made.add("kl", "medical", seed, em(9, 4))
    return made


def warnings(sweep: Sweep) -> str:
    report = make_report(sweep.output)
    assert isinstance(report, Report)
    return "\n".join(report.warnings)


def test_arms_that_are_alike_are_not_warned_of(sweep):
    assert warnings(sweep) == ""


def test_other_questions_are_said_with_their_number_and_the_remedy(sweep):
    for seed in (0, 1):
        sweep.add("ldifs", "medical", seed, {"narrow": "m" * 20, "open": "m" * 5, "other_domains": "a" * 3})
    said = warnings(sweep)
    assert "ldifs: was asked 5 of the 20 broad questions of none and 3 others" in said
    assert "ask all alike (probes.…)" in said
    assert "kl" not in said


def test_an_arm_without_its_baseline_is_said_with_what_none_lacks(sweep):
    for seed in (0, 1):
        sweep.add("ldifs", "medical", seed, em(9, 4), training__epochs=7.0)
    assert "no difference to none, which was not run with training.epochs=7.0; run it so, too" in warnings(sweep)


def test_one_judge_with_several_settings_is_two(sweep):
    models = {"none": "gpt-a", "kl": "gpt-b"}
    for arm in sweep.plan:
        place = sweep.output / "arms" / arm.folder / "judge.exact.json"
        write_json(place, {"kind": "openai", "model": models[arm.safeguard], "top_logprobs": 20})
    said = warnings(sweep)
    assert "exact: scored arms in several ways, model=gpt-a (none) and model=gpt-b (kl)" in said
    assert "--again" in said
    assert "top_logprobs" not in said


def test_records_of_another_version_are_refused_and_left_as_they_are(sweep):
    path = sweep.output / PLAN
    assert json.loads(path.read_text("utf-8"))["records"] == RECORDS
    later = path.read_text("utf-8").replace(f'"records": {RECORDS}', f'"records": {RECORDS + 1}')
    path.write_text(later, "utf-8")
    for read in (read_sweep, lambda output: known_sweep(output, "exact")):
        with pytest.raises(SafeguardError, match=rf"records of version {RECORDS + 1}, and this code reads {RECORDS}"):
            read(sweep.output)
    assert path.read_text("utf-8") == later
    assert not list(sweep.output.glob("*.damaged-*"))


def test_records_of_before_versions_are_of_the_first(sweep):
    path = sweep.output / PLAN
    path.write_text(path.read_text("utf-8").replace(f'"records": {RECORDS},', ""), "utf-8")
    assert len(read_sweep(sweep.output).arms) == 4
