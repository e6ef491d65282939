"""One file per safeguard: a card, a pure function, a thin class and its settings."""
