"""What `cdk.json` says, read as plain JSON: what may stand in it is CDK code's business."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.providers.registry import with_region
from prompt_hub.repository.json import parse_model

QUALIFIER = "hnb659fds"
"""The CDK's own, where an installation has none of its own."""


class _Loose(BaseModel):
    """Reads what it needs; the rest is judged when the app is synthesised."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Stage(_Loose):
    """One stage."""

    name: str
    account: str | None = None
    region: str | None = None
    notification_emails: tuple[str, ...] = ()


class Installation(_Loose):
    """The settings that a check compares with what is there."""

    region: str
    account: str | None = None
    notification_emails: tuple[str, ...] = ()
    models: dict[str, dict[str, JsonValue]] = {}
    stages: tuple[Stage, ...] = ()

    def emails(self, stage: str) -> tuple[str, ...]:
        """Return who shall hear of `stage`."""
        return next((item.notification_emails for item in self.stages if item.name == stage), ())

    def place(self, stage: str) -> tuple[str | None, str]:
        """Return account and region of `stage`; no account stands for that of the credentials."""
        found = next((item for item in self.stages if item.name == stage), Stage(name=stage))
        return found.account or self.account, found.region or self.region

    def elsewhere(self, stage: str) -> bool:
        """Whether `stage` lives in another account or region than the pipeline."""
        return self.place(stage) != (self.account, self.region)

    def aliases(self) -> ModelAliases:
        """Read the models, with the installation's region where an alias needs one."""
        import json

        entries = {alias: with_region(entry, self.region) for alias, entry in self.models.items()}
        return ModelAliases.parse(json.dumps(entries))


class _Context(_Loose):
    installation: Annotated[Installation | None, Field(alias="prompt-hub")] = None
    qualifier: Annotated[str, Field(alias="@aws-cdk/core:bootstrapQualifier")] = QUALIFIER


class CdkJson(_Loose):
    """The file."""

    context: _Context = _Context()


def read_cdk_json(root: Path, stage: str) -> CdkJson:
    """Read the file in `root`; without one nothing is known.

    Raises `PromptHubError` where it cannot be read or knows no such stage.
    """
    path = root / aws_names.CONTEXT_FILE
    if not path.exists():
        return CdkJson()
    hint = "`make diff` says what is wrong with it."
    found = parse_model(path.read_text(encoding="utf-8"), str(path), CdkJson, hint=hint)
    settings = found.context.installation
    if settings and stage not in (names := [item.name for item in settings.stages]):
        raise PromptHubError(
            f"{path} has no stage {stage!r} (known: {', '.join(names)}).",
            hint="Look at --stage, and at the folder that this runs in.",
        )
    return found
