"""What a model alias means: read and validated once, for the runtime and for CDK.

A prompt names an alias; each environment says which model that is. Defaults stand here and
nowhere else.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.urls import address_problem
from prompt_hub.llm.providers.base import Provider
from prompt_hub.llm.providers.registry import SCRIPTED, all_providers, provider_of
from prompt_hub.llm.schema_support import SchemaSupport
from prompt_hub.repository.schema import Parameter

if TYPE_CHECKING:
    from prompt_hub.llm.batches import BatchSupport

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


class Price(BaseModel):
    """What a model costs."""

    model_config = _STRICT

    # A cost that is no finite number would leave answers and log lines no JSON.
    input: Annotated[float, Field(ge=0, le=1_000_000)]
    """US dollars for a million tokens of the request."""
    output: Annotated[float, Field(ge=0, le=1_000_000)]
    """US dollars for a million tokens of the answer, thinking included."""


class Reasoning(BaseModel):
    """How long a model that reasons may think before it answers."""

    model_config = _STRICT

    effort: Annotated[Literal["minimal", "low", "medium", "high"], Field(examples=["low"])]
    """How hard the model thinks: minimal, low, medium or high."""
    tokens: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """Tokens for thinking, on top of a prompt's own `max_tokens`, which is about its answer."""


def _provider_names(schema: dict[str, Any]) -> None:
    schema["enum"] = list(all_providers())


class ModelConfig(BaseModel):
    """What an alias means in this environment."""

    model_config = _STRICT

    alias: str
    """The name that prompts use. In a mapping of aliases it is the key."""
    provider: Annotated[str, Field(json_schema_extra=_provider_names)]
    """The kind of endpoint; docs/model-calls.md describes each."""
    model: Annotated[str, Field(pattern=r"^\S+$", examples=["openai.gpt-oss-20b-1:0"])]
    """The model as the provider calls it; in Azure the deployment."""
    base_url: (
        Annotated[str, Field(pattern=r"^https?://\S+$", examples=["https://host/v1"])] | None
    ) = None
    """Where the provider answers, if not at its usual address."""
    region: (
        Annotated[str, Field(pattern=r"^[a-z]{2}(?:-[a-z]+)+-\d$", examples=["us-east-1"])] | None
    ) = None
    """AWS region of a Bedrock model. In `cdk.json` the installation's region is the default."""
    api_version: Annotated[str, Field(pattern=r"^[\w.-]+$", examples=["2024-10-21"])] | None = None
    """Version of the provider's API, where the address does not say it."""
    secret: (
        Annotated[str, Field(pattern=r"^[\w/+=.@-]+$", examples=["prompt-hub/openai"])] | None
    ) = None
    """Secrets Manager secret that holds the key; read at the first call."""
    secret_kms_key: (
        Annotated[
            str,
            Field(
                # An alias would do for AWS, and for no policy: IAM knows a key by its own ARN.
                pattern=r"^arn:[\w-]+:kms:[a-z0-9-]+:\d{12}:key/[\w-]+$",
                examples=["arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d"],
            ),
        ]
        | None
    ) = None
    """ARN of the KMS key of your own that encrypts the secret. Without it that is AWS's own key."""
    api_key_env: (
        Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$", examples=["OPENAI_API_KEY"])] | None
    ) = None
    """Environment variable that holds the key, on a person's machine; `cdk.json` takes none."""
    price_per_million: Price | None = None
    """US dollars for a million tokens. Without a price, costs are unknown."""
    reasoning: Reasoning | None = None
    """For a model that thinks before it answers. Without it the model is not asked to."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    """Calls in flight from one process; a busy provider halves it."""
    requests_per_minute: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Requests that the provider grants. Without it there is no limit."""
    tokens_per_minute: Annotated[float, Field(gt=0, le=1e12)] | None = None
    """Tokens that the provider grants, in and out. Without it there is no limit."""
    batch_from: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Questions from which on a batch is worth its wait; fewer are asked one by one."""
    batch_price_factor: Annotated[float, Field(gt=0, le=1)] | None = None
    """Part of the price that answers of a batch cost. Default: what the provider documents."""
    batch_requests: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Most requests of a batch. Default: what the provider documents."""
    batch_bytes: Annotated[int, Field(ge=1000, le=10_000_000_000)] | None = None
    """Most bytes of a batch's requests. Default: what the provider documents."""
    batch_folder: (
        Annotated[
            str,
            Field(pattern=r"^s3://[a-z0-9.-]+/(?:[^/\s]+/)*$", examples=["s3://bucket/batches/"]),
        ]
        | None
    ) = None
    """Folder in S3 through which batches of Bedrock go."""
    batch_role: (
        Annotated[
            str,
            Field(
                pattern=r"^arn:[\w-]+:iam::\d{12}:role/\S+$",
                examples=["arn:aws:iam::111122223333:role/batches"],
            ),
        ]
        | None
    ) = None
    """ARN of the role as which Bedrock reads and writes that folder."""

    @field_validator("provider")
    @classmethod
    def _is_known(cls, name: str, info: ValidationInfo) -> str:
        drill = name == SCRIPTED and info.data.get("alias") == aws_names.DRILL_TASK
        if name not in all_providers() and not drill:
            raise ValueError(f"there is no provider {name!r} (known: {', '.join(all_providers())})")
        return name

    @field_validator("base_url")
    @classmethod
    def _holds_no_key(cls, url: str | None) -> str | None:
        if url is not None and (problem := address_problem(url)):
            raise ValueError(
                f"it {problem}; a key is named by secret, or on your own machine by api_key_env"
            )
        return url

    @model_validator(mode="after")
    def _keeps_the_rules_of_its_provider(self) -> ModelConfig:
        if problem := self._provider.problem(self):
            raise ValueError(problem)
        return self

    def __hash__(self) -> int:
        """Hash by the alias alone: every call looks up what belongs to its model."""
        return hash(self.alias)

    @property
    def _provider(self) -> Provider:
        return provider_of(self.provider)

    @cached_property
    def schema_support(self) -> SchemaSupport:
        """What becomes of an output schema on its way to this model."""
        return self._provider.schema_support(self)

    @property
    def batches(self) -> BatchSupport | None:
        """How this model is asked in batches; None where it cannot be.

        Raises `PromptHubError` where a setting is missing for it.
        """
        return self._provider.batches(self)

    @property
    def address(self) -> str | None:
        """Where the model is asked, if not at its usual address; the environment may say it."""
        return self.base_url or os.environ.get(self._provider.address_variable) or None

    @property
    def endpoint(self) -> tuple[str | None, ...]:
        """Where the model is asked: the same name there need not be the same model."""
        return (self.address, self.region, self.api_version)

    @property
    def identity(self) -> str:
        """Provider, model and how it reasons, as it stands in verdicts and in the registry."""
        name = f"{self.provider}:{self.model}"
        if self.reasoning is None:
            return name
        return f"{name}+reasoning-{self.reasoning.effort}-{self.reasoning.tokens}"

    def max_output_tokens(self, max_tokens: float | None) -> int | None:
        """Most tokens that an answer may have, thinking included; None where nothing limits it."""
        if max_tokens is None:
            return None
        return int(max_tokens) + (self.reasoning.tokens if self.reasoning else 0)

    def request_parameters(
        self, parameters: Mapping[Parameter, float | int]
    ) -> dict[str, float | int | str]:
        """Turn a prompt's sampling parameters into those that this model is asked with."""
        return self._provider.request_parameters(self, parameters)

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """Price of one call in US dollars; None where the settings name no price."""
        if self.price_per_million is None:
            return None
        price = self.price_per_million
        return (input_tokens * price.input + output_tokens * price.output) / 1_000_000

    def to_entry(self) -> dict[str, object]:
        """Write the alias as its entry in `PROMPT_HUB_MODELS`, defaults left out."""
        return self.model_dump(mode="json", exclude={"alias"}, exclude_defaults=True)


_REASONING = re.compile(r"\+reasoning-[a-z]+-(\d+)$")
"""What `ModelConfig.identity` ends with where a model reasons."""


def reasoning_tokens(identity: str) -> int | None:
    """Return the tokens that a model may think by its identity; None where it does not reason."""
    found = _REASONING.search(identity)
    return int(found[1]) if found else None


@cache
def drill_model() -> ModelConfig:
    """Return what the rollback drill asks, in every environment."""
    # Made when it is asked for: to check it loads every provider, which `validate` does without.
    return ModelConfig(alias=aws_names.DRILL_TASK, provider=SCRIPTED, model="drill")


_HINT = (
    f"Set {aws_names.ENV_MODELS} to JSON text or to a JSON file, for example"
    ' {"catalogue-pinned": {"provider": "openai", "model": "gpt-4.1-mini",'
    ' "api_key_env": "OPENAI_API_KEY"}};'
    " `make up` starts a local model and writes such a file; `. .local/env` names it."
)


class ModelAliases:
    """The aliases that this environment knows."""

    def __init__(self, models: Mapping[str, ModelConfig]) -> None:
        self._models = dict(models)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> ModelAliases:
        """Read `PROMPT_HUB_MODELS`; raises `PromptHubError` when it is missing or wrong."""
        chosen = os.environ if environment is None else environment
        setting = chosen.get(aws_names.ENV_MODELS, "").strip()
        if not setting:
            raise PromptHubError(
                f"no model is configured: {aws_names.ENV_MODELS} is empty.", hint=_HINT
            )
        return cls.parse(setting)

    @classmethod
    def of_service(cls, environment: Mapping[str, str], stage: str) -> ModelAliases:
        """Read them from the environment that the service of `stage` has.

        Raises `PromptHubError`: that release may be a newer or an older one, and nobody here has
        set what it says.
        """
        try:
            return cls.from_environment(environment)
        except PromptHubError as error:
            raise PromptHubError(
                f"what the service of {stage} says of its models is not understood:"
                f" {error.message}",
                hint="Bring this clone and what runs there to the same release, or set"
                f" {aws_names.ENV_MODELS} here.",
                exit_code=error.exit_code,
            ) from None

    @classmethod
    def parse(cls, setting: str) -> ModelAliases:
        """Parse JSON text, or the file it names; raises `PromptHubError` saying what is wrong."""
        text = setting
        if not setting.startswith("{"):
            try:
                text = Path(setting).read_text(encoding="utf-8")
            except OSError as error:
                message = f"{aws_names.ENV_MODELS} names {setting}, which cannot be read"
                raise PromptHubError(f"{message} ({error.strerror}).", hint=_HINT) from None
        try:
            raw = TypeAdapter(dict[str, dict[str, object]]).validate_json(text)
        except ValidationError as error:
            raise _wrong(error) from None
        return cls({alias: _read_entry(alias, entry) for alias, entry in raw.items()})

    def resolve(self, alias: str) -> ModelConfig:
        """Find the model behind `alias`; raises `PromptHubError` for an alias nobody configured."""
        if alias == aws_names.DRILL_TASK:
            return drill_model()
        try:
            return self._models[alias]
        except KeyError:
            known = ", ".join(sorted(self._models)) or "none"
            raise PromptHubError(
                f"the model alias {alias!r} is not configured here (known: {known}).", hint=_HINT
            ) from None

    def __iter__(self) -> Iterator[ModelConfig]:
        """Iterate over the models, in the order of their aliases."""
        return iter(self._models[alias] for alias in sorted(self._models))

    def to_json(self) -> str:
        """Write the aliases as `PROMPT_HUB_MODELS` takes them."""
        return json.dumps({model.alias: model.to_entry() for model in self}, sort_keys=True)


def _read_entry(alias: str, entry: Mapping[str, object]) -> ModelConfig:
    try:
        return ModelConfig.model_validate({"alias": alias, **entry})
    except ValidationError as error:
        raise _wrong(error, alias) from None


def _wrong(error: ValidationError, *where: str) -> PromptHubError:
    """Say what is wrong with the setting; `where` leads to what pydantic looked at."""
    first = error.errors(include_url=False)[0]
    place = ".".join([*where, *map(str, first["loc"])]) or "the text"
    reason = first["msg"]
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        from prompt_hub.repository.documents import closest

        wrong, known = str(first["loc"][0]), sorted(ModelConfig.model_fields.keys() - {"alias"})
        meant = closest(wrong, known)
        suggestion = f"; did you mean {meant!r}?" if meant else ""
        reason = f"there is no such key (known: {', '.join(known)}{suggestion})"
    return PromptHubError(f"{aws_names.ENV_MODELS} is wrong at {place}: {reason}.", hint=_HINT)
