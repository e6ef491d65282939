"""What a long step prints where no terminal shows a bar."""

from __future__ import annotations

import re

import pytest

from experiments.terminal.printing import in_tenths


@pytest.mark.parametrize(
    ("steps", "told"), [(40, [*range(4, 41, 4)]), (25, [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]), (3, [1, 2, 3])]
)
def test_a_line_for_every_tenth_the_last_step_included(capsys, steps, told):
    advance = in_tenths("alignment", steps)
    for step in range(steps):
        advance(f"loss {step}")
    lines = capsys.readouterr().out.splitlines()
    assert [int(re.search(r"step (\d+) of", line)[1]) for line in lines] == told
    assert re.fullmatch(rf"alignment: step {steps} of {steps}, loss {steps - 1}, 0 seconds", lines[-1])
