"""What the doctor reads in `cdk.json` before it asks anybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.doctor.installation import read_cdk_json


@pytest.mark.parametrize("place", [{"account": "222222222222"}, {"region": "eu-west-1"}])
def test_a_stage_elsewhere_is_not_taken_for_one_that_lacks_everything(
    tmp_path: Path,
    place: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without its profile nobody gets there."""
    own = {"account": "111111111111", "region": "us-east-1"}
    hub = {**own, "stages": [{"name": "dev", **own}, {"name": "prod", **place}]}
    (tmp_path / "cdk.json").write_text(json.dumps({"context": {"prompt-hub": hub}}))
    settings = read_cdk_json(tmp_path, "prod").context.installation
    assert settings is not None
    assert not settings.elsewhere("dev")
    assert settings.place("prod") == tuple({**own, **place}.values())
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv(aws_names.ENV_ROOT, str(tmp_path))
    assert main(["doctor", "--stage", "prod"]) == ExitCode.USAGE
    assert "there is no profile prompt-hub-prod to reach it by" in capsys.readouterr().err
