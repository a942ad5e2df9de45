"""What may differ between two installations, as frozen typed data read from `cdk.json`.

Every other value of the app is either a decision (and then stands where it is made) or a name
(and then comes from `prompt_hub.core.aws_names`).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from cdk_app.setting_messages import first_problem
from cdk_app.stage_settings import (
    DEFAULT_CIDR,
    REGION,
    WORD,
    Email,
    StageSettings,
    StrictSettings,
    network_of,
)
from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers.registry import all_providers

CONTEXT_KEY = "prompt-hub"
CONTEXT_FILE = "cdk.json"

_TAG_KEY = r"[\w .:/=+@-]{1,128}"
_TAG_VALUE = r"[\w .:/=+@-]{0,256}"


class SettingsError(ValueError):
    """A setting is missing or wrong; the message is one sentence that says which and what to do."""

    def __init__(self, sentence: str, *, file: str = "") -> None:
        super().__init__(sentence)
        self.file = file
        """Where the setting stands; empty where the sentence says it."""


class Settings(StrictSettings):
    """The installation: where the code is, where it runs, which models and which stages."""

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", examples=["owner/name"])]
    """The GitHub repository that the pipeline reads and writes."""
    branch: Annotated[str, Field(pattern=r"^[\w./-]+$", examples=["main"])] = "main"
    """The branch whose commits start the pipeline."""
    promotion: Literal["push", "pull-request"] = "push"
    """How promotion comes into the branch: pushed, or from the bot's own branch, which people or
    a workflow of theirs merge."""
    region: Annotated[str, Field(pattern=rf"^{REGION}$", examples=["us-east-1"])]
    """AWS region of everything, and of Bedrock models that name none."""
    account: Annotated[str, Field(pattern=r"^\d{12}$", examples=["123456789012"])] | None = None
    """AWS account; by default that of the credentials that deploy."""
    github_owner_id: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """GitHub's number of the owner: whoever takes over a name that was given up does not inherit
    the trust of the pull-request role."""
    github_repository_id: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """GitHub's number of the repository, for the same reason."""
    github_oidc_provider_arn: (
        Annotated[
            str,
            Field(
                pattern=r"^arn:[\w-]+:iam::\d{12}:oidc-provider/.+$",
                examples=[
                    "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
                ],
            ),
        ]
        | None
    ) = None
    """The account's OIDC provider for GitHub, where it has one: it can have only one."""
    notification_emails: tuple[Email, ...] = ()
    """Who hears of executions of the pipeline that failed or blocked a prompt, and of approvals
    that wait."""
    tags: dict[str, str] = Field(default={})
    """Tags of every resource that can have one, and of the containers that are started."""
    models: dict[str, ModelConfig]
    """What each model alias means on AWS."""
    stages: Annotated[
        tuple[StageSettings, ...],
        Field(min_length=1, json_schema_extra={"expected": "must list at least one stage"}),
    ]
    """The stages, in the order in which a release reaches them."""

    @property
    def models_json(self) -> str:
        """The value of `PROMPT_HUB_MODELS` for everything that runs on AWS."""
        entries = {alias: model.to_entry() for alias, model in self.models.items()}
        return json.dumps(entries, sort_keys=True)

    @property
    def promotion_environment(self) -> dict[str, str]:
        """What tells a build action that promotion waits for its merge; empty where it does not."""
        if self.promotion == "push":
            return {}
        return {aws_names.ENV_PROMOTION_BRANCH: aws_names.PROMOTION_BRANCH}

    @classmethod
    def from_context(cls, context: object) -> Self:
        """Read the settings from the context value; raises `SettingsError`."""
        if context is None:
            raise SettingsError(f"cdk.json has no context key {CONTEXT_KEY!r}: add the settings.")
        try:
            return cls.model_validate_json(json.dumps(_whole_numbers(context)))
        except ValidationError as error:
            sentence = first_problem(cls, error, CONTEXT_KEY)
            raise SettingsError(sentence, file=CONTEXT_FILE) from None

    @field_validator("tags")
    @classmethod
    def _are_tags_that_people_may_give(cls, tags: dict[str, str]) -> dict[str, str]:
        for key, count in Counter(map(str.lower, tags)).items():
            if count > 1:
                raise ValueError(f": {key!r} stands twice; to IAM, case makes no difference.")
        for key, value in tags.items():
            if not re.fullmatch(_TAG_KEY, key) or key.lower().startswith("aws:"):
                raise ValueError(
                    f": the key {key!r} must have 1 to 128 letters, digits, spaces or any of"
                    " _.:/=+-@, and must not begin with aws:."
                )
            if not re.fullmatch(_TAG_VALUE, value):
                raise ValueError(
                    f".{key} is {value!r}; it must have at most 256 letters, digits, spaces or any"
                    " of _.:/=+-@."
                )
        return tags

    @field_validator("models", mode="before")
    @classmethod
    def _know_their_alias(cls, raw: object, info: ValidationInfo) -> object:
        if not isinstance(raw, Mapping) or not raw:
            raise ValueError(" must map at least one alias to a provider and a model.")
        for alias in raw:
            if not re.fullmatch(WORD, alias):
                raise ValueError(f": the alias {alias!r} must look like catalogue-pinned.")
        return {
            alias: _with_region({**entry, "alias": alias}, info.data.get("region"))
            if isinstance(entry, Mapping)
            else entry
            for alias, entry in sorted(raw.items())
        }

    @field_validator("models")
    @classmethod
    def _can_be_reached_from_aws(cls, models: dict[str, ModelConfig]) -> dict[str, ModelConfig]:
        for alias, model in models.items():
            if model.base_url is not None and not model.base_url.startswith("https://"):
                raise ValueError(
                    f".{alias}.base_url is {model.base_url!r}; it must look like https://host/v1."
                )
            if model.api_key_env is not None:
                raise ValueError(
                    f".{alias}.api_key_env is {model.api_key_env!r}; on AWS a key stands in"
                    " Secrets Manager: name it with secret."
                )
        return models

    @field_validator("stages")
    @classmethod
    def _differ_and_stand_in_the_region(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        for name, count in Counter(stage.name for stage in stages).items():
            if count > 1:
                raise ValueError(f": two stages are called {name!r}; rename one.")
        domains = Counter(stage.domain.name for stage in stages if stage.domain)
        for name, count in domains.items():
            if count > 1:
                raise ValueError(f": two stages have the domain {name!r}; give each its own.")
        region = info.data.get("region")
        for index, stage in enumerate(stages):
            for zone in stage.availability_zones:
                if region and zone[:-1] != region:
                    raise ValueError(
                        f"[{index}].availability_zones is {zone!r}; it must look like {region}a."
                    )
        return stages

    @field_validator("stages")
    @classmethod
    def _have_certificates_of_the_region(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        region = info.data.get("region")
        for index, stage in enumerate(stages):
            arn = stage.domain.certificate_arn if stage.domain else None
            if arn and region and f":acm:{region}:" not in arn:
                raise ValueError(
                    f"[{index}].domain.certificate_arn is {arn!r}; a load balancer takes only a"
                    f" certificate of its own region, {region}."
                )
        return stages

    @field_validator("stages")
    @classmethod
    def _reach_their_models(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        models: Mapping[str, ModelConfig] = info.data.get("models", {})
        for index, stage in enumerate(stages):
            if stage.nat_gateways or stage.vpc_id is not None:
                continue
            for alias, model in models.items():
                if model.region != info.data.get("region"):
                    raise ValueError(
                        f"[{index}].nat_gateways is 0; without one {stage.name} reaches only models"
                        f" of Bedrock in its own region, and {alias} is another one."
                    )
        return stages

    @field_validator("stages")
    @classmethod
    def _have_networks_of_their_own(
        cls, stages: tuple[StageSettings, ...]
    ) -> tuple[StageSettings, ...]:
        for index, stage in enumerate(stages):
            for other in stages[:index]:
                if stage.vpc_id and stage.vpc_id == other.vpc_id:
                    continue
                if network_of(stage.vpc_cidr).overlaps(network_of(other.vpc_cidr)):
                    raise ValueError(
                        f"[{index}].vpc_cidr is {stage.vpc_cidr}, which overlaps the network of"
                        f" {other.name}; name another one, such as {_free_network(stages)}."
                    )
        return stages


def _free_network(stages: Sequence[StageSettings]) -> str:
    """Return a network that no stage has."""
    taken = [network_of(stage.vpc_cidr) for stage in stages]
    private = ipaddress.IPv4Network("10.0.0.0/8").subnets(new_prefix=16)
    free = (network for network in private if not any(map(network.overlaps, taken)))
    # From the default on, as people count.
    return str(next(network for network in free if network > network_of(DEFAULT_CIDR)))


def _with_region(entry: dict[str, object], region: str | None) -> dict[str, object]:
    """Give an alias the installation's region where its provider needs one and it names none."""
    provider = all_providers().get(str(entry.get("provider")))
    if provider is None or "region" not in provider.required_keys:
        return entry
    return {"region": region, **entry}


def _whole_numbers(value: object) -> object:
    """Undo what the CLI and jsii may do to a whole number on its way here: make it a float."""
    if isinstance(value, Mapping):
        return {str(key): _whole_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_numbers(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
