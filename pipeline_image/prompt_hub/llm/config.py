"""A prompt names a model alias; the environment says which model that is."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.schema import Parameter


class Price(BaseModel):
    """US dollars for a million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


class Reasoning(BaseModel):
    """How long a model that reasons may think before it answers.

    `effort` is the provider's `reasoning_effort`. `tokens` come on top of a prompt's `max_tokens`:
    providers count thinking as output, and a prompt's own limit is about its answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    effort: Literal["minimal", "low", "medium", "high"]
    tokens: Annotated[int, Field(ge=1, le=100_000)] = 1024


class ResolvedModel(BaseModel):
    """What an alias means in this environment.

    `secret` names a Secrets Manager secret, `api_key_env` an environment variable; both hold the
    key of an OpenAI-compatible provider and are read only when a call is made. `concurrency` is
    how many calls may be in flight; the rates are what the provider grants per minute.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alias: str
    provider: Literal["openai", "bedrock"]
    model: Annotated[str, Field(min_length=1)]
    base_url: str | None = None
    region: str | None = None
    secret: str | None = None
    api_key_env: str | None = None
    price_per_million: Price | None = None
    reasoning: Reasoning | None = None
    concurrency: Annotated[int, Field(ge=1, le=1024)] | None = None
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _bedrock_needs_region(self) -> ResolvedModel:
        if self.provider == "bedrock" and self.region is None:
            raise ValueError("a Bedrock model needs a region")
        return self

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
        """Return a prompt's sampling parameters as this model is asked with them."""
        asked: dict[str, float | int | str] = {str(name): item for name, item in parameters.items()}
        if self.reasoning is None:
            return asked
        most = "max_tokens"
        if self.provider == "openai" and self.base_url is None:
            # OpenAI's own models that reason refuse these, and call the limit by another name.
            most = "max_completion_tokens"
            asked = {name: asked[name] for name in asked.keys() & {"seed"}}
        asked["reasoning_effort"] = self.reasoning.effort
        if (limit := self.max_output_tokens(parameters.get("max_tokens"))) is not None:
            asked[most] = limit
        return asked

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """Price of one call in US dollars; None where the settings name no price."""
        if self.price_per_million is None:
            return None
        price = self.price_per_million
        return (tokens_in * price.input + tokens_out * price.output) / 1_000_000


_HINT = (
    f"Set {aws_names.ENV_MODELS} to JSON text or to a JSON file, for example"
    ' {"catalogue-pinned": {"provider": "openai", "model": "gpt-4.1-mini"}};'
    " `make up` starts a local model and writes such a file."
)


class ModelAliases:
    """The aliases that this environment knows."""

    def __init__(self, models: Mapping[str, ResolvedModel]) -> None:
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
        return cls({alias: _resolved(alias, entry) for alias, entry in raw.items()})

    def resolve(self, alias: str) -> ResolvedModel:
        """Return the model behind `alias`.

        Raises `PromptHubError` for an alias nobody configured.
        """
        try:
            return self._models[alias]
        except KeyError:
            known = ", ".join(sorted(self._models)) or "none"
            raise PromptHubError(
                f"the model alias {alias!r} is not configured here (known: {known}).", hint=_HINT
            ) from None

    def to_json(self) -> str:
        """Return the aliases as `PROMPT_HUB_MODELS` takes them."""
        return json.dumps(
            {
                alias: model.model_dump(mode="json", exclude={"alias"}, exclude_none=True)
                for alias, model in sorted(self._models.items())
            }
        )


def _resolved(alias: str, entry: Mapping[str, object]) -> ResolvedModel:
    try:
        return ResolvedModel.model_validate({"alias": alias, **entry})
    except ValidationError as error:
        raise _wrong(error, alias) from None


def _wrong(error: ValidationError, *where: str) -> PromptHubError:
    """Return what is wrong with the setting; `where` leads to what pydantic looked at."""
    first = error.errors(include_url=False)[0]
    place = ".".join([*where, *map(str, first["loc"])]) or "the text"
    return PromptHubError(
        f"{aws_names.ENV_MODELS} is wrong at {place}: {first['msg']}.", hint=_HINT
    )


def add_concurrency(parser: argparse.ArgumentParser) -> None:
    """Declare `--concurrency`, which overrides what the models' settings say."""
    parser.add_argument(
        "--concurrency",
        type=positive,
        metavar="N",
        help="calls in flight to one model (default: the model's own setting)",
    )


def positive(text: str) -> int:
    """Return a number from 1, as an argument of a command."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)
