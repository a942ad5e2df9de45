"""A run that is ended while git works leaves no half a repository that the next takes for whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_aws.stack import LocalStack
from tests.local_aws.checkout import small_stack


class _CutOff(LocalStack):
    """Is ended as git gets to a word; a clone that is cut off leaves what it has made so far."""

    at = ""

    def git(self, *arguments: str) -> str:
        if self.at in arguments:
            if self.at == "clone":
                Path(arguments[-1], ".git").mkdir(parents=True)
            raise KeyboardInterrupt
        return super().git(*arguments)


@pytest.fixture
def stack(tmp_path: Path) -> _CutOff:
    """A local stack of a checkout with one commit, before its first run."""
    settings = '{"context": {"prompt-hub": {"region": "us-east-1", "branch": "main"}}}'
    return small_stack(_CutOff, tmp_path, {"cdk.json": settings})


@pytest.mark.parametrize("at", ["clone", "checkout", "set-url", "user.email"])
def test_a_clone_that_was_cut_off_is_made_again(stack: _CutOff, at: str) -> None:
    stack.make_remote()
    stack.at = at
    with pytest.raises(KeyboardInterrupt):
        stack.clone(stack.demo)
    stack.at = ""

    clone = stack.clone(stack.demo)

    assert (clone / "cdk.json").is_file()
    where = str(clone)
    assert stack.git("-C", where, "remote", "get-url", "origin") == str(stack.remote)
    assert stack.git("-C", where, "config", "user.email") == "author@example.com"
    assert not list(stack.state.glob("demo?*")), "what was cut off is gone"


def test_a_remote_that_was_cut_off_is_made_again(stack: _CutOff) -> None:
    stack.at = "config"
    with pytest.raises(KeyboardInterrupt):
        stack.make_remote()
    stack.at = ""

    stack.make_remote()

    asked = ("config", "receive.shallowUpdate")
    assert stack.git("-C", str(stack.remote), *asked) == "true"
