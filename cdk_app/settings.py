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

from cdk_app.model_settings import Models, models_json
from cdk_app.setting_messages import first_problem
from cdk_app.stage_settings import (
    DEFAULT_CIDR,
    Account,
    Email,
    Region,
    StageSettings,
    StrictSettings,
    network_of,
)
from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelConfig

CONTEXT_KEY = aws_names.CONTEXT_KEY

_PRIVATE = [*map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))]
"""Networks of RFC 1918."""
_TAG_KEY = r"[\w .:/=+@-]{1,128}"
_TAG_VALUE = r"[\w .:/=+@-]{0,256}"
LONGEST_MODELS = 4_000
"""Characters of all models of a stage. A build of CodeBuild fails without a reason once its
variables have "around 5,500 characters" together (its guide, "Troubleshooting"); the rest of them
has what is left."""


class SettingsError(ValueError):
    """A setting is missing or wrong; the message is one sentence that says which and what to do."""

    def __init__(self, sentence: str, *, file: str = "") -> None:
        super().__init__(sentence)
        self.file = file
        """Where the setting stands; empty where the sentence says it."""


class Settings(StrictSettings):
    """The installation: where the code is, where it runs, which models and which stages."""

    installation: str = aws_names.INSTALLATION
    """What the names of all resources begin with, so that two installations fit into one account.
    Fixed once it is deployed."""
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", examples=["owner/name"])]
    """The GitHub repository that the pipeline reads and writes."""
    branch: Annotated[str, Field(pattern=r"^[\w./-]+$", examples=["main"])] = "main"
    """The branch whose commits start the pipeline."""
    promotion: Literal["push", "pull-request"] = "push"
    """How promotion comes into the branch: pushed, or from the bot's own branch, which people or
    a workflow of theirs merge."""
    region: Region
    """AWS region of everything, unless a stage says its own, and of Bedrock models that name none.
    """
    account: Account | None = None
    """AWS account of everything, unless a stage says its own; by default that of the credentials
    that deploy. It must be said where a stage lives elsewhere."""
    github_owner_id: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """GitHub's number of the owner: whoever takes over a name that was given up does not inherit
    the trust of the pull-request role."""
    github_repository_id: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """GitHub's number of the repository, for the same reason."""
    connection_arn: (
        Annotated[
            str,
            Field(
                pattern=r"^arn:[\w-]+:(codeconnections|codestar-connections):.+:connection/.+$",
                examples=[
                    "arn:aws:codeconnections:us-east-1:123456789012:connection/"
                    "0d1c8a6e-3f52-4b7a-9d21-6a5b8c7e4f10"
                ],
            ),
        ]
        | None
    ) = None
    """A connection to the repository that a person made, used in place of the one that we make:
    where that was deleted, or the organisation has one."""
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
    """The account's OIDC provider for GitHub, where it has one: it can have only one. One that an
    installation made stays when that goes; the next one there has to name it."""
    notification_emails: tuple[Email, ...] = ()
    """Who hears of executions of the pipeline that failed or blocked a prompt, and of approvals
    that wait."""
    tags: dict[str, str] = Field(default={})
    """Tags of every resource that can have one, and of the containers that are started."""
    models: Models
    """What each model alias means on AWS: some twenty, which builds have in their environment."""
    stages: Annotated[
        tuple[StageSettings, ...],
        Field(min_length=1, json_schema_extra={"expected": "must list at least one stage"}),
    ]
    """The stages, in the order in which a release reaches them."""

    @property
    def models_json(self) -> str:
        """The value of `PROMPT_HUB_MODELS` for what runs where the pipeline is."""
        return models_json(self.models)

    def results_bucket(self, account: str) -> str:
        """Name of the results bucket; `account` is its account where the settings name none."""
        return aws_names.results_bucket(self.account or account, self.region)

    def models_of(self, stage: StageSettings) -> dict[str, ModelConfig]:
        """Return what each model alias means in `stage`."""
        return {**self.models, **stage.models}

    def region_of(self, stage: StageSettings) -> str:
        """Return the region of `stage`."""
        return stage.region or self.region

    def account_of(self, stage: StageSettings) -> str | None:
        """Return the account of `stage`; `None` stands for that of the credentials that deploy."""
        return stage.account or self.account

    def is_elsewhere(self, stage: StageSettings) -> bool:
        """Whether `stage` lives in another account or region than the pipeline."""
        return self.has_own_account(stage) or self.region_of(stage) != self.region

    @property
    def places_elsewhere(self) -> tuple[tuple[str, str], ...]:
        """The accounts and regions of stages that are not the pipeline's; each pair once."""
        found = {
            (str(self.account_of(stage)), self.region_of(stage)): None
            for stage in self.stages
            if self.is_elsewhere(stage)
        }
        return tuple(found)

    def has_own_account(self, stage: StageSettings) -> bool:
        """Whether `stage` lives in another account than the pipeline."""
        return self.account_of(stage) != self.account

    @property
    def ledger_tables(self) -> dict[str, str]:
        """The restored tables that are ledgers, by stage."""
        return {stage.name: stage.ledger_table for stage in self.stages if stage.ledger_table}

    @property
    def ledger_environment(self) -> dict[str, str]:
        """What tells a process that a stage's ledger has another name; empty where none has."""
        named = ",".join(f"{stage}={table}" for stage, table in self.ledger_tables.items())
        return {aws_names.ENV_LEDGER_TABLES: named} if named else {}

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
            text = json.dumps(_whole_numbers(context))
            return cls.model_validate_json(text, context={"region": _region_in(context)})
        except ValidationError as error:
            sentence = first_problem(cls, error, CONTEXT_KEY)
            raise SettingsError(sentence, file=aws_names.CONTEXT_FILE) from None

    @field_validator("installation")
    @classmethod
    def _is_no_part_of_another_installations_names(cls, installation: str) -> str:
        if not re.fullmatch(aws_names.INSTALLATION_NAME, installation):
            raise ValueError(
                f" is {installation!r}; it must have 2 to 16 small letters and digits, a letter"
                f" first, or be {aws_names.INSTALLATION}, and none of aws, cdk, prompt and sthree."
            )
        return installation

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

    @field_validator("stages")
    @classmethod
    def _differ_and_stand_in_the_region(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        for name, count in Counter(stage.name for stage in stages).items():
            if count > 1:
                raise ValueError(f": two stages are called {name!r}; rename one.")
            if name == aws_names.TOOLCHAIN:
                raise ValueError(
                    f": a stage is called {name!r}, as is a dashboard beside it; rename the stage."
                )
        domains = Counter(stage.domain.name for stage in stages if stage.domain)
        for name, count in domains.items():
            if count > 1:
                raise ValueError(f": two stages have the domain {name!r}; give each its own.")
        # What is synthesised is not always the installation of whoever synthesises.
        of = info.data.get("installation", "")
        tables = Counter(
            # Another place's table of that name is another table.
            (
                table,
                stage.account or info.data.get("account"),
                stage.region or info.data.get("region"),
            )
            for stage in stages
            for table in {aws_names.ledger_table(stage.name, of), stage.ledger_table} - {None}
        )
        for (table, *_), count in tables.items():
            if count > 1:
                raise ValueError(
                    f": two stages have the ledger {table!r}; what is live in one would be live in"
                    " the other."
                )
        for index, stage in enumerate(stages):
            region = stage.region or info.data.get("region")
            for zone in stage.availability_zones:
                if region and zone[:-1] != region:
                    raise ValueError(
                        f"[{index}].availability_zones is {zone!r}; it must look like {region}a."
                    )
        return stages

    @field_validator("stages")
    @classmethod
    def _are_found_from_the_pipeline(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        home, account = info.data.get("region"), info.data.get("account")
        for index, stage in enumerate(stages):
            if stage.account in (None, account) and stage.region in (None, home):
                continue
            where = "account" if stage.account else "region"
            if "account" in info.data and account is None:
                raise ValueError(
                    f"[{index}].{where} is {getattr(stage, where)}; with stages elsewhere the"
                    f" pipeline's own account must be said, too: {CONTEXT_KEY}.account."
                )
            if stage.region and home and _partition(stage.region) != _partition(home):
                raise ValueError(
                    f"[{index}].region is {stage.region}; from {home} it cannot be reached: it"
                    " belongs to another partition of AWS, with accounts of its own."
                )
        return stages

    @field_validator("stages")
    @classmethod
    def _have_certificates_of_their_own(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        for index, stage in enumerate(stages):
            arn = stage.domain.certificate_arn if stage.domain else None
            region = stage.region or info.data.get("region")
            account = stage.account or info.data.get("account")
            if arn and region and f":acm:{region}:" not in arn:
                raise ValueError(
                    f"[{index}].domain.certificate_arn is {arn!r}; a load balancer takes only a"
                    f" certificate of its own region, {region}."
                )
            if arn and account and f":{account}:certificate/" not in arn:
                raise ValueError(
                    f"[{index}].domain.certificate_arn is {arn!r}; a load balancer takes only a"
                    f" certificate of its own account, {account}."
                )
        return stages

    @field_validator("stages")
    @classmethod
    def _have_the_models_that_are_measured(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        measured: Mapping[str, ModelConfig] = info.data.get("models", {})
        for index, stage in enumerate(stages):
            for alias, model in stage.models.items():
                # Activation leaves every version alone whose model is another one.
                if measured and alias not in measured:
                    raise ValueError(
                        f"[{index}].models: the alias {alias!r} is none of {CONTEXT_KEY}.models,"
                        " which are what is measured."
                    )
                if measured and model.identity != measured[alias].identity:
                    raise ValueError(
                        f"[{index}].models.{alias} is {model.identity}; measured is"
                        f" {measured[alias].identity}, and nothing else is activated. Region, key"
                        " and limits may differ."
                    )
        return stages

    @field_validator("models")
    @classmethod
    def _fit_into_a_build(cls, models: dict[str, ModelConfig]) -> dict[str, ModelConfig]:
        # Beside each stage's, which may say less of an alias: evaluations are told these.
        _require_room(models, "")
        return models

    @field_validator("stages")
    @classmethod
    def _have_models_that_fit_into_a_build(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        models: Mapping[str, ModelConfig] = info.data.get("models", {})
        for index, stage in enumerate(stages):
            _require_room({**models, **stage.models}, f"[{index}] has models that")
        return stages

    @field_validator("stages")
    @classmethod
    def _reach_their_models(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        models: Mapping[str, ModelConfig] = info.data.get("models", {})
        home = info.data.get("region")
        for index, stage in enumerate(stages):
            if stage.nat_gateways or stage.vpc_id is not None:
                continue
            if home and stage.region not in (None, home):
                raise ValueError(
                    f"[{index}].nat_gateways is 0; without one {stage.name} reaches neither the"
                    f" images nor the results, which are in {home}."
                )
            for alias, model in {**models, **stage.models}.items():
                if model.region != home:
                    raise ValueError(
                        f"[{index}].nat_gateways is 0; without one {stage.name} reaches only models"
                        f" of Bedrock in its own region, and {alias} is another one."
                    )
        return stages

    @field_validator("stages")
    @classmethod
    def _read_secrets_that_they_can_decrypt(
        cls, stages: tuple[StageSettings, ...], info: ValidationInfo
    ) -> tuple[StageSettings, ...]:
        models: Mapping[str, ModelConfig] = info.data.get("models", {})
        for index, stage in enumerate(stages):
            region = stage.region or info.data.get("region")
            for alias, model in {**models, **stage.models}.items():
                key = model.secret_kms_key
                # What reads a secret asks for the one of its own region.
                if key and region and f":kms:{region}:" not in key:
                    raise ValueError(
                        f"[{index}]: the secret of {alias} is read in {region}, and its"
                        f" secret_kms_key is {key}, of another region; name the alias in the"
                        " models of the stage, with the key that its secret has there, if any."
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


def _require_room(models: Mapping[str, ModelConfig], whose: str) -> None:
    length = len(models_json(models))
    if length > LONGEST_MODELS:
        raise ValueError(
            f"{whose} make {length} characters of JSON; {LONGEST_MODELS} fit into the environment"
            " of a build: leave out aliases that no prompt names."
        )


def _region_in(context: object) -> object:
    """Return the region as it is written: a stage's models are read before the stage is."""
    return context.get("region") if isinstance(context, Mapping) else None


def _partition(region: str) -> str:
    """Return the part of AWS that `region` belongs to, of which no other knows the accounts."""
    return next((name for name in ("cn-", "us-gov-", "us-iso") if region.startswith(name)), "")


def _free_network(stages: Sequence[StageSettings]) -> str:
    """Return a network that no stage has; stages may have taken all of the private ones."""
    taken = [network_of(stage.vpc_cidr) for stage in stages]
    private = (subnet for whole in _PRIVATE for subnet in whole.subnets(new_prefix=16))
    free = (network for network in private if not any(map(network.overlaps, taken)))
    # From the default on, as people count.
    after = (str(network) for network in free if network > network_of(DEFAULT_CIDR))
    return next(after, "one that is routed nowhere else")


def _whole_numbers(value: object) -> object:
    """Undo what the CLI and jsii may do to a whole number on its way here: make it a float."""
    if isinstance(value, Mapping):
        return {str(key): _whole_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_numbers(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
