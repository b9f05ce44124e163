"""JUnit XML: what a build server reads of a verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bmsthermal.errors import InputError
from bmsthermal.files import check_outputs, write_whole
from hil.outcome import Outcome
from hil.verdict import told

#: What XML 1.0 has no way to write.
UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(outcomes: Outcome | Sequence[Outcome], path: str | Path) -> None:
    """Write a suite per run and a test case per requirement; same outcomes, same bytes: no time is in it.

    A requirement that does not hold is a failure, one that was not judged is skipped, with the reason; a run that
    ended before its time is an error of a case of its own.

    Parameters
    ----------
    outcomes
        A run, or those of a campaign.
    path
        A file that ends in ``.xml``.

    Raises
    ------
    InputError
        If the file has another ending or cannot be written, or junitparser is missing.
    """
    junitparser()
    from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

    check_outputs((Path(path), (".xml",)))
    made = JUnitXml()
    for outcome in [outcomes] if isinstance(outcomes, Outcome) else outcomes:
        name = written(outcome.scenario.name)
        suite = TestSuite(written(f"{name}, seed {told.seed_of(outcome)}, on {outcome.device}"))
        if outcome.ended:
            case = TestCase("runs to its end", name)
            case.result = [Error(written(outcome.ended))]
            suite.add_testcase(case)
        for each in outcome.results:
            case = TestCase(written(each.requirement), name)
            if each.passed is None:
                case.result = [Skipped(written(each.found))]
            elif not each.passed:
                case.result = [Failure(written(f"{each.text} Found {each.found}, asked {each.bound}."))]
            suite.add_testcase(case)
        made.add_testsuite(suite)
    write_whole(path, made.tostring())  # type: ignore[no-untyped-call]


def junitparser() -> None:
    """Refuse where the package is not installed.

    Raises
    ------
    InputError
        With the line that installs it.
    """
    try:
        import junitparser as _  # noqa: F401
    except ImportError as error:
        raise InputError(
            "JUnit XML needs junitparser, which is missing", hint='pip install "bmsthermal[hil]"'
        ) from error


def written(text: str) -> str:
    """Text without what XML cannot hold."""
    return UNWRITABLE.sub("\ufffd", text)
