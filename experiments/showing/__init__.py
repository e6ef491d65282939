"""All that a person is shown of a sweep: files, tables in the terminal, pictures and a page.

Imports: page, report.
"""

__all__ = ["show"]
