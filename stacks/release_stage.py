"""One stage: everything that a release is deployed into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aws_cdk import Stage
from constructs import Construct

from cdk_app.settings import Settings
from cdk_app.stack import environment, tag
from cdk_app.stage_settings import StageSettings
from cdk_app.tasks import Task
from stacks.ledger import LedgerStack
from stacks.records import RecordsStack
from stacks.rollback import RollbackStack
from stacks.service import ServiceStack


class ReleaseStage(Stage):
    """Ledger, rollback and service of one stage, and what answers its files of records.

    The order is the one in which a new stage can come up: the alarms and the topic exist before
    the first task runs.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        stage: StageSettings,
        tasks: Sequence[Task],
        release: str,
        root: Path,
    ) -> None:
        super().__init__(scope, stage.name, env=environment(settings, stage))
        self.settings = stage
        # Here, because the pipeline synthesises a stage as soon as it gets it, and what comes later
        # is lost without a word.
        tag(self, settings)
        ledger = LedgerStack(self, "Ledger", stage=stage)
        rollback = RollbackStack(
            self, "Rollback", settings=settings, stage=stage, tasks=tasks, root=root
        )
        service = ServiceStack(
            self, "Service", settings=settings, stage=stage, tasks=tasks, release=release
        )
        rollback.add_stack_dependency(ledger)
        service.add_stack_dependency(rollback)
        if stage.records is not None:
            records = RecordsStack(
                self, "Records", settings=settings, stage=stage, records=stage.records
            )
            service.add_stack_dependency(records)
