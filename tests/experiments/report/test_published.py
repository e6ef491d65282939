"""Published numbers: each table says where it is from, and reductions are what the rates make them."""

from __future__ import annotations

import pytest

from experiments.config.compose import CONF
from experiments.report.published import published_tables
from safeguards.composition import registry

TABLES = {table.name: table for table in published_tables()}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_says_what_must_be_known_to_read_it(table):
    for said in (table.source, table.arxiv, table.table, table.taken, table.model, table.judge, table.domain):
        assert said
    assert "%" in table.unit
    names = [row.safeguard for row in table.rows]
    assert len(set(names)) == len(names)
    assert {name.split()[0] for name in names} - {"none", "untouched"} <= set(registry())
    if table.preset:
        assert (CONF / "paper" / f"{table.preset.removeprefix('+paper=')}.yaml").is_file()
    for row in table.rows:
        rates = (row.general_misaligned, row.general_incoherent, row.in_domain_misaligned, row.in_domain_incoherent)
        known = [value for value in (*rates, row.reduction, row.benign_accuracy) if value is not None]
        assert known, row
        assert all(0 <= value <= 100 for value in known)
        assert sum(value or 0 for value in rates[:2]) <= 100
        assert sum(value or 0 for value in rates[2:]) <= 100


def test_reductions_are_of_what_no_safeguard_lets_through():
    security, code = TABLES["security v1"].prevented(), TABLES["code v3"].prevented()
    assert security == pytest.approx(
        {"kl": 0.9223, "interleave": 0.9474, "safelora": 0.4065, "ldifs": 0.0697}, abs=1e-4
    )
    assert [round(100 * code[name]) for name in ("steering", "kl", "interleave_ppl", "interleave", "inoculation")] == [
        *(98, 91, 90, 86, 52)
    ]
    assert TABLES["mean v3"].prevented()["steering"] == pytest.approx(0.966)
    assert TABLES["opswap v1"].prevented() == {}, "a benign task"
