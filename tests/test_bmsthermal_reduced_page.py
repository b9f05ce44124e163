"""The page of a certificate: complete, on its own, the same every time, and safe from what names may hold."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest

from bmsthermal.errors import InputError
from bmsthermal.reduced.certificate import CaseError, Certificate, Frequency, Trial
from bmsthermal.reduced.page import page, page_text
from bmsthermal.reduced.range import Range

VOID = {"meta", "br", "img", "link"}


def example(**changes) -> Certificate:
    hertz = np.append(0.0, np.geomspace(1e-4, 10.0, 40))
    full = 0.02 + 0.03 / (1 + 2j * np.pi * 40 * hertz)
    cases = tuple(
        CaseError(f"{name} {T} degC h 60", T, 60.0, 900.0, why, why != "salt", 9.0, 0.07, 0.05, 3e-3, 8e-3, 1e-3, 1e-12)
        for name, T, why in (("2C", 25.0, "cut-off"), ("us06", -10.0, "end"), ("3C", -10.0, "salt"))
    )
    trials = tuple(
        Trial(method, states, "thermal 3, salt 2", 2.0 / states, 0.05 / states, 0.1 / states, 0.01, "2C 25.0 degC h 60")
        for method in ("collocation", "uniform reaction")
        for states in (10, 14)
    )
    given = Certificate(
        "lgm50_21700", "3f1c9a", 1.0, Range(), 0.1, 0.005, True, "", trials, cases, (0.999,), 2, 2, 1e-12, 1e-12,
        Frequency(hertz, full, 1.01 * full, 10 * full, 9.9 * full), chosen=1,
    )  # fmt: skip
    return replace(given, **changes)


class Reader(HTMLParser):
    """Ids, references and the words of a page; every element that is opened must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self._open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            self.ids += [value] if name == "id" else []
            self.targets += [value] if name in ("href", "xlink:href", "src") else []
            self.targets += re.findall(r"url\((.*?)\)", value or "")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words += data


def test_the_page_tells_all_that_the_certificate_has(tmp_path):
    path = tmp_path / "certificate.html"
    page(example(full_s=0.02, step_ns=500.0), path)
    text = path.read_text()
    words = " ".join(Reader(text).words.split())
    for part in (
        "Certificate of a reduced model: lgm50_21700", "14 states", "Reached: ", "Wanted and reached",
        "stable: largest pole of a step, cooled", "poles at 1, insulated", "share of the heat that is lost",
        "relative error of steady gains", "uniform reaction", "us06 -10.0 degC h 60", "ambient, degC",
        "salt: the full model ran short of salt", "Too short to be scored", "Speed", "3f1c9a",
    ):  # fmt: skip
        assert part in words
    assert text.count("<svg") == 3
    assert path.stat().st_size < 1_000_000


def test_the_page_stands_alone():
    text = page_text(example())
    read = Reader(text)
    assert not {"script", "link", "img", "iframe", "image"} & set(read.tags)
    assert read.targets
    assert all(target.startswith("#") for target in read.targets)
    assert "http" not in text
    assert "@import" not in text


def test_every_reference_has_its_element_and_no_id_is_there_twice():
    read = Reader(page_text(example()))
    assert len(read.ids) == len(set(read.ids))
    assert {target.removeprefix("#") for target in read.targets} <= set(read.ids)


def test_same_certificate_same_bytes(tmp_path):
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    page(example(), first)
    with mpl.rc_context({"svg.hashsalt": None}):
        page(example(), second)
    assert first.read_bytes() == second.read_bytes()
    again = Certificate.from_dict(example().to_dict())
    assert page_text(again).encode() == first.read_bytes()


def test_names_cannot_break_out():
    bad = '<script>alert("1")</script>&'
    e = example()
    text = page_text(replace(
        e, cell=bad, digest=bad, limit=bad, cases=(replace(e.cases[0], case=bad, why=bad), *e.cases[1:]),
        trials=tuple(replace(t, method=bad + t.method, sizes=bad, where=bad) for t in e.trials),
        frequency=replace(e.frequency, about=bad, core_unit=bad),
    ))  # fmt: skip
    assert "<script" not in text
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;" in text
    assert "script" not in Reader(text).tags


def test_pictures_follow_light_and_dark():
    text = page_text(example())
    assert "prefers-color-scheme: dark" in text
    pictures = text[text.index("<svg") :]
    for colour in ("#000000", "#111111", "#b2182b", "#2166ac", "#ffffff"):
        assert colour not in pictures
    used = set(re.findall(r"var\(--(\w+)\)", text))
    assert used <= set(re.findall(r"--(\w+):", text))


def test_a_reduction_that_does_not_hold_must_not_be_used():
    assert "Must not be used" not in page_text(example())
    text = page_text(example(poles=(1.5,)))
    assert "Must not be used: lgm50_21700: a pole of modulus 1.5 is outside the unit circle." in text
    missed = page_text(example(reached=False, wanted_core_K=0.05, limit="Salt runs out in the cold."))
    assert 'class="verdict bad">Not reached' in missed
    assert "<p>Salt runs out in the cold. " in missed


@pytest.mark.parametrize("changes", [{"trials": ()}, {"cases": ()}, {"frequency": None}, {"digest": ""}])
def test_a_page_of_whatever_there_is(changes):
    read = Reader(page_text(example(**changes)))
    assert "h1" in read.tags


def test_only_a_page_is_written(tmp_path):
    with pytest.raises(InputError, match=r"expected \.html"):
        page(example(), tmp_path / "certificate.pdf")
    assert not list(tmp_path.iterdir())
