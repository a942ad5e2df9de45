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
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cdk_app.setting_messages import first_problem
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers.registry import all_providers

CONTEXT_KEY = "prompt-hub"
CONTEXT_FILE = "cdk.json"

_WORD = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_REGION = r"[a-z]{2}(?:-[a-z]+)+-\d"
_HEX = r"(?:[0-9a-f]{8}|[0-9a-f]{17})"
_VPC_CIDR = "10.20.0.0/16"
_TAG_KEY = r"[\w .:/=+@-]{1,128}"
_TAG_VALUE = r"[\w .:/=+@-]{0,256}"

Email = Annotated[str, Field(pattern=r"^\S+@\S+$", examples=["people@example.com"])]
Zone = Annotated[str, Field(pattern=rf"^{_REGION}[a-z]$", examples=["us-east-1a"])]


class SettingsError(ValueError):
    """A setting is missing or wrong; the message is one sentence that says which and what to do."""

    def __init__(self, sentence: str, *, file: str = "") -> None:
        super().__init__(sentence)
        self.file = file
        """Where the setting stands; empty where the sentence says it."""


class _Strict(BaseModel):
    """Base of all settings: no unknown keys, no conversions, no changes after reading."""

    # Deferred: nested models are built once, as part of the whole.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class SoakSettings(_Strict):
    """How long a release must hold in a stage before the next stage gets it.

    It waits in a small build of CodeBuild, at 0.42 US dollars an hour (`docs/costs.md`).
    """

    rounds: Annotated[int, Field(ge=0, le=20)] = 1
    """Good rounds of the score watch in a row, for each task, measured by the release's own image.

    Activation starts the first one of each task that it moves, the schedule every other.
    """
    minutes: Annotated[int, Field(ge=0, le=360)] = 0
    """Minutes since the activation at least."""
    # A build may take eight hours.
    limit_minutes: Annotated[int, Field(ge=5, le=420, validate_default=True)] = 180
    """When the action gives up waiting and ends red; longer than `minutes`."""

    @field_validator("limit_minutes")
    @classmethod
    def _is_longer_than_what_is_asked_for(cls, limit: int, info: ValidationInfo) -> int:
        minutes = info.data.get("minutes", 0)
        if limit <= minutes:
            raise ValueError(f" is {limit}; it must be more than minutes, which is {minutes}.")
        return limit


class StageSettings(_Strict):
    """One stage that the pipeline deploys to.

    What a stage costs a month: `docs/costs.md`.
    """

    # Stage names end up in names of at most 32 characters, such as the load balancer's.
    name: Annotated[
        str,
        Field(
            pattern=rf"^{_WORD}$",
            min_length=2,
            max_length=16,
            examples=["dev, with 2 to 16 characters"],
        ),
    ]
    """What the stage is called in names of stacks and resources."""
    availability_zones: tuple[Zone, ...]
    """Two zones or more of the region. Fixed once the stage exists: another choice would build
    another network under the running service."""
    vpc_id: (
        Annotated[str, Field(pattern=rf"^vpc-{_HEX}$", examples=["vpc-0123456789abcdef0"])] | None
    ) = None
    """A network that is there already, for the stage to live in; by default it gets its own."""
    vpc_cidr: Annotated[str, Field(pattern=r"^[\d./]+$", examples=[_VPC_CIDR])] = _VPC_CIDR
    """The stage's network: its own, of 16 to 22 bits, or that of `vpc_id`. No two stages overlap,
    or nothing could ever be routed to both. Fixed once the stage exists."""
    caller_cidrs: tuple[
        Annotated[str, Field(pattern=r"^[\d./]+$", examples=["10.0.0.0/8"])], ...
    ] = ()
    """Networks, peered or otherwise routed to the stage's own, whose applications may call the
    service."""
    subnet_ids: tuple[
        Annotated[str, Field(pattern=rf"^subnet-{_HEX}$", examples=["subnet-0123456789abcdef0"])],
        ...,
    ] = Field(default=(), validate_default=True)
    """Private subnets of `vpc_id`, one for each of the zones and in their order, from which the
    models, ECR, CloudWatch, DynamoDB and S3 can be reached."""
    # The tasks must reach their models: see cdk_app/network.py for the choice.
    nat_gateways: Annotated[int, Field(ge=0)] = 1
    """NAT gateways of the stage's own network, at most one a zone. With 0 it has no way to the
    internet, and interface endpoints to AWS; models are then Bedrock's, in the same region."""
    desired_count: Annotated[int, Field(ge=1, le=50)] = 1
    """Tasks of the service."""
    poll_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    """Seconds between two looks of the service at the ledger."""
    log_level: Literal["off", "warning", "info", "debug"] = "warning"
    """The least that the stage's containers log; always as one JSON object a line."""
    drill: bool = False
    """Whether each release proves, after its smoke test, that a bad version is taken back by
    itself: with a task of the product's own, and a failed drill ends the release."""
    approval: bool = False
    """Whether a person lets each release in."""
    soak: SoakSettings | None = None
    """How long a release must hold here before the next stage gets it; by default not at all. A
    rollback, a freeze or a page ends the release there."""
    protect: bool = True
    """Whether the ledger is kept from being deleted by mistake."""
    notification_emails: tuple[Email, ...] = ()
    """Who hears of every alarm and rollback; without one nobody does."""

    @field_validator("availability_zones")
    @classmethod
    def _are_two_zones(cls, zones: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(zones)) < 2:
            raise ValueError(" must name two different zones or more: a load balancer needs two.")
        return zones

    @field_validator("vpc_cidr")
    @classmethod
    def _is_a_network(cls, cidr: str, info: ValidationInfo) -> str:
        own = info.data.get("vpc_id") is None
        if not 16 <= _network(cidr).prefixlen <= 22 and own:
            raise ValueError(" must have between 16 and 22 network bits.")
        return cidr

    @model_validator(mode="after")
    def _says_the_network_that_it_lives_in(self) -> Self:
        # By the default nobody in that network would be let in, and nothing would say so.
        if self.vpc_id is not None and "vpc_cidr" not in self.model_fields_set:
            raise ValueError(".vpc_cidr is missing: say the network of vpc_id.")
        return self

    @field_validator("caller_cidrs")
    @classmethod
    def _are_other_networks(cls, cidrs: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        own = info.data.get("vpc_cidr")
        for cidr in cidrs:
            if _network(cidr) and own and _network(cidr).overlaps(_network(own)):
                raise ValueError(f": {cidr} overlaps the stage's own network.")
        return cidrs

    @field_validator("subnet_ids")
    @classmethod
    def _are_one_a_zone(cls, subnets: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        zones = info.data.get("availability_zones", ())
        if subnets and info.data.get("vpc_id") is None:
            raise ValueError(" are of another network: name it with vpc_id.")
        if info.data.get("vpc_id") is not None and len(set(subnets)) != len(zones):
            raise ValueError(
                f" must be {len(zones)} different subnets of vpc_id, one for each of"
                " availability_zones."
            )
        return subnets

    @field_validator("nat_gateways")
    @classmethod
    def _are_at_most_one_a_zone(cls, gateways: int, info: ValidationInfo) -> int:
        zones = info.data.get("availability_zones", ())
        if zones and gateways > len(zones):
            raise ValueError(f" is {gateways}; it must be a whole number from 0 to {len(zones)}.")
        return gateways


class Settings(_Strict):
    """The installation: where the code is, where it runs, which models and which stages."""

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", examples=["owner/name"])]
    """The GitHub repository that the pipeline reads and writes."""
    branch: Annotated[str, Field(pattern=r"^[\w./-]+$", examples=["main"])] = "main"
    """The branch whose commits start the pipeline."""
    region: Annotated[str, Field(pattern=rf"^{_REGION}$", examples=["us-east-1"])]
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
    tags: dict[str, str] = {}
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
            if not re.fullmatch(_WORD, alias):
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
                if _network(stage.vpc_cidr).overlaps(_network(other.vpc_cidr)):
                    raise ValueError(
                        f"[{index}].vpc_cidr is {stage.vpc_cidr}, which overlaps the network of"
                        f" {other.name}; name another one, such as {_free_network(stages)}."
                    )
        return stages


def _free_network(stages: Sequence[StageSettings]) -> str:
    """Return a network that no stage has."""
    taken = [_network(stage.vpc_cidr) for stage in stages]
    private = ipaddress.IPv4Network("10.0.0.0/8").subnets(new_prefix=16)
    free = (network for network in private if not any(map(network.overlaps, taken)))
    # From the default on, as people count.
    return str(next(network for network in free if network > _network(_VPC_CIDR)))


def _with_region(entry: dict[str, object], region: str | None) -> dict[str, object]:
    """Give an alias the installation's region where its provider needs one and it names none."""
    provider = all_providers().get(str(entry.get("provider")))
    if provider is None or "region" not in provider.required_keys:
        return entry
    return {"region": region, **entry}


def _network(cidr: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError:
        raise ValueError(f": {cidr!r} is not a network, such as 10.0.0.0/16.") from None


def _whole_numbers(value: object) -> object:
    """Undo what the CLI and jsii may do to a whole number on its way here: make it a float."""
    if isinstance(value, Mapping):
        return {str(key): _whole_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_numbers(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
