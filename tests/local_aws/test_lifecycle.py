"""`make up` once, end to end, in a folder of its own; then once more, after `make down`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from local_aws import lifecycle, stack, stack_reader
from local_aws.mail import newest
from prompt_hub.core import aws_names

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.lifecycle, pytest.mark.shipped]

Json = dict[str, object]
LISTENS = "0A"
"""State of a listening socket in /proc/net/tcp."""


def local_aws(command: str, state: Path) -> str:
    """Run one command of the local AWS as `make` does; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "local_aws", command, "--state", str(state)],
        cwd=ROOT,
        # What pytest-xdist tells its workers is about this run, not about those of Synth.
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=1500,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def report(state: Path, name: str = "run") -> Json:
    loaded: Json = json.loads((state / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def listeners(state: Path) -> list[str]:
    """Hexadecimal local addresses that processes of this run listen on, as the kernel says."""
    inodes: set[str] = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _belongs(process, state):
            inodes |= _sockets(process)
    addresses = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
            local, state_code, inode = (line.split()[column] for column in (1, 3, 9))
            if state_code == LISTENS and inode in inodes:
                addresses.append(local.partition(":")[0])
    return addresses


def _sockets(process: Path) -> set[str]:
    """Inodes of the sockets that a process has open; one that it closes meanwhile is none."""
    inodes: set[str] = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for handle in (process / "fd").iterdir():
            with suppress(FileNotFoundError):
                found = re.fullmatch(r"socket:\[(\d+)\]", str(handle.readlink()))
                if found:
                    inodes.add(found[1])
    return inodes


def _belongs(process: Path, state: Path) -> bool:
    try:
        data = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except OSError:
        return False
    return str(state).encode() in data


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("lifecycle")
    try:
        local_aws("up", folder)
        yield folder
    finally:
        subprocess.run(
            [sys.executable, "-m", "local_aws", "down", "--state", str(folder)],
            cwd=ROOT,
            check=False,
        )


def test_the_driver_and_the_product_use_the_same_names() -> None:
    local = stack.LocalStack(ROOT, Path())
    assert local.installation == aws_names.pipeline()
    assert stack_reader.Observer(local).ledger == aws_names.ledger_table(stack_reader.STAGE)
    assert stack.ACCOUNT == "000000000000"


def test_one_is_promoted_one_is_blocked_by_real_scores(state: Path) -> None:
    verdicts = {
        str(line["task"]): line
        for line in cast("list[Json]", report(state)["versions"])
        if line["verdict"] != "RELEASED"
    }
    assert sorted(str(line["verdict"]) for line in verdicts.values()) == ["BLOCK", "PASS"]
    for line in verdicts.values():
        score, threshold = cast(float, line["score"]), cast(float, line["threshold"])
        assert (score >= threshold) == (line["verdict"] == "PASS")
        assert cast(int, line["n"]) >= 40
        assert cast(float, line["baseline"]) < score


def test_the_regression_is_rolled_back_in_time(state: Path) -> None:
    rollback = cast(Json, report(state)["rollback"])
    assert cast(float, rollback["seconds_first_bad_sample_to_good_answer"]) < 15
    after = cast("dict[str, float]", rollback["scores_after"])
    before = cast("dict[str, float]", rollback["scores_before"])
    new, old = str(rollback["from"]), str(rollback["to"])
    assert after[new] < before[new]
    assert after[old] > after[new]
    assert cast(float, rollback["restored_score"]) == pytest.approx(after[old], abs=0.05)
    timeline = [line["what"] for line in cast("list[dict[str, str]]", report(state)["timeline"])]
    assert any("rolled-back, asked by the " in what for what in timeline)


def test_the_red_execution_is_marked_and_no_other_step(state: Path) -> None:
    steps = {str(s["name"]): s["status"] for s in cast("list[Json]", report(state)["steps"])}
    assert steps.pop("CodePipeline, as CDK synthesised it") == "expected-red"
    assert set(steps.values()) == {"ok"}


def test_no_alarm_is_left_but_that_of_the_bad_version(state: Path) -> None:
    alarms = stack.LocalStack(ROOT, state).alarms
    firing = {
        alarm["AlarmName"]
        for page in alarms.get_paginator("describe_alarms").paginate(StateValue="ALARM")
        for alarm in page["MetricAlarms"]
    }
    # The drill's own version plays bad in each release, and its alarm looks back a while.
    bad = (lifecycle.TASK, aws_names.DRILL_TASK)
    assert firing <= {aws_names.score_alarm(stack_reader.STAGE, task) for task in bad}


def test_the_messages_to_people_can_be_read(state: Path) -> None:
    subjects = [subject for _, subject in newest(stack.LocalStack(ROOT, state).mail, 1000)]
    rollback = cast(Json, report(state)["rollback"])
    told = f"{rollback['task']}: rolled back {rollback['from']} -> {rollback['to']}"
    assert any(told in subject for subject in subjects), subjects
    assert any("1 blocked" in subject for subject in subjects), subjects


def test_the_state_of_it_all_is_one_page(state: Path) -> None:
    message = local_aws("status", state)
    restored = cast(Json, report(state)["rollback"])
    assert f"{lifecycle.TASK} {restored['to']} · way back none · quarantined" in message
    assert re.search(r"Succeeded  Promote / Promote  \d", message)
    assert re.search(r"service  http://127\.0\.0\.1:\d+/v1/tasks\n", message)


def test_the_other_task_is_untouched_and_the_bad_version_quarantined(state: Path) -> None:
    pointers = {str(p["task"]): p for p in cast("list[Json]", report(state)["pointers"])}
    rollback = cast(Json, report(state)["rollback"])
    hit = pointers.pop(str(rollback["task"]))
    assert hit["version"] == rollback["to"]
    assert cast(Json, hit["states"])[str(rollback["from"])] == "quarantined"
    for other in pointers.values():
        assert "quarantined" not in cast(Json, other["states"]).values()


def test_nothing_listens_beyond_loopback(state: Path) -> None:
    addresses = listeners(state)
    assert len(addresses) >= 3
    # The kernel writes 127.0.0.1 with its bytes turned round.
    assert set(addresses) == {"0100007F"}


def test_records_carry_their_version(state: Path) -> None:
    lines = (state / "records.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) >= 5
    for record in records:
        assert record["error"] is None
        assert record["output"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", record["version"])
        assert re.fullmatch(r"[0-9a-f]{64}", record["sha256"])
        assert record["release"]


def test_the_run_over_records_is_listed_in_the_clone_of_the_lifecycle(state: Path) -> None:
    listed = state / "demo" / ".prompt-hub" / "records"
    assert list(listed.glob(f"runs/{lifecycle.TASK}/*/manifest.json"))


def test_the_page_needs_no_network(state: Path) -> None:
    page = (state / "run.html").read_text(encoding="utf-8")
    assert len(page) < 300_000
    assert not re.search(r"""(?:src|href)=["']https?:""", page)


def test_every_evaluation_has_a_page_of_its_own(state: Path) -> None:
    candidates = [
        line
        for line in cast("list[Json]", report(state)["versions"])
        if line["verdict"] != "RELEASED"
    ]
    assert len(candidates) == 2
    for line in candidates:
        page = (state / str(line["page"])).read_text(encoding="utf-8")
        assert str(line["version"]) in page
        assert str(line["verdict"]) in page


def test_a_request_is_traced_to_its_commit_and_its_version_to_its_end(state: Path) -> None:
    running = stack.LocalStack(ROOT, state)
    answer = stack_reader.Observer(running).ask(lifecycle.TASK)
    clone = state / "traced"
    subprocess.run(["git", "clone", "--quiet", state / "remote.git", clone], check=True)
    environment = {**running.environment, aws_names.ENV_ROOT: str(clone)}
    rollback = cast(Json, report(state)["rollback"])
    for subject in (str(answer["trace_id"]), f"{lifecycle.TASK}@{rollback['from']}"):
        done = subprocess.run(
            [sys.executable, "-m", "prompt_hub.cli", "trace", subject, "--stage", "dev", "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (chain,) = json.loads(done.stdout)["chains"]
        hops = {hop["name"]: hop for hop in chain["hops"]}
        for name in ("version", "release", "image", "task-definition", "activation"):
            assert hops[name]["state"] == "verified", hops[name]
    assert hops["rollback"]["state"] == "verified"
    assert hops["commit"]["state"] == "verified"


def test_the_users_checkout_is_not_touched(state: Path) -> None:
    done = subprocess.run(
        ["git", "status", "--porcelain", "prompts", "prompt_registry.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    if os.environ.get("CI"):
        assert done.stdout == ""


def test_once_more_after_down_pays_nothing_and_brings_nothing_bad_back(state: Path) -> None:
    restored = cast(Json, report(state)["rollback"])["to"]
    local_aws("down", state)
    assert listeners(state) == []
    message = local_aws("up", state)
    assert f"serves {restored}: quarantined and not back: " in message
    assert re.findall(r"(\d+) model calls", message) == ["0", "0"]
    pointers = {str(p["task"]): p for p in cast("list[Json]", report(state, "push")["pointers"])}
    assert pointers[lifecycle.TASK]["version"] == restored


def test_only_the_first_synthesis_of_these_templates_was_checked(state: Path) -> None:
    logs = [
        file.read_text("utf-8")
        for file in (state / "cloud" / "logs" / "codebuild").rglob("*.log")
        if "checked_templates" in file.read_text("utf-8")
    ]
    assert len(logs) >= 2
    assert sum("no green templates of this code are remembered" in log for log in logs) == 1
    assert sum("templates: not checked again" in log for log in logs) == len(logs) - 1
