"""What tests start: a unit test stays in its process, or says that it does not (decision 1016)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

MARK = "processes"
STARTS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
)
"""What Python tells its audit hooks when a process is started; asyncio's are of the first kind."""
started: list[str] = []
"""What was started since the running test began, by whichever hook of the audit hears it."""

LEFT = f"""\
it starts a process ({{}}): call what it needs without one, or mark it \
`@pytest.mark.{MARK}`, so that `make {MARK}` runs it and `make unit` does not."""
STALE = f"it is marked `{MARK}` and starts none: take the mark off, so that `make unit` runs it."


class StaysInProcess:
    """The plugin that compares what a test starts with its mark.

    Registered as a whole, not as hooks of a conftest: those hear nothing of fixtures of a session.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        """Those whose tests are held to it: a run may have others beside them."""
        self._starting: set[tuple[str, str]] = set()
        """Fixtures of many tests that start processes: where they are known, and their names."""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object]
    ) -> Generator[None, object, object]:
        """Note that a fixture of many tests has started a process: it counts for each of them."""
        before = len(started)
        value = yield
        if fixturedef.scope != "function" and len(started) > before:
            self._starting.add((fixturedef.baseid, fixturedef.argname))
        return value

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Forget what the tests before have started."""
        started.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Function) -> Generator[None, None, None]:
        """Fail a test that passed, but belongs into the other tier."""
        yield
        if not any(folder in item.path.parents for folder in self._folders):
            return
        found = {*started, *(name for name in item.fixturenames if self._starts(item, name))}
        marked = item.get_closest_marker(MARK) is not None
        if found and not marked:
            pytest.fail(LEFT.format(", ".join(sorted(found))), pytrace=False)
        if marked and not found:
            pytest.fail(STALE, pytrace=False)

    def _starts(self, item: pytest.Function, name: str) -> bool:
        return any(
            fixture == name and item.nodeid.startswith(place) for place, fixture in self._starting
        )
