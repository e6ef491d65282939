"""What steering adds to the residual stream."""

from __future__ import annotations

import torch
from bench import PERSONA

from safeguards.persona import PersonaSettings, find_persona


def test_it_adds_alpha_times_the_persona_vector_towards_the_trait(bench):
    (safeguard,) = bench.safeguards("steering", alpha=3.0)
    safeguard.prepare(bench.run())
    persona = find_persona(bench.run(), PersonaSettings(**PERSONA), "steering")
    (edit,) = safeguard.edits
    hidden = torch.randn(2, 3, len(persona.vector))
    torch.testing.assert_close(edit.change(hidden), hidden + 3 * persona.vector)
    assert edit.layer == persona.layer == PERSONA["layer"]
