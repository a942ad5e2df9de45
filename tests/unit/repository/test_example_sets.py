"""A set too large for git: one line in `01-examples`, the set in S3 under its hash, read once.

Longer than a file should be: what changes while a set is pushed is shown with the same bucket.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository import example_objects, example_sets
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.example_sets import SETS_DIR
from prompt_hub.repository.many_examples import ManyExamples
from prompt_hub.repository.schema import Example
from tests.unit.building import RepositoryFolder
from tests.unit.llm.batch_server import BatchServer

TASK = "part-class"
EXAMPLES = f"prompts/01-examples/{TASK}.jsonl"


def push(*options: str) -> int:
    return main(["examples", "push", TASK, *options, "--bucket", "bucket"])


def forget(folder: RepositoryFolder) -> None:
    """Leave nothing of what was fetched."""
    for path in (folder.root / SETS_DIR).iterdir():
        path.unlink()


def reference(folder: RepositoryFolder) -> dict[str, object]:
    found = json.loads(folder.read(EXAMPLES))
    assert isinstance(found, dict)
    return found


def alter(folder: RepositoryFolder, **changes: object) -> None:
    folder.write(EXAMPLES, json.dumps({**reference(folder), **changes}) + "\n")


def test_a_set_that_moved_is_the_same_set(
    healthy: RepositoryFolder, s3: BatchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    content = healthy.path(EXAMPLES).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    before = healthy.repository.examples(TASK)
    digest = healthy.repository.examples_sha256(TASK)
    assert push() == ExitCode.OK
    assert s3.files == {f"/bucket/examples/{sha256}.jsonl": content}
    assert reference(healthy) == {
        "schema": "prompt-hub/examples@1",
        "uri": f"s3://bucket/examples/{sha256}.jsonl",
        "sha256": sha256,
        "size": len(content),
        "count": len(before),
    }
    assert healthy.repository.examples(TASK) == before
    # The metadata is still up to date with it, and few-shot draws from it.
    assert healthy.repository.examples_sha256(TASK) == digest
    assert healthy.findings() == []
    assert main(["validate"]) == ExitCode.OK
    assert "prompt_hub" not in capsys.readouterr().err


def test_a_set_is_fetched_once_and_by_whoever_lacks_it(
    healthy: RepositoryFolder, s3: BatchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    before = healthy.repository.examples(TASK)
    assert s3.asked["GET bucket"] == 0
    forget(healthy)
    for _ in range(3):
        assert healthy.repository.examples(TASK) == before
    assert s3.asked["GET bucket"] == 1
    # One that was damaged here is fetched anew.
    (kept,) = (healthy.root / SETS_DIR).iterdir()
    kept.write_bytes(kept.read_bytes()[:-5])
    assert healthy.repository.examples(TASK) == before
    assert s3.asked["GET bucket"] == 2
    assert main(["examples", "fetch", TASK]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[-1] == str(kept)


def test_fetch_says_where_the_set_stays(
    healthy: RepositoryFolder, s3: BatchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    content = s3.files.copy().popitem()[1]
    forget(healthy)
    capsys.readouterr()
    assert main(["examples", "fetch", TASK]) == ExitCode.OK
    assert Path(capsys.readouterr().out.rstrip("\n")).read_bytes() == content
    keep_nothing(healthy)
    assert main(["examples", "fetch", TASK]) == ExitCode.USAGE
    told = capsys.readouterr()
    assert (told.out, "the set was fetched and not kept" in told.err) == ("", True)


def test_the_same_set_is_stored_once(healthy: RepositoryFolder, s3: BatchServer) -> None:
    push()
    (kept,) = (healthy.root / SETS_DIR).iterdir()
    stored = dict(s3.files)
    s3.files.clear()
    assert push(str(kept)) == ExitCode.OK
    assert s3.files == stored
    assert push() == push(str(healthy.path(EXAMPLES))) == ExitCode.USAGE


def test_who_may_not_list_the_bucket_stores_a_new_set(
    healthy: RepositoryFolder, s3: BatchServer
) -> None:
    content = healthy.path(EXAMPLES).read_bytes()
    s3.missing = 403
    assert push() == ExitCode.OK
    assert [*s3.files.values()] == [content]


@pytest.mark.parametrize(
    ("bucket", "settings", "readable"),
    [
        ("bucket", {}, False),
        ("prompt-hub-results-111111111111-us-east-1", {}, True),
        ("other-results-111111111111-us-east-1", {}, False),
        ("other-results-111111111111-us-east-1", {"installation": "other"}, True),
        ("prompt-hub-results-111111111111-us-east-1", {"region": "us-east-1"}, True),
        ("prompt-hub-results-111111111111-us-east-1", {"region": "eu-west-1"}, False),
        (
            "prompt-hub-results-111111111111-us-east-1",
            {"region": "us-east-1", "account": "222222222222"},
            False,
        ),
    ],
)
def test_a_bucket_that_the_pipeline_may_not_read_is_told_when_a_set_goes_there(
    healthy: RepositoryFolder,
    s3: BatchServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    bucket: str,
    settings: dict[str, str],
    *,
    readable: bool,
) -> None:
    monkeypatch.delenv(aws_names.ENV_INSTALLATION)
    healthy.write("cdk.json", json.dumps({"context": {"prompt-hub": settings}}))
    assert main(["examples", "push", TASK, "--bucket", bucket]) == ExitCode.OK
    told = capsys.readouterr().err
    assert told == "" if readable else f"{bucket} is not " in told


@pytest.mark.parametrize("bucket", ["s3://bucket", "bucket/folder", "Bucket", "b"])
def test_a_bucket_is_its_name(
    healthy: RepositoryFolder, s3: BatchServer, capsys: pytest.CaptureFixture[str], bucket: str
) -> None:
    assert main(["examples", "push", TASK, "--bucket", bucket]) == ExitCode.USAGE
    assert f"{bucket!r} is no name of a bucket" in capsys.readouterr().err
    assert not s3.files


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"count": 5}, "count: found 8 examples; expected 5"),
        ({"size": 1}, "bytes in S3; expected 1"),
        ({"uri": "s3://bucket/examples/latest.jsonl"}, "uri: found"),
        ({"more": 1}, "more: found"),
    ],
)
def test_a_reference_that_is_wrong_is_invalid(
    healthy: RepositoryFolder, s3: BatchServer, changes: dict[str, object], says: str
) -> None:
    push()
    forget(healthy)
    alter(healthy, **changes)
    with pytest.raises(InvalidDocumentsError, match=says):
        healthy.repository.examples(TASK)
    assert main(["validate", TASK]) == ExitCode.BLOCKED
    assert main(["evaluate", TASK]) == ExitCode.BLOCKED


def test_a_wrong_size_is_invalid_where_the_set_is_kept_too(
    healthy: RepositoryFolder, s3: BatchServer
) -> None:
    push()
    alter(healthy, size=1)
    assert main(["validate", TASK]) == ExitCode.BLOCKED


def test_what_lies_in_s3_is_held_to_its_hash(healthy: RepositoryFolder, s3: BatchServer) -> None:
    push()
    forget(healthy)
    for name, content in s3.files.items():
        s3.files[name] = content.replace(b"diode", b"triac")
    with pytest.raises(InvalidDocumentsError, match="sha256: found a set that hashes to"):
        healthy.repository.examples(TASK)
    assert main(["validate", TASK]) == ExitCode.BLOCKED
    assert [*(healthy.root / SETS_DIR).iterdir()] == []


@pytest.mark.parametrize("gone", ["object", "object for a role", "server"])
def test_a_set_that_cannot_be_read_is_not_measured_and_never_empty(
    healthy: RepositoryFolder,
    s3: BatchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gone: str,
) -> None:
    push()
    forget(healthy)
    s3.files.clear()
    says = f"there is no {reference(healthy)['uri']}"
    if gone == "server":
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        says = "cannot be read: EndpointConnectionError"
    elif gone == "object for a role":
        s3.missing = 403
        says = "cannot be read: 403, which S3 also says of what is not there"
    with pytest.raises(PromptHubError, match=says) as caught:
        healthy.repository.examples(TASK)
    assert caught.value.exit_code == ExitCode.NOT_MEASURED
    for command in (["evaluate", TASK], ["validate"], ["validate", "--stamp", TASK]):
        assert main(command) == ExitCode.NOT_MEASURED
    told = capsys.readouterr().out
    assert "[example-set-unread]" in told
    assert f"found {EXAMPLES}" not in told
    assert main(["validate", "brand"]) == ExitCode.OK


def test_a_download_that_breaks_off_each_time_is_not_measured(
    healthy: RepositoryFolder, s3: BatchServer
) -> None:
    push()
    forget(healthy)
    s3.breaks_off = 99
    with pytest.raises(PromptHubError, match="cannot be read: RetriesExceededError") as caught:
        healthy.repository.examples(TASK)
    assert caught.value.exit_code == ExitCode.NOT_MEASURED
    assert [*(healthy.root / SETS_DIR).iterdir()] == []


def test_a_reference_stands_alone(healthy: RepositoryFolder, s3: BatchServer) -> None:
    line = healthy.read(EXAMPLES).splitlines()[0]
    push()
    healthy.write(EXAMPLES, healthy.read(EXAMPLES) + line + "\n")
    with pytest.raises(InvalidDocumentsError, match="found more lines"):
        healthy.repository.examples(TASK)


def test_examples_that_are_wrong_are_not_stored(
    healthy: RepositoryFolder, s3: BatchServer, tmp_path: Path
) -> None:
    before = healthy.read(EXAMPLES)
    for content in ('{"id": "a"}\n', "", "\xff\n"):
        file = tmp_path / "more.jsonl"
        file.write_text(content, encoding="latin-1")
        assert push(str(file)) == ExitCode.BLOCKED
    assert push(str(tmp_path / "none.jsonl")) == ExitCode.USAGE
    assert (s3.files, healthy.read(EXAMPLES)) == ({}, before)


def test_where_nothing_can_be_kept_a_set_is_read_all_the_same(
    healthy: RepositoryFolder, s3: BatchServer
) -> None:
    push()
    before = healthy.repository.examples(TASK)
    keep_nothing(healthy)
    assert healthy.repository.examples(TASK) == before


def read_streamed(folder: RepositoryFolder) -> list[Example]:
    return [*folder.repository.stream_examples(TASK)]


@pytest.mark.parametrize("where", ["git", "kept", "fetched", "nowhere"])
def test_examples_one_after_the_other_are_those_of_the_set(
    healthy: RepositoryFolder, s3: BatchServer, tmp_path: Path, where: str
) -> None:
    healthy.write(EXAMPLES, healthy.read(EXAMPLES).rstrip("\n").replace("\n", "\n\n"))
    before = [*healthy.repository.examples(TASK)]
    if where != "git":
        push()
    if where == "fetched":
        forget(healthy)
    elif where == "nowhere":
        keep_nothing(healthy)
    assert read_streamed(healthy) == before
    assert s3.asked["GET bucket"] == (where in ("fetched", "nowhere"))


@pytest.mark.parametrize("from_elsewhere", [False, True])
def test_what_is_saved_while_a_set_is_pushed_stays(
    healthy: RepositoryFolder,
    s3: BatchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    *,
    from_elsewhere: bool,
) -> None:
    store = example_objects.store
    line = healthy.read(EXAMPLES).splitlines()[0].replace('"id": "', '"id": "late-') + "\n"
    other = tmp_path / "more.jsonl"
    other.write_text(healthy.read(EXAMPLES), encoding="utf-8")

    def saved_meanwhile(uri: str, path: Path, file: str) -> None:
        healthy.write(EXAMPLES, healthy.read(EXAMPLES) + line)
        store(uri, path, file)

    monkeypatch.setattr(example_objects, "store", saved_meanwhile)
    assert push(*[str(other)] * from_elsewhere) == ExitCode.USAGE
    assert f"nothing was written: {EXAMPLES} was changed meanwhile" in capsys.readouterr().err
    assert healthy.read(EXAMPLES).endswith(line)
    monkeypatch.setattr(example_objects, "store", store)
    assert push() == ExitCode.OK
    assert [example.id for example in healthy.repository.examples(TASK)][-1].startswith("late-")


def test_a_first_set_is_pushed_where_no_file_was(
    healthy: RepositoryFolder, s3: BatchServer, tmp_path: Path
) -> None:
    other = tmp_path / "more.jsonl"
    healthy.path(EXAMPLES).rename(other)
    assert push(str(other)) == ExitCode.OK
    assert reference(healthy)["size"] == other.stat().st_size


@pytest.mark.parametrize("step", ["size_of", "store"])
def test_what_is_stored_is_what_was_hashed(
    healthy: RepositoryFolder, s3: BatchServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    original = getattr(example_objects, step)

    def changed_meanwhile(*arguments: object, **options: object) -> object:
        healthy.edit(EXAMPLES, "Yageo", "Vishay")
        return original(*arguments, **options)

    monkeypatch.setattr(example_objects, step, changed_meanwhile)
    push()
    kept = {f"/bucket/examples/{path.name}": path for path in (healthy.root / SETS_DIR).iterdir()}
    assert s3.files == {name: path.read_bytes() for name, path in kept.items()}
    for name, content in s3.files.items():
        assert name == f"/bucket/examples/{hashlib.sha256(content).hexdigest()}.jsonl"


def test_a_file_that_changes_while_it_is_read_is_neither_kept_nor_stored(
    healthy: RepositoryFolder,
    s3: BatchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    count_examples = example_sets.read_example_file

    def changed_meanwhile(stream: IO[bytes], file: str) -> Sequence[Example]:
        found = count_examples(stream, file)
        healthy.edit(EXAMPLES, "Yageo", "Vishay")
        return found

    monkeypatch.setattr(example_sets, "read_example_file", changed_meanwhile)
    assert push() == ExitCode.USAGE
    assert f"{EXAMPLES} was changed while it was read" in capsys.readouterr().err
    assert s3.files == {}
    assert [*(healthy.root / SETS_DIR).iterdir()] == []
    assert "Vishay" in healthy.read(EXAMPLES)


def test_without_a_region_the_bucket_has_to_be_named(
    healthy: RepositoryFolder,
    s3: BatchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE", aws_names.ENV_RESULTS_BUCKET):
        monkeypatch.delenv(name, raising=False)
    # Other SDKs read this one; that of Python does not.
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert main(["examples", "push", TASK]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "AWS_DEFAULT_REGION" in told
    assert s3.files == {}


def keep_nothing(folder: RepositoryFolder) -> None:
    """Let this checkout have no place for sets, as in a container of a stage."""
    forget(folder)
    (folder.root / SETS_DIR).rmdir()
    (folder.root / SETS_DIR).write_text("in the way", encoding="utf-8")


def test_a_container_without_a_disk_reads_a_set_all_the_same(
    healthy: RepositoryFolder, s3: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_disk(*_: object, **__: object) -> NoReturn:
        raise FileNotFoundError("No usable temporary directory found")

    push()
    before = [*healthy.repository.examples(TASK)]
    keep_nothing(healthy)
    monkeypatch.setattr(tempfile, "gettempdir", no_disk)
    monkeypatch.setattr(example_sets, "TemporaryFile", no_disk)
    monkeypatch.setattr(example_objects, "_PIECE", 7)
    assert read_streamed(healthy) == before


def test_a_set_that_is_not_kept_is_held_to_its_hash_all_the_same(
    healthy: RepositoryFolder, s3: BatchServer
) -> None:
    push()
    keep_nothing(healthy)
    for name, content in s3.files.items():
        s3.files[name] = content.replace(b"diode", b"triac")
    with pytest.raises(InvalidDocumentsError, match="sha256: found a set that hashes to"):
        read_streamed(healthy)
    s3.files.clear()
    with pytest.raises(PromptHubError, match="there is no s3://bucket/examples/"):
        read_streamed(healthy)


def test_what_is_wrong_with_a_line_is_told_behind_the_last_one(healthy: RepositoryFolder) -> None:
    before = [*healthy.repository.examples(TASK)]
    healthy.write(EXAMPLES, '{"id": 1}\n' + healthy.read(EXAMPLES))
    found = []
    with pytest.raises(InvalidDocumentsError, match=rf"{EXAMPLES}:1"):  # noqa: PT012
        for example in healthy.repository.stream_examples(TASK):
            found.append(example)  # noqa: PERF402
    assert found == before


def test_a_large_set_is_validated_line_by_line(
    healthy: RepositoryFolder, s3: BatchServer, tmp_path: Path
) -> None:
    lines = healthy.read(EXAMPLES).splitlines()
    more = {"input": {"part_number": "P1", "title": "Resistor"}}
    for number in range(5000):
        expected = {"part_class": "relay" if number == 4321 else "resistor"}
        lines += [json.dumps({"id": f"part-{number}", **more, "expected": expected}), ""]
    file = tmp_path / "more.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert push(str(file)) == ExitCode.OK
    assert isinstance(healthy.repository.examples(TASK), ManyExamples)
    healthy.stamp(TASK)
    (finding,) = healthy.findings()
    assert (finding.rule, finding.problem.line) == ("example-expected", 8 + 2 * 4321 + 1)
    assert "relay" in finding.problem.found
