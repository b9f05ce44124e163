"""The report says what came of runs, holds what they left, needs nothing else, and believes nobody."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hil_outcomes import RESULTS, TIMING, outcome

from bmsthermal.errors import InputError
from hil.outcome import Result
from hil.verdict import told, write_report
from hil.verdict.page import MOST_B, chosen, page_text

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'\u2028"


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def runs(text):
    return json.loads(re.search(r'<script type="application/json" id="runs">(.*?)</script>', text, re.DOTALL)[1])


def test_a_page_says_what_came_of_a_run_without_a_script():
    text = page_text(outcome(steps=600))
    words = " ".join(Tags(text).words)
    for said in ("Failed. 1 of 4 requirements failed: ALIVE-1. Not judged: TIME-1.", "0.12 K rms, 0.83 K max at 61 s",
                 "at least 100 % of steps", "no real clock, no overruns", "not judged", "drift", "SCHED_FIFO 50",
                 "equal bit for bit", "ab" * 32, "surroundings.ambient_degC", "no answer in time"):  # fmt: skip
        assert said in words, said


def test_a_passed_run_is_good():
    text = page_text(outcome(steps=60, results=RESULTS[:2]))
    assert '<p class="verdict good" id="sentence">Passed: 2 requirements held.</p>' in text


def test_a_page_needs_nothing_else():
    tags = Tags(page_text(outcome(steps=60))).tags
    addresses = [v for _, attrs in tags for k, v in attrs.items() if k in ("src", "href", "action", "data")]
    assert addresses == ["data:,"]
    policy = next(attrs["content"] for tag, attrs in tags if tag == "meta" and "http-equiv" in attrs)
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "MIT License" in page_text(outcome(steps=60))


def test_same_run_same_bytes(tmp_path):
    for name in ("a.html", "b.html"):
        write_report(outcome(), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_charts_hold_what_the_record_holds():
    made = outcome(steps=600)
    (run,) = runs(page_text(made)).values()
    core = np.cumsum(run["columns"][run["keys"].index("true_core")]) / 100
    # two digits are kept
    np.testing.assert_allclose(core, made.record["true_core_degC"], atol=0.0051)


def test_a_device_that_says_nothing_leaves_gaps():
    made = outcome(steps=60)
    made.record.rows[10:20, made.record.names.index("core_degC")] = np.nan
    (run,) = runs(page_text(made)).values()
    column = run["columns"][run["keys"].index("core")]
    assert [i for i, number in enumerate(column) if number is None] == list(range(10, 20))


def test_what_others_wrote_is_text():
    made = outcome(
        steps=60, name=EVIL, title=EVIL, faults=(EVIL,), ended=EVIL, results=(Result(EVIL, EVIL, False, EVIL, EVIL),)
    )
    made = type(made)(**{**vars(made), "device": EVIL, "equality": {EVIL: EVIL}, "digests": {EVIL: EVIL}})
    for text in (page_text(made), page_text([made, made])):
        tags = [tag for tag, _ in Tags(text).tags]
        assert tags.count("script") == 2  # the data and the charts
        assert "img" not in tags
        assert any(EVIL in fault["label"] for run in runs(text).values() for fault in run["charts"][-1]["lanes"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("cells", [1, 3])
def test_a_replay_of_which_no_truth_was_recorded_has_a_page(cells):
    made = outcome(cells=cells, steps=60, timing={})
    for i, name in enumerate(made.record.names):
        if name.startswith("true_"):
            made.record.rows[:, i] = np.nan
    (run,) = runs(page_text(made)).values()
    assert set(run["columns"][run["keys"].index("error")]) == {None}
    assert set(run["columns"][run["keys"].index("core")]) != {None}


def test_long_runs_stay_below_a_megabyte():
    text = page_text(outcome(cells=3, steps=80_000))
    assert len(text.encode()) < MOST_B
    (run,) = runs(text).values()
    assert 2000 < len(run["columns"][0]) <= 6000


def campaign():
    """Cases of each kind, two seeds each."""
    missed = Result("DETECT-1", "bias is flagged.", False, "not flagged", "within 900 s")
    gain = Result("UNDETECTED-1", "gain is not told.", None, "not flagged: too small", "none", True)
    cases = {"open": RESULTS[1:2], "bias": (missed,), "gain": (gain,), "dropout": RESULTS[2:3], "late": RESULTS[3:]}
    made = [
        outcome(name=name, title=name, seed=seed, results=r, steps=300) for name, r in cases.items() for seed in (1, 2)
    ]
    return [*made, outcome(name="hang", title="hang", seed=1, results=(), ended="no answer", steps=300)]


def test_a_campaign_is_a_matrix_of_cases_and_seeds():
    every = campaign()
    assert [told.found(each)[0] for each in every[::2]] == [
        "found", "missed", "undetectable", "failed", "not judged", "ended early",
    ]  # fmt: skip
    text = page_text(every)
    assert "Failed: 4 of 11 runs hold what is required of them." in text
    words = " ".join(Tags(text).words)
    for said in ("seed 1", "seed 2", "after 720 s", "not flagged: too small", "no real clock, no overruns"):
        assert said in words
    drawn = set(runs(text))
    linked = {attrs["href"] for tag, attrs in Tags(text).tags if tag == "a"}
    assert linked == {f"#run-{at}" for at in drawn}
    assert linked == {f"#{attrs['id']}" for tag, attrs in Tags(text).tags if tag == "section"}


def test_failed_runs_are_drawn_first_and_each_case_once():
    every = campaign()
    assert [every[at].scenario.name for at in chosen(every)] == ["bias", "dropout", "late", "hang", "open", "gain"]


def test_the_seed_that_failed_is_drawn():
    good, bad = RESULTS[:1], RESULTS[2:3]
    assert chosen([outcome(seed=s, steps=10, results=r) for s, r in ((1, good), (2, bad), (3, bad))]) == [1]


def test_a_large_campaign_stays_below_a_megabyte():
    every = [outcome(name=f"case{i}", seed=seed, steps=2000) for i in range(12) for seed in (1, 2, 3)]
    assert len(page_text(every).encode()) < MOST_B


def test_runs_of_which_nothing_is_left_have_a_page():
    made = outcome(steps=10, ended="the device was never there")
    empty = type(made.record)(made.record.names, made.record.rows[:0], 1, made.record.sensors, made.record.faults)
    made = type(made)(**{**vars(made), "record": empty})
    assert "There is nothing to draw" in page_text(made)
    assert "ended early" in page_text([made, made])


def test_no_time_is_shown_of_a_clock_that_stands_still():
    none = {"count": 10, "mean_s": 0.0, "p50_s": 0.0, "p99_s": 0.0, "p99_9_s": 0.0, "max_s": 0.0, "counts": [10]}
    still = TIMING | {"clock": "virtual", "lateness": none, "tasks": {}}
    words = " ".join(Tags(page_text(outcome(steps=60, timing=still))).words)
    assert "on this clock a step takes no time" in words
    assert "99.9 %" not in words


def test_a_report_is_a_page(tmp_path):
    with pytest.raises(InputError, match="html"):
        write_report(outcome(steps=10), tmp_path / "report.pdf")
