"""The report: what was exported, what was measured, compared and proved of it, as one page and as JSON."""
