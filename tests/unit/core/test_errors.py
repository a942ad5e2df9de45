"""Errors on their way to another process."""

from __future__ import annotations

import pickle

import pytest

from prompt_hub.core.errors import ExitCode, PromptHubError


class FoundError(PromptHubError):
    """An error whose class takes something else than its message."""

    def __init__(self, found: list[str], *, where: str) -> None:
        super().__init__(f"{where} has {', '.join(found)}.", hint="Look.", exit_code=ExitCode.OK)
        self.found = found


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_reaches_another_process_as_it_is(protocol: int) -> None:
    error = FoundError(["a", "b"], where="here")
    error.add_note("seen in record 2")
    rebuilt = pickle.loads(pickle.dumps(error, protocol))
    assert type(rebuilt) is FoundError
    assert str(rebuilt) == "here has a, b. Look."
    assert (rebuilt.args, rebuilt.__dict__) == (error.args, error.__dict__)
    assert (rebuilt.found, rebuilt.exit_code) == (["a", "b"], ExitCode.OK)
