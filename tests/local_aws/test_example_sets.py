"""An example set too large for git in a bucket of the local AWS: pushed, fetched, evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.example_sets import SETS_DIR
from tests.local_aws.emulator import ACCOUNT, REGION, SECRET, LocalAws
from tests.unit.batch.running import Model
from tests.unit.batch.servers import serving
from tests.unit.building import RepositoryFolder, build

TASK = "part-class"
EXAMPLES = f"prompts/01-examples/{TASK}.jsonl"
MANY = 40_000
"""So many that the file goes to S3 in several parts."""


@pytest.fixture
def folder(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RepositoryFolder:
    """A healthy repository, and the account that people use it in."""
    found = build(tmp_path / "repository")
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        aws_names.ENV_ROOT: str(found.root),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(aws_names.ENV_RESULTS_BUCKET, raising=False)
    return found


def test_without_a_bucket_it_is_not_measured(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = folder.read(EXAMPLES)
    assert main(["examples", "push", TASK, "--bucket", "no-such-bucket"]) == ExitCode.NOT_MEASURED
    assert "cannot be written: NoSuchBucket" in capsys.readouterr().err
    assert folder.read(EXAMPLES) == before


def test_a_large_set_is_pushed_fetched_and_evaluated(
    aws: LocalAws,
    folder: RepositoryFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket = aws_names.results_bucket(ACCOUNT, REGION)
    aws.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    file = tmp_path / "all.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        lines.write(folder.read(EXAMPLES))
        for number in range(MANY):
            fields = {"part_number": f"P{number}", "title": f"Resistor {number}: " + "1 % " * 40}
            expected = {"part_class": "resistor"}
            example = {"id": f"part-{number}", "input": fields, "expected": expected}
            lines.write(json.dumps(example) + "\n")
    assert file.stat().st_size > 8 << 20
    assert main(["examples", "push", TASK, str(file)]) == ExitCode.OK
    # The bucket is that of the account and region, as nothing says otherwise.
    assert f"s3://{bucket}/examples/" in capsys.readouterr().out
    (kept,) = (folder.root / SETS_DIR).iterdir()
    kept.unlink()
    assert main(["validate", "--stamp", TASK]) == ExitCode.OK
    assert kept.read_bytes() == file.read_bytes()
    assert main(["validate"]) == ExitCode.OK
    model = Model()
    with serving(model.respond) as url:
        alias = {"provider": "openai", "model": "small", "base_url": f"{url}/v1"}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps({"catalogue-pinned": alias}))
        assert main(["evaluate", TASK]) in {ExitCode.OK, ExitCode.INCONCLUSIVE}
    assert 64 <= len(model.asked) <= 2000
