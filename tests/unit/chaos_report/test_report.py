"""The report says what was found, first of all whether the run passed, and stands on its own."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from chaos.report import write_report
from chaos.report.page import page, summary
from chaos.report.thinning import binned, sampled
from chaos.report.view import command, count_rows, recovery_rows
from chaos.report.wording import clock, duration, number, percent, seconds, size, small
from chaos.result import CALM, Result, Sample, read_result
from tests.unit.chaos_report.sample import failing, passing

VOID = {"meta", "link", "br", "img", "hr", "input", "col"}


class Outline(HTMLParser):
    """The page's words, and whether each element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def passed() -> Result:
    return passing()


@pytest.fixture(scope="module")
def outline(passed: Result) -> Outline:
    return Outline(page(passed))


def test_the_page_is_whole(outline: Outline) -> None:
    assert outline.open == []
    assert outline.counts["svg"] == 3
    assert len(outline.ids) == len(set(outline.ids))


@pytest.mark.parametrize("result", [passing(), failing()], ids=["passed", "failed"])
def test_nothing_comes_from_elsewhere(result: Result) -> None:
    text = page(result)
    assert "://" not in text
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", text)


def test_the_verdict_comes_first(passed: Result, outline: Outline) -> None:
    beginning = outline.text[:300]
    assert "PASSED" in beginning
    assert f"0 of {number(passed.counts.accepted)} accepted tasks lost, 0 accepted twice" in beginning
    assert "0 invariant violations" in beginning


def test_every_figure_is_there(passed: Result, outline: Outline) -> None:
    for row in count_rows(passed):
        assert f"{row.name} {row.value} {row.meaning}" in outline.text
    for found in recovery_rows(passed.recoveries):
        assert " ".join([found.name, found.what, found.bound, *found.alone, *found.overlapped]) in outline.text
    for fault in passed.faults:
        assert fault.fault in outline.text
    for check in passed.rest:
        assert check.name in outline.text


def test_how_to_repeat_it_and_what_it_proves_are_there(outline: Outline) -> None:
    assert "make chaos MINUTES=2 SEED=7" in outline.text
    assert "at 95 % confidence, fewer than 3 of" in outline.text


def test_a_calm_run_is_repeated_by_another_command(passed: Result) -> None:
    calm = replace(passed, facts=replace(passed.facts, preset=CALM))
    assert command(calm) == ".venv/bin/python -m chaos recoveries --seed 7"


def test_a_failed_run_says_why_at_the_top() -> None:
    outline = Outline(page(failing()))
    beginning = outline.text[: outline.text.index("Throughput and faults")]
    assert "FAILED" in beginning
    assert "PASSED" not in outline.text
    for reason in (
        "accepted twice: 1",
        "one accepted outcome: 1 violation",
        "worker killed: p99",
        "memory of dispatcher-1",
    ):
        assert reason in beginning
    assert "there is no bound to state" in beginning


def test_stories_are_told_as_they_are() -> None:
    outline = Outline(page(failing()))
    assert outline.counts["details"] == 1
    assert "accepted twice: <b>1</b>" in outline.text
    assert "1.20 claimed 1.31 <lost>" in outline.text


def test_a_bound_that_was_not_put_to_the_test_is_not_called_kept(passed: Result) -> None:
    unmeasured = replace(passed.recoveries[0], alone=[], overlapped=[], alone_spread=None, within=None)
    outline = Outline(page(replace(passed, recoveries=[unmeasured, *passed.recoveries[1:]])))
    assert "5 of 6 bounds kept, 1 not measured" in outline.text


def test_a_run_without_anything_can_be_shown(passed: Result) -> None:
    outline = Outline(page(replace(passed, samples=[], faults=[], recoveries=[], shares=[], rest=[])))
    assert outline.open == []


def test_an_hour_stays_small(tmp_path: Path) -> None:
    found = write_report(passing(3660, 600), tmp_path)
    assert found.stat().st_size < 400_000
    assert (tmp_path / "report.json").stat().st_size < 400_000


def test_the_data_can_be_read_again(tmp_path: Path, passed: Result) -> None:
    write_report(passed, tmp_path)
    assert read_result(tmp_path / "report.json") == passed
    assert orjson.loads((tmp_path / "report.json").read_bytes())["facts"]["seed"] == 7


def test_the_summary_has_the_verdict_and_the_tables(passed: Result) -> None:
    text = summary(passed)
    assert text.startswith("# Chaos run 7: passed\n")
    assert f"| accepted | {number(passed.counts.accepted)} |" in text
    assert "| leader killed | 7.00 s | 40 |" in text
    assert "- accepted twice: 1" in summary(failing())
    # Every row of a table has as many cells as the one above it.
    lines = text.splitlines()
    pairs = [(above, below) for above, below in pairwise(lines) if above[:1] == below[:1] == "|"]
    assert pairs
    assert all(above.count("|") == below.count("|") for above, below in pairs)


def test_bins_keep_sums_and_extremes() -> None:
    samples = [Sample(float(second), 10, 10, 0 if second == 5 else 10, second) for second in range(1000)]
    gathered = binned(samples, most=100)
    assert (gathered.seconds, len(gathered.bins)) == (10, 100)
    first = gathered.bins[0]
    assert (first.ended_low, first.ended_high, first.ended, first.backlog) == (0, 10, 9.0, 9)
    assert sum(bin.ended for bin in gathered.bins) * 10 == sum(sample.ended for sample in samples)


def test_few_dots_keep_the_slowest() -> None:
    values = [float(value) for value in range(10_000)]
    kept = sampled(values, 100)
    assert len(kept) == 100
    assert kept[0] == 0.0
    assert kept[-20:] == values[-20:]
    assert sampled([3.0, 1.0], 100) == [1.0, 3.0]


def test_figures_are_written_for_people() -> None:
    assert [number(1234567), number(0.25)] == ["1,234,567", "0.2"]
    assert [seconds(value) for value in (0.0, 0.0123, 0.5, 9.99, 12.34, 83.0)] == [
        "0 ms",
        "12 ms",
        "0.50 s",
        "9.99 s",
        "12.3 s",
        "83 s",
    ]
    assert [duration(value) for value in (0, 95, 3660)] == ["0 s", "1 min 35 s", "1 h 1 min"]
    assert clock(95) == "1:35"
    assert [size(1536, "bytes"), size(220e6, "bytes"), size(3, "rows")] == ["1.5 KiB", "210 MiB", "3 rows"]
    assert [percent(3, 48211), percent(1, 1), percent(0, 5)] == ["0.00622 %", "100 %", "0 %"]
    assert small(3e-6) == "3.0 \N{MULTIPLICATION SIGN} 10⁻⁶"
