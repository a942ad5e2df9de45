"""`prompt-hub trace` on the local AWS: the whole chain both ways, and each hop tampered with.

A real push is evaluated and promoted by the product, its image registered, its pointers moved and
rolled back. Then one stored thing after the other is changed behind the product's back.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.client import BaseClient

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from tests.local_aws.emulator import ROOT, LocalAws
from tests.local_aws.trace_stand import (
    BUCKET,
    RECORD,
    REGISTRY,
    RELEASE,
    STAGE,
    TABLE,
    TRACE_ID,
    URI,
    Stand,
    make_stand,
    register,
)
from tests.unit.promotion.checkouts import git

HOPS = [
    "call", "version", "release", "image", "task-definition", "evaluation", "examples", "metadata",
    "scorers", "model", "commit", "promotion", "activation", "rollback",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Stand:
    return make_stand(aws, tmp_path_factory.mktemp("trace"))


@pytest.fixture
def stand(made: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """The stage, and a clone of one's own; the ledger and the bucket are put back afterwards."""
    clone = tmp_path / "clone"
    shutil.copytree(made.clone, clone)
    for name, value in {**made.aws.environment, aws_names.ENV_ROOT: str(clone)}.items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name in (aws_names.ENV_STAGE, "AWS_PROFILE")]:
        monkeypatch.delenv(name)
    table, objects = made.aws.client("dynamodb"), made.aws.client("s3")
    items = table.scan(TableName=TABLE)["Items"]
    listed = [item["Key"] for item in objects.list_objects_v2(Bucket=BUCKET)["Contents"]]
    kept = {key: made.results.get(key) for key in listed}
    yield replace(made, clone=clone)
    for item in items:
        table.put_item(TableName=TABLE, Item=item)
    for key, text in kept.items():
        made.results.put(key, text or "")


def traced(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and chains of one trace."""
    capsys.readouterr()
    code = main(["trace", *words, "--stage", STAGE, "--json"])
    out, err = capsys.readouterr()
    assert out, err
    return code, cast("list[dict[str, Any]]", json.loads(out)["chains"])


def broken(chains: list[dict[str, Any]]) -> list[str]:
    return [hop["name"] for chain in chains for hop in chain["hops"] if hop["state"] == "broken"]


def facts(chain: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [hop["facts"] for hop in chain["hops"] if hop["name"] == name]
    return cast("dict[str, Any]", found)


def test_a_call_is_traced_to_its_commit_and_to_its_end(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (chain,) = traced(capsys, TRACE_ID)
    assert (code, broken([chain])) == (0, [])
    assert [hop["name"] for hop in chain["hops"]] == HOPS
    assert {hop["state"] for hop in chain["hops"]} == {"verified"}
    assert (chain["task"], chain["version"]) == ("part-class", "1.2.0")
    assert facts(chain, "release")["release"] == RELEASE
    assert facts(chain, "image")["digest"] == stand.digest
    assert facts(chain, "task-definition")["arn"] == stand.definition
    assert facts(chain, "commit")["author"] == "Author <author@example.com>"
    assert facts(chain, "commit")["subject"] == "Sort parts into classes"
    assert facts(chain, "promotion")["execution"] == RELEASE
    assert facts(chain, "promotion")["tag"] == git(stand.clone, "rev-parse", "origin/main")
    assert "rolled-back to 1.1.0" in facts(chain, "rollback")["#3"]


def test_every_other_beginning_comes_to_the_same_chain(
    stand: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, (chain,) = traced(capsys, stand.line)
    without_call = [hop for hop in chain["hops"] if hop["name"] != "call"]
    log = tmp_path / "service.log"
    log.write_text(f"no JSON\n{stand.line}\n", encoding="utf-8")
    code, (by_line,) = traced(capsys, f"{log}:2")
    assert (code, by_line["hops"][1:]) == (0, without_call)
    for words in (["part-class@1.2.0"], ["part-class", "1.2.0"]):
        code, (by_version,) = traced(capsys, *words)
        assert (code, by_version["hops"]) == (0, without_call)
    for words in ([RELEASE], [stand.digest], [f"{URI}@{stand.digest}"]):
        code, chains = traced(capsys, *words)
        assert [chain["task"] for chain in chains] == ["brand", "part-class"]
        assert chains[1]["hops"] == without_call


def test_a_line_of_a_batch_output_is_traced(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    logged = json.loads(stand.line)
    line = {"record": 7, "input": {}, "output": {"part_class": "diode"}, "error": None}
    line |= {name: logged[name] for name in ("task", "version", "sha256", "release", "trace_id")}
    code, (chain,) = traced(capsys, json.dumps(line))
    assert (code, broken([chain])) == (0, [])
    assert facts(chain, "call")["kind"] == "batch"
    code, (chain,) = traced(capsys, json.dumps({**line, "model": "openai:another"}))
    assert (code, broken([chain])) == (1, ["model"])


def test_a_promotion_that_was_retried_is_no_broken_chain(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its second run finds the version released, and releases the newer head of the branch."""
    promotion = json.loads(stand.results.get(aws_names.promotion_key(RELEASE)) or "")
    promotion["tasks"]["part-class"]["outcome"] = "released already"
    stand.change(aws_names.promotion_key(RELEASE), "tasks", promotion["tasks"])
    before = git(stand.clone, "rev-parse", "HEAD~1")
    git(stand.clone, "commit", "--quiet", "--allow-empty", "-m", "somebody pushed meanwhile")
    for named, hops in ((git(stand.clone, "rev-parse", "HEAD"), []), (before, ["promotion"])):
        stand.change(aws_names.promotion_key(RELEASE), "released_commit", named)
        _, (chain,) = traced(capsys, "part-class@1.2.0")
        assert [hop for hop in broken([chain]) if hop == "promotion"] == hops


def test_what_older_versions_did_not_record_is_told(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {key: value for key, value in json.loads(stand.line).items() if key != "revision"}
    stand.aws.client("s3").delete_object(Bucket=BUCKET, Key=aws_names.image_key(RELEASE))
    assert main(["trace", json.dumps(old), "--stage", STAGE]) == 0
    told = capsys.readouterr().out
    assert "ledger revision not recorded before 0.2.0" in told
    assert "digest at the push not recorded before 0.2.0" in told


def test_an_engineer_on_call_needs_what_the_page_says_and_no_more(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    make = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noting(client: BaseClient, operation: str, parameters: object) -> object:
        asked.add(f"{client.meta.service_model.endpoint_prefix}:{operation}")
        return make(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", noting)
    assert main(["trace", TRACE_ID, "--stage", STAGE]) == 0
    # Nobody has the commit that the other task was measured at.
    assert main(["trace", stand.digest, "--stage", STAGE]) == 1
    page = (ROOT / "docs" / "provenance.md").read_text(encoding="utf-8")
    policy = json.loads(page.split("```json")[1].split("```")[0])
    allowed = {action for statement in policy["Statement"] for action in (statement["Action"])}
    # Nobody needs a permission to learn who they are; reading objects asks S3 for the list, too.
    needed = {name.replace("api.ecr", "ecr") for name in asked} - {"sts:GetCallerIdentity"}
    assert allowed == needed | {"s3:ListBucket"}
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}


@pytest.mark.parametrize("trailer", ["", f"\n\nExecution: {RELEASE}"], ids=["squash", "rebase"])
def test_a_promotion_that_people_merged_by_a_new_commit_is_proven_by_its_tag(
    stand: Stand, trailer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    promoted = git(stand.clone, "rev-parse", "HEAD")
    git(stand.clone, "reset", "--quiet", "--soft", "HEAD^")
    git(stand.clone, "commit", "--quiet", "-m", f"Promote part-class 1.2.0 (#7){trailer}")
    code, (chain,) = traced(capsys, stand.line)
    assert (code, broken([chain])) == (0, [])
    assert facts(chain, "promotion")["commit"] == promoted
    assert facts(chain, "promotion")["execution"] == RELEASE


@pytest.mark.parametrize(
    "message", ["by hand", "Promote part-class 1.2.0\n\nExecution: another"], ids=["hand", "bot"]
)
def test_a_tag_that_was_moved_beside_the_history_is_found(
    stand: Stand, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = git(stand.clone, "rev-parse", "HEAD^{tree}")
    beside = git(stand.clone, "commit-tree", tree, "-p", "HEAD^", "-m", message)
    git(stand.clone, "tag", "--force", "part-class/v1.2.0", beside)
    code, (chain,) = traced(capsys, stand.line)
    assert (code, broken([chain])) == (1, ["promotion"])


def test_git_alone_is_traced_without_a_stage(
    stand: Stand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert main(["trace", "part-class@1.2.0"]) == 0
    told = capsys.readouterr().out
    assert told.count("needs --stage NAME") == 5
    assert told.count(" verified ") == 8


def test_what_is_not_there_is_said(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    for words, reason in (
        (["f" * 32], "broken at hop call: found no call"),
        (["e-9"], "broken at hop release: found no release e-9"),
        ([f"sha256:{'0' * 64}"], "broken at hop image: found no image"),
    ):
        assert main(["trace", *words, "--stage", STAGE]) == 1
        assert reason in capsys.readouterr().err
    code, (chain,) = traced(capsys, "part-class@9.9.9")
    assert code == 1
    assert broken([chain])[0] == "version"


# --- One stored thing changed --------------------------------------------------------------------


def _other_digest(stand: Stand) -> None:
    stand.change(aws_names.image_key(RELEASE), "digest", f"sha256:{'0' * 64}")


def _other_environment(stand: Stand) -> None:
    arn = register(stand.aws, "e-0", URI)
    # The next test must not find it.
    stand.definition = arn


def _move_the_tag(stand: Stand) -> None:
    git(stand.clone, "tag", "--force", "part-class/v1.2.0", "HEAD~1")


def _drop_an_event(stand: Stand) -> None:
    stand.aws.client("dynamodb").delete_item(
        TableName=TABLE, Key={"pk": {"S": "TASK#brand"}, "sk": {"S": "EVENT#000000000001"}}
    )


def _another_commit(stand: Stand) -> None:
    """Say that the record was made at the commit of its promotion, in record and registry."""
    record = json.loads((stand.clone / RECORD).read_text(encoding="utf-8"))
    older = git(stand.clone, "rev-parse", "HEAD")
    stand.reseal(commit=older)
    stand.commit(REGISTRY, record["commit"], older)


OTHER = "f" * 64
TAMPERED: list[tuple[str, str, Callable[[Stand], None]]] = [
    ("version", "hash in the registry", lambda s: s.commit(REGISTRY, _hash(s), OTHER)),
    (
        "version",
        "content of the prompt",
        lambda s: s.commit("prompts/02-production/part-class.yaml", "You sort", "You guess"),
    ),
    ("release", "commit", lambda s: s.change(aws_names.manifest_key(RELEASE), "commit", "c0ffee")),
    ("release", "carried hash", lambda s: _recarry(s)),
    (
        "release",
        "promotion",
        lambda s: s.change(aws_names.promotion_key(RELEASE), "released_commit", "c0ffee"),
    ),
    ("image", "digest", _other_digest),
    ("image", "tag moved", lambda s: s.change(aws_names.image_key(RELEASE), "commit", "c0ffee")),
    ("task-definition", "release", _other_environment),
    ("evaluation", "record", lambda s: s.commit(RECORD, '"looks": 1', '"looks": 2')),
    ("evaluation", "answer", lambda s: s.commit(f"{RECORD}l", "capacitor", "resistor")),
    ("evaluation", "resealed", lambda s: s.reseal(baseline=0.9)),
    ("evaluation", "resealed as of other scorers", lambda s: s.reseal(scorers_version="99")),
    (
        "evaluation",
        "bucket",
        lambda s: s.change(
            aws_names.evaluation_key(RELEASE, "part-class"), "started_at", "2026-01-01T00:00:00Z"
        ),
    ),
    ("examples", "hash", lambda s: s.reseal(examples_sha256=OTHER)),
    ("metadata", "hash", lambda s: s.reseal(metadata_sha256=OTHER)),
    ("model", "identity", lambda s: s.reseal(candidate={"model": "openai:another"})),
    ("commit", "another one", _another_commit),
    ("commit", "no such", lambda s: s.reseal(commit="c0ffee" + "0" * 34)),
    ("promotion", "tag", _move_the_tag),
    (
        "promotion",
        "record",
        lambda s: s.change(aws_names.promotion_key(RELEASE), "released_commit", "c0ffee"),
    ),
    ("activation", "event lost", _drop_an_event),
    ("activation", "head", lambda s: s.item("HEAD", "HEAD", revision=5)),
    (
        "activation",
        "pointer",
        lambda s: s.item("ACTIVE", "part-class", version="1.0.0", sha256=OTHER),
    ),
    ("activation", "deployed", lambda s: s.item("RELEASE", "DEPLOYED", carries={})),
    ("rollback", "state", lambda s: s.item("TASK#part-class", "VERSION#1.2.0", state="active")),
]


def _hash(stand: Stand) -> str:
    return str(json.loads(stand.line)["sha256"])


def _recarry(stand: Stand) -> None:
    key = aws_names.manifest_key(RELEASE)
    stand.results.put(key, (stand.results.get(key) or "").replace(_hash(stand), OTHER))


@pytest.mark.parametrize(
    ("hop", "tamper"), [pytest.param(hop, do, id=f"{hop}: {what}") for hop, what, do in TAMPERED]
)
def test_a_tampered_link_is_found(
    stand: Stand,
    hop: str,
    tamper: Callable[[Stand], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = stand.definition
    tamper(stand)
    code, (chain,) = traced(capsys, stand.line)
    if stand.definition != before:
        _forget(stand)
    assert code == 1
    assert hop in broken([chain])
    (link,) = [item for item in chain["hops"] if item["name"] == hop]
    assert all(fault["found"] and fault["expected"] and fault["mend"] for fault in link["faults"])


def _forget(stand: Stand) -> None:
    ecs = stand.aws.client("ecs")
    ecs.deregister_task_definition(taskDefinition=stand.definition)
    ecs.delete_task_definitions(taskDefinitions=[stand.definition])


@pytest.mark.parametrize(
    ("name", "value", "hop"),
    [
        ("sha256", OTHER, "call"),
        ("revision", 1, "call"),
        ("revision", 77, "call"),
        ("stage", "prod", "call"),
        ("release", "e-9", "release"),
        ("gen_ai.request.model", "another", "model"),
    ],
)
def test_a_tampered_call_is_found(
    stand: Stand, name: str, value: object, hop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (chain,) = traced(capsys, json.dumps({**json.loads(stand.line), name: value}))
    assert code == 1
    assert hop in broken([chain])


def _registry_torn(stand: Stand) -> None:
    stand.commit(REGISTRY, "schema: prompt-hub/registry@1", "schema: [")


def _manifest_torn(stand: Stand) -> None:
    stand.results.put(aws_names.manifest_key(RELEASE), "{")


def _pointer_torn(stand: Stand) -> None:
    stand.item("ACTIVE", "part-class", release=None)


@pytest.mark.parametrize(
    ("tamper", "hop"),
    [(_registry_torn, "version"), (_manifest_torn, "release"), (_pointer_torn, "activation")],
)
def test_what_nobody_can_read_is_a_broken_hop(
    stand: Stand,
    tamper: Callable[[Stand], None],
    hop: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tamper(stand)
    assert main(["trace", stand.line, "--stage", STAGE]) == 1
    assert f"broken at hop {hop}: " in capsys.readouterr().err


# --- Repair is prepared --------------------------------------------------------------------------


def test_calls_are_selected_by_the_version_that_made_them(
    stand: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logged = json.loads(stand.line)
    ours = {name: logged[name] for name in ("task", "version", "sha256", "release")}
    output = tmp_path / "parts.jsonl"
    lines = [
        {"record": number, "input": {}, "output": {}, "error": None, **ours, "version": version}
        for number, version in enumerate(("1.2.0", "1.1.0", "1.2.0"), 1)
    ]
    output.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    capsys.readouterr()
    words = ["trace", "--calls", "part-class@1.2.0", "--in", str(output), "--stage", STAGE]
    assert main([*words, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(call["kind"], call["record"]) for call in found] == [
        ("batch", 1),
        ("batch", 3),
        ("log", None),
    ]
    assert found[2]["trace_id"] == TRACE_ID
    assert found[1]["where"] == f"{output}:3"

    assert main([*words, "--to", logged["time"]]) == 0
    out, err = capsys.readouterr()
    assert out.count("record ") == 2
    assert TRACE_ID not in out
    assert "2 of them say no time" in err
    assert main([*words, "--from", logged["time"]]) == 0
    assert TRACE_ID in capsys.readouterr().out
