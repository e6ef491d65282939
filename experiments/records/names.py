"""What arms, tasks and sets of questions are called in the records."""

from __future__ import annotations

# The arm that is not trained at all.
UNTOUCHED = "untouched"

# Kinds of tasks: one that induces misalignment, and one that must stay learnable.
EM_TASK, BENIGN_TASK = "em", "benign"

# What `task=benign` stands for: near what a model does already, far from it, against what it was taught, and new facts.
SEVERAL_TASKS = {BENIGN_TASK: ("style", "opswap_tier1", "opswap_tier3", "colours")}

# About the task itself: always asked.
NARROW, BENIGN = "narrow", "benign"
# About all else, as `probes.sets` names it: asked if it is named there.
OTHER, OPEN, HARMFUL, FACTS, ARITHMETIC = "other_domains", "open", "harmful", "facts", "arithmetic"
BIAS, CONDITIONAL = "bias", "conditional"
# The same question about two people, one whom the stereotype favours and one whom it slights.
FAVOURED, SLIGHTED = "bias_favoured", "bias_slighted"
# Broad questions in circumstances that bring back what a safeguard may only have hidden.
INOCULATED, NEGATED, FRAMED = "conditional_inoculated", "conditional_negated", "conditional_framed"
BROAD = (OTHER, OPEN)
# Names that stand for several sets.
SEVERAL = {BIAS: (FAVOURED, SLIGHTED), CONDITIONAL: (INOCULATED, NEGATED, FRAMED)}
# What of the pool's settings decides which safe rows are drawn, and nothing where none are.
DRAWN = ("mix", "domains")
