"""Green tests are remembered in a bucket as a build action reaches it; without one they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from prompt_hub.core import aws_names
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws

ROOT = Path(__file__).parents[2]
BUCKET = aws_names.results_bucket(ACCOUNT, REGION)


def git(where: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Author", "-c", "user.email=author@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=where, check=True)


def synth_tests(aws: LocalAws, where: Path, execution: str) -> list[str]:
    """What the action Tests prints that tests code."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        **aws.environment,
        aws_names.ENV_RESULTS_BUCKET: BUCKET,
        aws_names.ENV_EXECUTION: execution,
        "PYTHONPATH": str(ROOT / "pipeline_image"),
    }
    command = [sys.executable, "-m", "prompt_hub.release.code_tests", sys.executable, "tests.py"]
    done = subprocess.run(
        command, cwd=where, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_prompt_commit_skips_the_tests_of_code_that_it_did_not_touch(
    aws: LocalAws, tmp_path: Path
) -> None:
    prompt = tmp_path / "prompts" / "00-templates" / "a.yaml"
    prompt.parent.mkdir(parents=True)
    prompt.write_text("a\n", encoding="utf-8")
    (tmp_path / "tests.py").write_text("print('2 passed')\n", encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "-m", "all")

    first = synth_tests(aws, tmp_path, "e0")
    assert "2 passed" in first
    assert first[0].startswith("tests: run (")
    assert "cannot be read: NoSuchBucket" in first[0]
    assert "tests: green, but not remembered" in first[-1]

    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    second = synth_tests(aws, tmp_path, "e1")
    assert "2 passed" in second
    assert "no green run of this code is remembered" in second[0]
    (mark,) = s3.list_objects_v2(Bucket=BUCKET, Prefix=aws_names.CODE_TESTS)["Contents"]
    text = s3.get_object(Bucket=BUCKET, Key=mark["Key"])["Body"].read()
    assert json.loads(text)["execution"] == "e1"

    prompt.write_text("b\n", encoding="utf-8")
    git(tmp_path, "commit", "--quiet", "--all", "-m", "prompt")
    (skipped,) = synth_tests(aws, tmp_path, "e2")
    assert "passed them in execution e1" in skipped

    (tmp_path / "tests.py").write_text("print('3 passed')\n", encoding="utf-8")
    assert "3 passed" in synth_tests(aws, tmp_path, "e3")

    s3.delete_object(Bucket=BUCKET, Key=mark["Key"])
    (tmp_path / "tests.py").write_text("print('2 passed')\n", encoding="utf-8")
    assert "2 passed" in synth_tests(aws, tmp_path, "e4")
