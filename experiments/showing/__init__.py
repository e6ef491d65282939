"""All that a person is shown of a sweep: files, tables in the terminal, pictures, a page, a card with every adapter.

Imports: cards, page, pictures, report, tracking.
"""

__all__ = ["show"]
