"""What the doctor reads in `cdk.json` before it asks anybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.doctor.installation import read_cdk_json


@pytest.mark.parametrize("place", [{"account": "222222222222"}, {"region": "eu-west-1"}])
def test_a_stage_elsewhere_is_not_taken_for_one_that_lacks_everything(
    tmp_path: Path, place: dict[str, str]
) -> None:
    own = {"account": "111111111111", "region": "us-east-1"}
    hub = {**own, "stages": [{"name": "dev", **own}, {"name": "prod", **place}]}
    (tmp_path / "cdk.json").write_text(json.dumps({"context": {"prompt-hub": hub}}))
    assert read_cdk_json(tmp_path, "dev").context.installation
    with pytest.raises(PromptHubError, match="'prod' in another account or region") as raised:
        read_cdk_json(tmp_path, "prod")
    assert raised.value.exit_code == ExitCode.USAGE
