"""The local AWS as a process: where it listens, what survives, and the emulator it was made for."""

from __future__ import annotations

import inspect
import io
import json
import signal
import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from local_aws import cloud
from tests.local_aws.emulator import ROOT, LocalAws, eventually

# What `cloud`, `cloudformation`, `codebuild` and `codepipeline` reach into.
PRIVATE_NAMES = {
    "ministack.app": (
        "PERSIST_STATE SERVICE_HANDLERS app _loaded_modules _state_map _build_persistence_save_dict"
    ),
    "ministack.core.persistence": "json save_all",
    "ministack.core.responses": "request_scope json_response error_response_json",
    "ministack.core.router": "SERVICE_PATTERNS",
    "ministack.services.cloudformation.provisioners": "_RESOURCE_HANDLERS",
    "ministack.services.codebuild": (
        "_builds _projects _build_id _make_build_record _start_build _stop_build"
    ),
}


def test_the_extensions_were_written_for_the_emulator_that_is_installed() -> None:
    assert version("ministack") == cloud.EMULATOR_VERSION
    for module, names in PRIVATE_NAMES.items():
        for name in names.split():
            assert hasattr(import_module(module), name), f"{module}.{name} is gone"


def test_the_emulator_calls_its_private_functions_as_the_extensions_expect() -> None:
    codebuild = import_module("ministack.services.codebuild")
    assert list(inspect.signature(codebuild._make_build_record).parameters) == [
        "project",
        "build_id",
        "source_version",
    ]
    assert '"StartBuild": _start_build' in inspect.getsource(codebuild._handle_request_sync)
    cloudformation = import_module("ministack.services.cloudformation.provisioners")
    assert {"create", "update", "delete"} <= set(
        cloudformation._RESOURCE_HANDLERS["AWS::CodeBuild::Project"]
    )


def test_state_is_written_at_once_with_the_bytes_that_the_emulator_would_write() -> None:
    persistence = import_module("ministack.core.persistence")
    assert "json.dump(" in inspect.getsource(persistence.save_state)
    default = persistence._json_default
    state = {"of": ["é", 1.5, None], "body": b"\x00bytes", "by": {"account": 1}}

    at_once, as_before = io.StringIO(), io.StringIO()
    cloud.dump_at_once(state, at_once, default=default)
    json.dump(state, as_before, default=default)

    assert at_once.getvalue() == as_before.getvalue()


def test_every_extension_can_be_installed() -> None:
    for name in cloud.EXTENSIONS:
        assert callable(import_module(f"local_aws.{name}").install)


def listening(pid: int) -> set[str]:
    """Local addresses, as the kernel writes them, on which `pid` accepts TCP connections."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        link = str(descriptor.readlink()) if descriptor.is_symlink() else ""
        if link.startswith("socket:["):
            sockets.add(link[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                found.add(fields[1])
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's list of sockets")
def test_it_listens_on_its_loopback_port_and_nowhere_else(aws: LocalAws) -> None:
    assert aws.process is not None
    loopback = "0100007F"
    assert listening(aws.process.pid) == {f"{loopback}:{aws.port:04X}"}


def test_state_survives_a_clean_restart(aws: LocalAws) -> None:
    aws.client("ssm").put_parameter(Name="/kept", Value="parameter", Type="String")
    s3 = aws.client("s3")
    s3.create_bucket(
        Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    s3.put_object(Bucket="kept", Key="a/b", Body=b"object")

    aws.restart()

    assert aws.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "parameter"
    assert aws.client("s3").get_object(Bucket="kept", Key="a/b")["Body"].read() == b"object"


def test_a_kill_loses_no_more_than_the_last_seconds(aws: LocalAws) -> None:
    aws.client("ssm").put_parameter(Name="/saved", Value="soon", Type="String")
    saved = aws.state / "services" / "ssm.json"
    eventually(
        lambda: saved.exists() and "/saved" in saved.read_text(),
        seconds=2 * cloud.SAVE_SECONDS,
        what="the periodic save",
    )

    aws.restart(signal.SIGKILL)

    assert aws.client("ssm").get_parameter(Name="/saved")["Parameter"]["Value"] == "soon"


def test_a_second_one_on_the_same_state_is_refused_in_plain_words(aws: LocalAws) -> None:
    settings = aws.state / "test-settings.json"
    second = subprocess.run(
        [sys.executable, "-m", "local_aws.cloud", "--settings", str(settings)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr == f"Another local AWS runs on {aws.state}; stop that one first.\n"


def test_what_it_starts_leaves_nothing_in_the_machines_temporary_folder(aws: LocalAws) -> None:
    before = set(Path(tempfile.gettempdir()).glob("ministack-*"))
    aws.function("temporary", "def handler(event, context):\n    return event")

    answer = aws.client("lambda").invoke(FunctionName="temporary", Payload=b'"heard"')

    assert answer["Payload"].read() == b'"heard"'
    assert set(Path(tempfile.gettempdir()).glob("ministack-*")) == before
