"""What may differ between two stages, as frozen typed data."""

from __future__ import annotations

import ipaddress
import json
from contextlib import suppress
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cdk_app.model_settings import Models
from prompt_hub.core import aws_names

REGION = r"[a-z]{2}(?:-[a-z]+)+-\d"
DEFAULT_CIDR = "10.20.0.0/16"
_HEX = r"(?:[0-9a-f]{8}|[0-9a-f]{17})"
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"

Email = Annotated[str, Field(pattern=r"^\S+@\S+$", examples=["people@example.com"])]
Account = Annotated[str, Field(pattern=r"^\d{12}$", examples=["123456789012"])]
Region = Annotated[str, Field(pattern=rf"^{REGION}$", examples=["us-east-1"])]
Zone = Annotated[str, Field(pattern=rf"^{REGION}[a-z]$", examples=["us-east-1a"])]


class StrictSettings(BaseModel):
    """Base of all settings: no unknown keys, no conversions, no changes after reading."""

    # Deferred: nested models are built once, as part of the whole.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class SoakSettings(StrictSettings):
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
    """When the action gives up waiting and ends red; longer than `minutes`, and no less than
    `rounds` times the longest `score_watch.every_minutes` of a task."""

    @field_validator("limit_minutes")
    @classmethod
    def _is_longer_than_what_is_asked_for(cls, limit: int, info: ValidationInfo) -> int:
        minutes = info.data.get("minutes", 0)
        if limit <= minutes:
            raise ValueError(f" is {limit}; it must be more than minutes, which is {minutes}.")
        return limit


class ScalingSettings(StrictSettings):
    """More tasks of the service while many calls come in, fewer afterwards; never fewer than
    `desired_count`."""

    max_count: Annotated[int, Field(ge=2, le=200)]
    """Tasks of the service at most."""
    # A model that takes half a minute a call still leaves a task below what it takes in hand.
    requests_per_minute: Annotated[int, Field(ge=1, le=30_000)] = 1_000
    """Calls a minute that each task shall get. It takes 512 calls in hand and refuses more, so this
    stays below 30,000 divided by the seconds that a call takes; a quarter of a core answers some
    30,000 a minute (docs/performance.md)."""


class DomainSettings(StrictSettings):
    """The name and certificate with which a stage's service speaks TLS."""

    name: Annotated[
        str, Field(pattern=rf"^{_HOST}$", max_length=253, examples=["prompts.example.com"])
    ]
    """What callers call it. Containers of the stage call it so, too: their network must be able to
    look it up."""
    certificate_arn: Annotated[
        str,
        Field(
            pattern=rf"^arn:[\w-]+:acm:{REGION}:\d{{12}}:certificate/[\w-]+$",
            examples=["arn:aws:acm:us-east-1:123456789012:certificate/0123abcd"],
        ),
    ]
    """A certificate of ACM for that name, from an authority that every client knows."""
    zone_id: (
        Annotated[str, Field(pattern=r"^Z[A-Z0-9]{1,31}$", examples=["Z0123456789ABCDEFGHIJ"])]
        | None
    ) = None
    """The hosted zone of Route 53 in which the name is made; by default somebody else makes it."""


class ClaimSettings(StrictSettings):
    """What a token must say, for a caller to be let in."""

    name: Annotated[str, Field(min_length=1, max_length=256, examples=["aud"])]
    """The claim; `iss`, `exp`, `nbf` and `iat` are looked at anyway."""
    format: Literal["single-string", "string-array", "space-separated-values"] = "single-string"
    """How the issuer writes it: `aud` as one text or as a list, `scope` separated by spaces."""
    values: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=256)], ...],
        Field(
            min_length=1,
            max_length=10,
            json_schema_extra={"expected": 'must be 1 to 10 texts, such as ["prompts"]'},
        ),
    ]
    """What it must have."""

    @field_validator("name")
    @classmethod
    def _is_another_one(cls, name: str) -> str:
        if name in {"iss", "exp", "nbf", "iat"}:
            raise ValueError(f" is {name!r}, which the load balancer looks at anyway.")
        return name

    @field_validator("values")
    @classmethod
    def _are_whole(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("format") == "space-separated-values" and " " in "".join(values):
            raise ValueError(" must have no spaces: each is one of the claim's own values.")
        if len(set(values)) != len(values):
            raise ValueError(" must be different from each other.")
        return values


PerMinute = Annotated[int, Field(ge=1, le=1_000_000)]
_LONGEST_QUOTAS = 32_768
"""Characters of all quotas: models and the rest of the environment have the other half."""


class CallerIdentitySettings(StrictSettings):
    """Callers show a token of your identity provider, and each has a quota of its own.

    The load balancer verifies signature (RS256), issuer, times and claims; what fails never reaches
    the service.
    """

    issuer: Annotated[
        str, Field(pattern=r"^https://\S+$", max_length=256, examples=["https://id.example.com"])
    ]
    """Who signs the tokens, as their `iss` says it."""
    jwks_endpoint: Annotated[
        str,
        Field(
            pattern=r"^https://\S+$",
            max_length=256,
            examples=["https://id.example.com/.well-known/jwks.json"],
        ),
    ]
    """Where the issuer's public keys are, in the internet: at most 10 keys and 150 KB."""
    claims: Annotated[
        tuple[ClaimSettings, ...],
        Field(
            min_length=1,
            max_length=10,
            json_schema_extra={
                "expected": 'must be 1 to 10 claims, such as {"name": "aud", "values": ["prompts"]}'
            },
        ),
    ]
    """What tokens must say; without any claim a token that the issuer made for another service
    would do."""
    caller_claim: Annotated[str, Field(min_length=1, max_length=256)] = "sub"
    """The claim that names the caller: `sub`, or `client_id`, `azp`, by issuer."""
    requests_per_minute: PerMinute = 60
    """Calls of each caller a minute, a sixth of them at once. It holds for `desired_count` tasks:
    more of them, by scaling or during a deployment, let more through."""
    quotas: dict[Annotated[str, Field(min_length=1, max_length=256)], PerMinute] = Field(
        default={}, max_length=200
    )
    """Callers with another quota, by the name that their token has."""

    @field_validator("quotas")
    @classmethod
    def _fit_into_a_task_definition(cls, quotas: dict[str, int]) -> dict[str, int]:
        if len(json.dumps(quotas)) > _LONGEST_QUOTAS:
            raise ValueError(
                f" have more than {_LONGEST_QUOTAS} characters; a task definition of ECS, in which"
                " they stand, takes 65536 with everything else."
            )
        return quotas


class RecordsSettings(StrictSettings):
    """A bucket into which people drop files of records, and what answers them (docs/records.md)."""

    max_children: Annotated[int, Field(ge=1, le=200)] = 10
    """Containers that answer one file at once, at most; they share the limits of its model."""
    # Longer than a run may take and may still be taken up again: cdk_app/records_definition.py.
    expire_days: Annotated[int, Field(ge=30, le=3650)] = 90
    """Days after which a dropped file is deleted, and what only served to make its output. Output
    and manifest stay, and with them records of a bad version can be made again."""


_LONGEST_TRUST = 2048
"""Characters of a role's trust, by IAM's default quota; white space is not counted."""
_TRUST_WITHOUT = 220
"""Characters of such a trust without its principals and their accounts, and some more."""


class OnCallSettings(StrictSettings):
    """Who may be the stage's role of people on call, `prompt-hub-STAGE-on-call`."""

    principals: Annotated[
        tuple[
            Annotated[
                str,
                Field(
                    # No wildcard: whoever may make a role could make one that fits.
                    pattern=r"^arn:[\w-]+:iam::\d{12}:(?:role|user)/[\w+=,.@/-]+$",
                    examples=["arn:aws:iam::123456789012:role/engineer"],
                ),
            ],
            ...,
        ],
        Field(min_length=1, json_schema_extra={"expected": "must list at least one principal"}),
    ]
    """ARNs of roles and users, of any account. Their own policies must allow `sts:AssumeRole`."""
    mfa: bool = False
    """Whether they must have signed in with a second factor. A session of a role never says that
    it has, also if its person did: this is for users."""
    repair: bool = False
    """Whether they may make records of a bad version again (`prompt-hub repair`), in a stage with
    `records`: they read and write runs then, and ask the stage's models."""

    @field_validator("principals")
    @classmethod
    def _fit_into_a_trust(cls, principals: tuple[str, ...]) -> tuple[str, ...]:
        # Each of them, and each of their accounts as a whole.
        accounts = {":".join((*one.split(":")[:5], "root")) for one in principals}
        length = _TRUST_WITHOUT + sum(len(f'"{one}",') for one in (*principals, *accounts))
        if length > _LONGEST_TRUST:
            raise ValueError(
                f" make a trust of {length} characters; IAM takes {_LONGEST_TRUST}. Name a role"
                " that they share."
            )
        return principals


class StageSettings(StrictSettings):
    """One stage that the pipeline deploys to.

    What a stage costs a month: `docs/costs.md`.
    """

    name: Annotated[
        str,
        Field(
            pattern=rf"^{aws_names.STAGE_NAME}$",
            min_length=aws_names.STAGE_LENGTHS[0],
            max_length=aws_names.STAGE_LENGTHS[-1],
            examples=["dev, with 2 to 16 characters"],
        ),
    ]
    """What the stage is called in names of stacks and resources."""
    account: Account | None = None
    """The stage's own AWS account; by default the installation's. Fixed once the stage exists."""
    region: Region | None = None
    """The stage's own region; by default the installation's. Fixed once the stage exists."""
    models: Models = Field(default={})
    """Aliases that the stage reaches in another way than the installation: through another region
    (by default the stage's), with another key, at another rate. The models are the same ones, or
    nothing would be activated that was measured."""
    availability_zones: tuple[Zone, ...]
    """Two zones or more of the region. Fixed once the stage exists: another choice would build
    another network under the running service."""
    vpc_id: (
        Annotated[str, Field(pattern=rf"^vpc-{_HEX}$", examples=["vpc-0123456789abcdef0"])] | None
    ) = None
    """A network that is there already, for the stage to live in; by default it gets its own. Fixed
    once the stage exists: a load balancer stays in its network, so another one is another stage
    (docs/deployment.md, *Taking one stage out*). Its `subnet_ids` may change."""
    vpc_cidr: Annotated[str, Field(pattern=r"^[\d./]+$", examples=[DEFAULT_CIDR])] = DEFAULT_CIDR
    """The stage's network: its own, of 16 to 22 bits, or that of `vpc_id`. No two stages overlap,
    or nothing could ever be routed to both. Its own is fixed once the stage exists."""
    caller_cidrs: tuple[
        Annotated[str, Field(pattern=r"^[\d./]+$", examples=["10.200.0.0/16"])], ...
    ] = ()
    """Networks, peered or otherwise routed to the stage's own, whose applications may call the
    service."""
    caller_security_groups: tuple[
        Annotated[str, Field(pattern=rf"^sg-{_HEX}$", examples=["sg-0123456789abcdef0"])], ...
    ] = ()
    """Security groups of the account, in a network that is peered with the stage's in the region,
    whose members may call the service. Everybody in the stage's own network may anyway."""
    domain: DomainSettings | None = None
    """TLS under a name of one's own; by default it is HTTP under the load balancer's."""
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
    caller_identity: CallerIdentitySettings | None = None
    """Who may call, by token, and how often; by default whoever reaches the service may. It needs
    `domain`: tokens are sent over TLS alone."""
    desired_count: Annotated[int, Field(ge=1, le=50)] = 1
    """Tasks of the service; with `scaling`, the fewest."""
    scaling: ScalingSettings | None = None
    """More tasks while many calls come in; by default their number stays as it is."""
    poll_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    """Seconds between two looks of the service at the ledger."""
    log_level: Literal["off", "warning", "info", "debug"] = "warning"
    """The least that the stage's containers log; always as one JSON object a line."""
    drill: bool = False
    """Whether each release proves, after its smoke test, that a bad version is taken back by
    itself: with a task of the product's own, and a failed drill ends the release."""
    records: RecordsSettings | None = None
    """Files of records that are dropped into a bucket are answered; by default there is none."""
    approval: bool = False
    """Whether a person lets each release in."""
    soak: SoakSettings | None = None
    """How long a release must hold here before the next stage gets it; by default not at all. A
    rollback, a freeze or a page ends the release there."""
    ledger_table: (
        Annotated[
            str,
            Field(
                pattern=r"^[A-Za-z0-9_.-]+$",
                min_length=3,
                max_length=255,
                examples=["prompt-hub-dev-ledger-2026-11-28"],
            ),
        ]
        | None
    ) = None
    """The table that the ledger was restored as, after a loss (docs/operations.md); by default the
    stage's own, which stays as it is."""
    protect: bool = True
    """Whether the ledger is kept from being deleted by mistake."""
    notification_emails: tuple[Email, ...] = ()
    """Who hears of every alarm and rollback; without one nobody does."""
    on_call: OnCallSettings | None = None
    """Who may do what docs/operations.md says, and no more; by default there is no such role."""

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks whose applications may call the service."""
        return (self.vpc_cidr, *self.caller_cidrs)

    @field_validator("caller_identity")
    @classmethod
    def _can_be_verified(
        cls, identity: CallerIdentitySettings | None, info: ValidationInfo
    ) -> object:
        if identity is None:
            return identity
        if info.data.get("domain") is None and "domain" in info.data:
            raise ValueError(" needs domain: tokens are verified over TLS alone.")
        if info.data.get("nat_gateways") == 0 and info.data.get("vpc_id") is None:
            raise ValueError(
                " needs nat_gateways to be 1 or more: the load balancer fetches the issuer's keys"
                " from the internet."
            )
        return identity

    @model_validator(mode="after")
    def _has_records_to_repair(self) -> Self:
        if self.on_call is not None and self.on_call.repair and self.records is None:
            raise ValueError(".on_call.repair is for a stage with records, which this one has not.")
        return self

    @field_validator("scaling")
    @classmethod
    def _has_room(cls, scaling: ScalingSettings | None, info: ValidationInfo) -> object:
        count = info.data.get("desired_count", 1)
        if scaling is not None and scaling.max_count <= count:
            raise ValueError(
                f".max_count is {scaling.max_count}; it must be more than desired_count, which is"
                f" {count}."
            )
        return scaling

    @field_validator("availability_zones")
    @classmethod
    def _are_two_zones(cls, zones: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(zones)) < 2:
            raise ValueError(" must name two different zones or more: a load balancer needs two.")
        if len(set(zones)) < len(zones):
            raise ValueError(" names a zone twice: a load balancer takes one subnet in each.")
        return zones

    @field_validator("vpc_cidr")
    @classmethod
    def _is_a_network(cls, cidr: str, info: ValidationInfo) -> str:
        own = info.data.get("vpc_id") is None
        if not 16 <= network_of(cidr).prefixlen <= 22 and own:
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
            if network_of(cidr) and own and network_of(cidr).overlaps(network_of(own)):
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


def network_of(cidr: str) -> ipaddress.IPv4Network:
    """Read a network of a setting; raises `ValueError` with what goes on behind its name."""
    with suppress(ValueError):
        # AWS reads no address alone, and no mask in place of the bits.
        if str(network := ipaddress.IPv4Network(cidr)) == cidr:
            return network
    raise ValueError(f": {cidr!r} is not a network, such as 10.0.0.0/16.")
