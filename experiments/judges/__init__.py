"""Who scores the answers: several judges behind one interface.

Imports: config, endpoint, models, organism, records.
"""

from experiments.judges.find import JUDGE_KEYS, find_judge, naming
from experiments.judges.judge import Judge
from experiments.judges.scored import has_scored, score_settings

__all__ = ["JUDGE_KEYS", "Judge", "find_judge", "has_scored", "naming", "score_settings"]
