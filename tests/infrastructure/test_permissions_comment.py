"""The difference of permissions under a pull request: whole, or counted; a warning, no failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import permissions_comment
from docs.permissions_comment import LONGEST
from tests.infrastructure.synthesised import Assembly, build


def test_what_comes_and_goes_is_shown_line_by_line() -> None:
    said = permissions_comment.permissions_comment(["- a", "+ b `x`", "+ c"])
    assert said == (
        "## Permissions\n\n2 come (`+`), 1 go (`-`):\n\n```diff\n- a\n+ b `x`\n+ c\n```\n"
    )


def test_no_difference_is_a_sentence() -> None:
    said = permissions_comment.permissions_comment([])
    assert said == "## Permissions\n\nNobody may do more or less than before.\n"


def test_what_is_too_long_is_counted() -> None:
    changes = [f"+ {'x' * 97}{number:03}" for number in range(1_000)]
    said = permissions_comment.permissions_comment(changes)
    assert len(said) < LONGEST + 300
    shown = said.count("\n+ x")
    assert f"… and {1_000 - shown} more" in said


def test_two_assemblies_are_compared_and_people_are_warned(
    assembly: Assembly, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after, comment = assembly.path, tmp_path / "after", tmp_path / "comment.md"
    build(after, {"repository": "example/another"}).synth()
    words = [str(before), str(after), "--to", str(comment)]
    assert permissions_comment.main(words) == 0
    assert "repo:example/another:pull_request" in comment.read_text(encoding="utf-8")
    assert capsys.readouterr().out.startswith("::warning title=permissions::This changes ")

    assert permissions_comment.main([str(before), *words[:1], *words[2:]]) == 0
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit) as ended:
        permissions_comment.main([str(tmp_path / "none"), *words[1:]])
    assert ended.value.code == 2
