"""Executions of a stage's state machine are looked for where the stage is."""

from __future__ import annotations

import pytest

from prompt_hub.batch.executions import failed_execution
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import serving


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-central-1", "aws"), ("us-gov-west-1", "aws-us-gov")]
)
def test_a_state_machine_is_asked_for_in_the_partition_of_its_region(
    monkeypatch: pytest.MonkeyPatch, region: str, partition: str
) -> None:
    machines: set[str] = set()

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        machines.add(str(sent["stateMachineArn"]))
        return 200, {"executions": []}

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    with serving(respond) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        bucket = "prompt-hub-dev-records-111122223333"
        assert failed_execution(bucket, "incoming/brand/parts.csv", "1", None) is None
    of_account = f"arn:{partition}:states:{region}:111122223333"
    assert machines == {f"{of_account}:stateMachine:prompt-hub-dev-records"}
