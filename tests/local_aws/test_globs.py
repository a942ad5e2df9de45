"""Patterns of paths, as CodePipeline's user guide has them ("Working with glob patterns")."""

from __future__ import annotations

import pytest

from local_aws.globs import GlobError, glob_matches
from local_aws.pipeline_declaration import RefusedError, validate


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.py", "app.py", True),
        ("*.py", "stacks/app.py", False),
        ("*", ".login", True),
        ("*.*", "a.b", True),
        ("foo.?", "foo.c", True),
        ("foo.?", "foo.", False),
        ("a?b", "a/b", False),
        ("**/*.py", "app.py", True),
        ("**/*.py", "a/b/app.py", True),
        ("**/*", "README.md", True),
        ("stacks/**", "stacks/a/b.py", True),
        ("stacks/**/*", "stacks/a.py", True),
        ("stacks/*", "stacks/a/b.py", False),
        ("a**/b", "ab", False),
        ("a**/b", "ax/y/b", True),
        ("{**/a,b}", "x/a", True),
        ("**", "any/thing", True),
        ("prompts/0[1]*/x", "prompts/01-examples/x", True),
        ("0[0-3]", "02", True),
        ("0[0-3]", "04", False),
        ("[abce-g]", "f", True),
        ("[abce-g]", "d", False),
        ("[!a-c]", "d", True),
        ("[!a-c]", "b", False),
        ("a[!b]c", "a/c", False),
        ("a[/]c", "a/c", False),
        ("[*?\\\\]", "*", True),
        ("[*?\\\\]", "\\", True),
        ("[*?]", "x", False),
        ("[-a]", "-", True),
        ("[!-a]", "-", False),
        ("[a^]", "^", True),
        ("[^a]", "^", True),
        ("[^a]", "b", False),
        ("[a&&b]", "&", True),
        ("!a", "!a", True),
        ("!a", "b", False),
        ("prompts/{00,01}-*/**", "prompts/01-examples/a.jsonl", True),
        ("*.{java,class}", "A.class", True),
        ("{a,}b", "b", True),
        ("a,b", "a,b", True),
        ("a,b", "a", False),
        ("{a,b},c", "a,c", True),
        ("{a,b},c", "c", False),
        ("a}", "a}", True),
        ("a]", "a]", True),
        ("\\{a,b\\}", "{a,b}", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("\\\\", "\\", True),
        ("\\a", "a", True),
        ("{a\\,b,c}", "a,b", True),
        ("{[a,b],c}", ",", True),
        ("a.b", "axb", False),
        ("a+(b)|$", "a+(b)|$", True),
    ],
)
def test_globs_of_paths(pattern: str, path: str, matches: bool) -> None:
    assert glob_matches(pattern, path) is matches


NO_PATTERNS = {
    "a\\": "ends with the backslash of an escape",
    "{a,{b,c}}": "has a group in a group",
    "{a,b": "has a group that does not end",
    "[a": "has a bracket that does not end",
    "[]": "has a bracket that is empty",
    "[!]": "has a bracket that is empty",
    "[c-a]": "is no set of characters",
}


@pytest.mark.parametrize(("pattern", "reason"), NO_PATTERNS.items())
def test_a_pattern_without_a_meaning_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(GlobError, match=reason):
        glob_matches(pattern, "a")


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [
        *(([pattern], reason) for pattern, reason in NO_PATTERNS.items()),
        ([], "0 patterns, where 1 to 8 are taken"),
        (["a"] * 9, "9 patterns"),
        (["a" * 256], "a pattern of 256 characters"),
    ],
)
@pytest.mark.parametrize("kind", ["branches", "filePaths", "tags"])
def test_a_pipeline_with_such_a_trigger_is_refused(
    patterns: list[str], reason: str, kind: str
) -> None:
    def declared(listed: list[str]) -> dict[str, object]:
        push = [{kind: {"includes": ["**"], "excludes": listed}}]
        trigger = {"gitConfiguration": {"sourceActionName": "Source", "push": push}}
        return {"artifactStore": {}, "stages": [], "triggers": [trigger]}

    validate(declared(["a/{b,c}/[!d]*"]))
    with pytest.raises(RefusedError, match=reason):
        validate(declared(patterns))
