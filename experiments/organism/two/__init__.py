"""The second organism: personas are relations, and what a task teaches is new."""
