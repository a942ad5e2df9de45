"""How a process learns what the installation is called that it belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.doctor.base import start


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that nobody has said anything about."""
    monkeypatch.delenv(aws_names.ENV_INSTALLATION)
    monkeypatch.delenv(aws_names.ENV_ROOT, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, settings: object, key: str = "prompt-hub") -> None:
    (folder / "cdk.json").write_text(json.dumps({"context": {key: settings}}), encoding="utf-8")


def test_cdk_json_says_it_where_no_environment_does(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert aws_names.installation() == "prompt-hub"
    write(checkout, {"installation": "shop"})
    assert aws_names.ledger_table("dev") == "shop-dev-ledger"
    monkeypatch.setenv(aws_names.ENV_INSTALLATION, "other")
    assert aws_names.ledger_table("dev") == "other-dev-ledger"


def test_the_root_is_looked_at_and_not_the_folder_in_which_somebody_stands(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = checkout / "root"
    root.mkdir()
    write(checkout, {"installation": "other"})
    write(root, {"installation": "shop"})
    monkeypatch.setenv(aws_names.ENV_ROOT, str(root))
    assert aws_names.installation() == "shop"


@pytest.mark.parametrize("key", ["prompt-hub", "somebody-else"])
def test_a_file_that_names_none_is_that_of_the_default(checkout: Path, key: str) -> None:
    write(checkout, {"region": "us-east-1"}, key)
    assert aws_names.installation() == "prompt-hub"


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_not_taken_for_the_default(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (checkout / "cdk.json").write_bytes(content)
    with pytest.raises(PromptHubError, match=r"cdk\.json cannot be read: .* is called") as raised:
        aws_names.installation()
    assert raised.value.hint == "Mend the file, or set PROMPT_HUB_INSTALLATION."
    monkeypatch.setenv(aws_names.ENV_INSTALLATION, "shop")
    assert aws_names.installation() == "shop"


def test_all_names_are_those_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(aws_names.ENV_INSTALLATION, "shop")
    names = {
        aws_names.cluster("dev"),
        aws_names.evaluation_project(),
        aws_names.event_source(),
        aws_names.freshness_alarm("dev", "brand"),
        aws_names.image_repository(),
        aws_names.log_group("pipeline")[1:],
        aws_names.notification_topic("dev"),
        aws_names.pipeline(),
        aws_names.pipeline_topic(),
        aws_names.results_bucket("1", "eu-west-1"),
        aws_names.rollback_function("dev"),
        aws_names.score_alarm("dev", "brand"),
        aws_names.service_log_group("dev")[1:],
        aws_names.smoke_role("dev"),
        aws_names.source_stack(),
        aws_names.stage_profile("dev"),
        aws_names.watch_budget_alarm("dev"),
        aws_names.watch_role("dev"),
    }
    assert [name for name in names if not name.startswith("shop")] == []
    assert (aws_names.metric_namespace(), aws_names.service_namespace()) == ("Shop", "Shop/Service")
    assert start().endswith("--name shop")
