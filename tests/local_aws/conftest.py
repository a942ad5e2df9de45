"""Fixtures of the local AWS tests: see `emulator.py` for what they hand out."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.local_aws.emulator import LocalAws

# Read by a process that starts when aws_cdk is imported, as the first of the test modules does.
# Templates that a test looks at are checked where `app.py` writes them; what runs `make`, or the
# CDK command line, is not told.
os.environ["CDK_VALIDATION"] = "false"
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

LONGEST = (
    "test_lifecycle.py",
    "test_types.py",
    "test_pull_request_workflow.py",
    "test_deployment_words.py",
    "test_killed_records.py",
    "test_on_call.py",
    "test_codepipeline.py",
    "test_local_model.py",
    "test_repair_in_two_stages.py",
    "test_console.py",
    "test_ecs.py",
    "test_evaluation_report.py",
    "test_state_machines.py",
    "test_two_stages.py",
    "test_runtime.py",
    "test_first_creation.py",
    "test_accessibility.py",
    "test_rollback_in_git.py",
    "test_watch_schedule.py",
    "test_compiled_once.py",
    "test_drill.py",
    "test_permissions.py",
    "test_prediction.py",
    "test_alarms.py",
    "test_service_metrics.py",
    "test_rollback.py",
    "test_load_balancer.py",
    "test_example_sets.py",
    "test_local_schemas.py",
)
"""Files that take the most seconds, in the order in which workers begin them.

One that began last would keep all others waiting for its worker.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the rest, and the tests inside a file, stay in their order."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A running emulator, shared by the tests of one module."""
    emulator = LocalAws(state=tmp_path_factory.mktemp("local-aws"))
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()
