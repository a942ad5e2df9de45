"""Each stuck state that the operations page names has its case in `make stuck-states`."""

from __future__ import annotations

import pytest

from tests.stuck_states import page

pytestmark = pytest.mark.shipped


def test_each_row_of_the_page_has_one_case_and_each_case_its_row() -> None:
    rows = list(page.rows())
    starts = list(page.CASES.values())
    assert len(rows) == 11
    for row in rows:
        assert len([start for start in starts if row.startswith(start)]) == 1, row
    assert len(starts) == len(rows)
    assert set(page.OTHERWISE) <= set(page.CASES)


def test_each_case_is_used_by_a_test() -> None:
    tests = "".join(
        path.read_text(encoding="utf-8")
        for path in (page.ROOT / "tests" / "stuck_states").glob("test_*.py")
    )
    assert [case for case in page.CASES if f'"{case}"' not in tests] == []


def test_each_way_out_has_a_command() -> None:
    commands = {case: page.commands(page.way_out(case)) for case in page.CASES}
    assert [case for case, found in commands.items() if not found] == []
    assert "--retry-mode ALL_ACTIONS" in page.the_retry()


def test_a_way_out_is_read_in_its_order_with_the_other_row_that_it_names() -> None:
    removal = page.commands(page.way_out("first creation in a stage"))
    assert [command.split()[2] for command in removal] == [
        "delete-stack",
        "wait",
        "retry-stage-execution",
    ]
    assert page.commands("unlock it, then as for ROLLBACK_COMPLETE") == removal
