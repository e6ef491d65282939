"""All that a person is shown of a sweep: files, tables in the terminal, pictures.

Imports: pictures, report.
"""

__all__ = ["show"]
