"""The verdict: a page that opens anywhere, JUnit XML for a server, and the same page live while a run goes on."""

from hil.verdict.junit import write_junit
from hil.verdict.live import Live
from hil.verdict.page import write_report
from hil.verdict.watching import watch

__all__ = ["Live", "watch", "write_junit", "write_report"]
