"""The progress of an evaluation: a moving line on a terminal, few lines in a log."""

from __future__ import annotations

import io

import pytest

from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.evaluation.progress import Progress
from tests.unit.providers import FunctionProvider


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def budgeted() -> BudgetedClient:
    return BudgetedClient(FunctionProvider(lambda _: None).caller())


def test_the_line_says_done_rate_cost_and_what_is_left(budgeted: BudgetedClient) -> None:
    clock = Clock()
    progress = Progress(budgeted, io.StringIO(), clock=clock)
    candidate, champion = progress.arm("candidate 1.1.0"), progress.arm("champion 1.0.0")
    clock.now += 10
    candidate(300, 1000)
    champion(200, 1000)
    budgeted.tracker.usd = 0.0125
    assert progress.line() == (
        "candidate 1.1.0 300/1000 · champion 1.0.0 200/1000 · 50/s · $0.0125 · 0:30 left"
    )
    budgeted.tracker.unpriced = 5
    assert " · $0.0125, and that of models without a price · " in progress.line()
    stats = budgeted.client.stats
    stats.retried, stats.busy, stats.trouble = 3, 2, "HTTP 429"
    budgeted.cached = 7
    assert progress.line().endswith("7 cached · 3 asked again, 2 busy (HTTP 429)")


def test_a_later_look_comes_on_top_of_those_before_it(budgeted: BudgetedClient) -> None:
    clock = Clock()
    progress = Progress(budgeted, io.StringIO(), clock=clock)
    first = progress.arm("1.0.0")
    clock.now += 60
    first(60, 60)
    second = progress.arm("1.0.0")
    clock.now += 20
    second(20, 60)
    assert progress.line() == "1.0.0 80/120 · 1.0/s · 0 tokens · 0:40 left"


def test_a_log_gets_a_line_now_and_then(budgeted: BudgetedClient) -> None:
    clock, log = Clock(), io.StringIO()
    progress = Progress(budgeted, log, clock=clock)
    tell = progress.arm("1.0.0")
    for done in range(1, 101):
        clock.now += 1
        tell(done, 100)
    progress.finish()
    lines = log.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0] == "  1.0.0 15/100 · 1.0/s · 0 tokens · 1:25 left"
    assert "\r" not in log.getvalue()


def test_a_terminal_gets_one_line_that_is_written_over(
    budgeted: BudgetedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    clock, screen = Clock(), Screen()
    progress = Progress(budgeted, screen, clock=clock)
    tell = progress.arm("1.0.0")
    for done in range(1, 11):
        clock.now += 0.05
        tell(done, 10)
    progress.finish()
    shown = screen.getvalue()
    assert shown.count("\n") == 1
    frames = shown.rstrip("\n").split("\r")[1:]
    assert 5 <= len(frames) <= 7  # ten frames a second at most, and the end
    assert all(len(frame) <= 29 for frame in frames)
    assert frames[-1].startswith("1.0.0 10/10")


def test_hours_are_said_as_hours(budgeted: BudgetedClient) -> None:
    clock = Clock()
    progress = Progress(budgeted, io.StringIO(), clock=clock)
    clock.now += 3600
    progress.arm("1.0.0")(10, 30)
    assert "2:00:00 left" in progress.line()


def test_nothing_is_said_where_nothing_was_asked(budgeted: BudgetedClient) -> None:
    screen = Screen()
    Progress(budgeted, screen).finish()
    assert screen.getvalue() == ""
