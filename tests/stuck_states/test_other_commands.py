"""Commands of other pages, read from there and run by AWS's own command line."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local_aws.isolation import isolated
from prompt_hub.core import aws_names
from prompt_hub.llm.secrets import SAME_KEY_SECONDS, SecretApiKey
from tests.local_aws.emulator import LocalAws, create_table
from tests.stuck_states.page import ROOT

pytestmark = pytest.mark.shipped

OWN = aws_names.ledger_table("dev")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    assert shutil.which("aws"), "AWS's own command line is missing: `make stuck-states` installs it"
    emulator = LocalAws(state=tmp_path_factory.mktemp("local-aws"))
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


def run(aws: LocalAws, command: str, **variables: str) -> None:
    done = subprocess.run(
        ["sh", "-c", command],
        env={**isolated(os.environ), **aws.environment, **variables},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_a_ledger_is_restored_with_what_it_had_of_protection(aws: LocalAws) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    commands = re.findall(rf"^    (aws dynamodb .*{OWN}-restored.*)$", page, re.M)
    assert [command.split()[2] for command in commands] == [
        "restore-table-to-point-in-time",
        "wait",
        "update-continuous-backups",
        "update-table",
    ]
    create_table(aws, OWN)
    dynamodb, restored = aws.client("dynamodb"), f"{OWN}-restored"
    item = {"pk": {"S": "HEAD"}, "sk": {"S": "HEAD"}, "revision": {"N": "7"}}
    dynamodb.put_item(TableName=OWN, Item=item)
    dynamodb.update_continuous_backups(
        TableName=OWN, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )

    for command in commands:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        run(aws, re.sub(r"\bTIME\b", now, command))

    assert dynamodb.scan(TableName=restored)["Items"] == [item]
    table = dynamodb.describe_table(TableName=restored)["Table"]
    assert table["DeletionProtectionEnabled"]
    backups = dynamodb.describe_continuous_backups(TableName=restored)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    assert not dynamodb.describe_table(TableName=OWN)["Table"].get("DeletionProtectionEnabled")


def test_a_provider_key_that_was_changed_is_read_after_its_refusal(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`(aws secretsmanager put-secret-value [^`]+)`", page)
    aws.client("secretsmanager").create_secret(Name="prompt-hub/openai", SecretString="old")
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    now = [0.0]
    key = SecretApiKey("prompt-hub/openai", clock=lambda: now[0])

    async def rotate() -> list[str]:
        found = [await key()]
        run(aws, command, KEY="new")
        found.append(await key())
        now[0] += SAME_KEY_SECONDS
        key.refused()
        found.append(await key())
        return found

    assert asyncio.run(rotate()) == ["old", "old", "new"]
