"""A sweep as a page in the browser: one file that opens offline, and the same page from a local server while one runs.

Whatever a name or an answer says is data here: it goes through JSON, and is only ever shown as text.

Imports: pictures, records, report, statistics, terminal.
"""

__all__ = ["kept_pages", "page", "server"]
