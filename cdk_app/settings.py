"""What may differ between two installations, as frozen typed data read from `cdk.json`.

Every other value of the app is either a decision (and then stands where it is made) or a name
(and then comes from `prompt_hub.core.aws_names`).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, cast

CONTEXT_KEY = "prompt-hub"

_WORD = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_REGION = r"[a-z]{2}(?:-[a-z]+)+-\d"
_NOTHING = object()


class SettingsError(ValueError):
    """A setting is missing or wrong; the message is one sentence that says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """What a model alias means on AWS.

    `secret` names a Secrets Manager secret with the key of an OpenAI-compatible provider; Bedrock
    is signed by the role and needs none. Prices are US dollars for a million tokens. A model that
    reasons names its effort, and how many tokens it may think with on top of a prompt's own limit.
    The last three are the most that may be asked of the model: calls in flight, and its quota per
    minute.
    """

    alias: str
    provider: Literal["bedrock", "openai"]
    model: str
    region: str | None = None
    base_url: str | None = None
    secret: str | None = None
    price_input: float | None = None
    price_output: float | None = None
    reasoning_effort: str | None = None
    reasoning_tokens: int = 1024
    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return the entry of this alias in `PROMPT_HUB_MODELS`."""
        entry: dict[str, object] = {"provider": self.provider, "model": self.model}
        optional = {
            "region": self.region,
            "base_url": self.base_url,
            "secret": self.secret,
            "concurrency": self.concurrency,
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
        }
        entry.update({key: value for key, value in optional.items() if value is not None})
        if self.price_input is not None:
            entry["price_per_million"] = {"input": self.price_input, "output": self.price_output}
        if self.reasoning_effort is not None:
            entry["reasoning"] = {"effort": self.reasoning_effort, "tokens": self.reasoning_tokens}
        return entry


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """One stage that the pipeline deploys to.

    `protect` keeps the ledger from being deleted by mistake. `approval` makes a person let each
    release in. `notification_emails` hear of every alarm and rollback; without one nobody does.
    `caller_cidrs` are networks, peered or otherwise routed to the stage's own, whose applications
    may call the service. `vpc_cidr` and `availability_zones` are fixed once the stage exists: to
    change them is to build another network under the running service.

    What a stage costs a month in us-east-1, roughly, before any model call (US dollars): each NAT
    gateway 33 and 0.045 a gigabyte; the load balancer 16; each service task (0.25 vCPU, 0.5 GB) 9;
    container insights about 9; each prompt task 0.20 for its two alarms and 1.80 for its metrics.
    The ledger is paid by request: cents.
    """

    name: str
    availability_zones: tuple[str, ...]
    vpc_cidr: str = "10.20.0.0/16"
    caller_cidrs: tuple[str, ...] = ()
    nat_gateways: int = 1
    desired_count: int = 1
    poll_seconds: int = 5
    approval: bool = False
    protect: bool = True
    notification_emails: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The installation: where the code is, where it runs, which models and which stages.

    The ids of the GitHub owner and repository are optional; with them, whoever takes over a name
    that was given up does not inherit the trust of the pull-request role. An account can have one
    OIDC provider for GitHub: where it has, `github_oidc_provider_arn` names it. The
    `notification_emails` here hear of executions of the pipeline that failed or blocked a prompt.
    """

    repository: str
    branch: str
    region: str
    account: str | None = None
    github_owner_id: int | None = None
    github_repository_id: int | None = None
    github_oidc_provider_arn: str | None = None
    notification_emails: tuple[str, ...] = ()
    models: tuple[ModelSettings, ...]
    stages: tuple[StageSettings, ...]

    @property
    def models_json(self) -> str:
        """The value of `PROMPT_HUB_MODELS` for everything that runs on AWS."""
        return json.dumps({model.alias: model.to_json() for model in self.models}, sort_keys=True)

    @classmethod
    def from_context(cls, context: object) -> Self:
        """Read the settings from the context value; raises `SettingsError`."""
        if context is None:
            raise SettingsError(f"cdk.json has no context key {CONTEXT_KEY!r}: add the settings.")
        fields = _Fields(context, CONTEXT_KEY)
        region = fields.text("region", _REGION, "us-east-1")
        settings = cls(
            repository=fields.text("repository", r"[\w.-]+/[\w.-]+", "owner/name"),
            branch=fields.text("branch", r"[\w./-]+", "main", default="main"),
            region=region,
            account=fields.optional_text("account", r"\d{12}", "123456789012"),
            github_owner_id=fields.optional_integer("github_owner_id", 1, 10**12),
            github_repository_id=fields.optional_integer("github_repository_id", 1, 10**12),
            github_oidc_provider_arn=fields.optional_text(
                "github_oidc_provider_arn",
                r"arn:[\w-]+:iam::\d{12}:oidc-provider/.+",
                "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
            ),
            notification_emails=fields.texts(
                "notification_emails", r"\S+@\S+", "authors@example.com", default=()
            ),
            models=_read_models(fields.value("models"), region),
            stages=_read_stages(fields.value("stages"), region),
        )
        fields.finish()
        return settings


def _read_models(raw: object, region: str) -> tuple[ModelSettings, ...]:
    where = f"{CONTEXT_KEY}.models"
    if not isinstance(raw, Mapping) or not raw:
        raise SettingsError(f"{where} must map at least one alias to a provider and a model.")
    return tuple(_read_model(str(alias), raw[alias], where, region) for alias in sorted(raw))


def _read_model(alias: str, raw: object, where: str, region: str) -> ModelSettings:
    if not re.fullmatch(_WORD, alias):
        raise SettingsError(f"{where}: the alias {alias!r} must look like catalogue-pinned.")
    fields = _Fields(raw, f"{where}.{alias}")
    provider = fields.text("provider", "bedrock|openai", "bedrock or openai")
    price = fields.value("price_per_million", default=None)
    prices = None if price is None else _Fields(price, f"{where}.{alias}.price_per_million")
    reasoning = fields.value("reasoning", default=None)
    thinking = None if reasoning is None else _Fields(reasoning, f"{where}.{alias}.reasoning")
    model = ModelSettings(
        alias=alias,
        provider=cast(Literal["bedrock", "openai"], provider),
        model=fields.text("model", r"\S+", "openai.gpt-oss-20b-1:0"),
        region=fields.optional_text("region", _REGION, "us-east-1")
        or (region if provider == "bedrock" else None),
        base_url=fields.optional_text("base_url", r"https://\S+", "https://host/v1"),
        secret=fields.optional_text("secret", r"[\w/+=.@-]+", "prompt-hub/openai"),
        price_input=prices.number("input") if prices else None,
        price_output=prices.number("output") if prices else None,
        reasoning_effort=thinking.text("effort", "minimal|low|medium|high", "low")
        if thinking
        else None,
        reasoning_tokens=thinking.integer("tokens", 1, 100_000, default=1024) if thinking else 1024,
        concurrency=fields.optional_integer("concurrency", 1, 1024),
        requests_per_minute=fields.optional_integer("requests_per_minute", 1, 10**9),
        tokens_per_minute=fields.optional_integer("tokens_per_minute", 1, 10**12),
    )
    for nested in (prices, thinking):
        if nested:
            nested.finish()
    fields.finish()
    return model


def _read_stages(raw: object, region: str) -> tuple[StageSettings, ...]:
    where = f"{CONTEXT_KEY}.stages"
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        raise SettingsError(f"{where} must list at least one stage.")
    stages = tuple(
        _read_stage(entry, f"{where}[{index}]", region) for index, entry in enumerate(raw)
    )
    names = [stage.name for stage in stages]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{where}: two stages are called {name!r}; rename one.")
    return stages


def _read_stage(raw: object, where: str, region: str) -> StageSettings:
    fields = _Fields(raw, where)
    zones = fields.texts("availability_zones", rf"{region}[a-z]", f"{region}a")
    if len(set(zones)) < 2:
        raise SettingsError(
            f"{where}.availability_zones must name two different zones or more:"
            " a load balancer needs two."
        )
    stage = StageSettings(
        # Stage names end up in names of at most 32 characters, such as the load balancer's.
        name=fields.text("name", rf"(?=.{{2,16}}$){_WORD}", "dev, with 2 to 16 characters"),
        availability_zones=zones,
        vpc_cidr=fields.text("vpc_cidr", r"[\d./]+", "10.20.0.0/16", default="10.20.0.0/16"),
        caller_cidrs=fields.texts("caller_cidrs", r"[\d./]+", "10.0.0.0/8", default=()),
        # Without one the tasks reach no model: see cdk_app/network.py for the choice.
        nat_gateways=fields.integer("nat_gateways", 1, len(zones), default=1),
        desired_count=fields.integer("desired_count", 1, 50, default=1),
        poll_seconds=fields.integer("poll_seconds", 1, 60, default=5),
        approval=fields.flag("approval", default=False),
        protect=fields.flag("protect", default=True),
        notification_emails=fields.texts(
            "notification_emails", r"\S+@\S+", "people@example.com", default=()
        ),
    )
    fields.finish()
    network = _network(stage.vpc_cidr, f"{where}.vpc_cidr")
    if not 16 <= network.prefixlen <= 22:
        raise SettingsError(f"{where}.vpc_cidr must have between 16 and 22 network bits.")
    for cidr in stage.caller_cidrs:
        if _network(cidr, f"{where}.caller_cidrs").overlaps(network):
            raise SettingsError(f"{where}.caller_cidrs: {cidr} overlaps the stage's own network.")
    return stage


def _network(cidr: str, where: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError:
        raise SettingsError(f"{where}: {cidr!r} is not a network, such as 10.0.0.0/16.") from None


class _Fields:
    """Takes typed values out of one JSON object and remembers which keys were asked for."""

    def __init__(self, raw: object, where: str) -> None:
        if not isinstance(raw, Mapping):
            raise SettingsError(f"{where} must be an object with named values.")
        self._raw = {str(key): value for key, value in raw.items()}
        self._where = where
        self._asked: set[str] = set()

    def value(self, key: str, *, default: object = _NOTHING) -> object:
        self._asked.add(key)
        value = self._raw.get(key, default)
        if value is _NOTHING:
            raise SettingsError(f"{self._where}.{key} is missing.")
        return value

    def text(
        self, key: str, pattern: str, example: str, *, default: str | object = _NOTHING
    ) -> str:
        return self._matching(key, self.value(key, default=default), pattern, example)

    def optional_text(self, key: str, pattern: str, example: str) -> str | None:
        value = self.value(key, default=None)
        return None if value is None else self._matching(key, value, pattern, example)

    def texts(
        self, key: str, pattern: str, example: str, *, default: object = _NOTHING
    ) -> tuple[str, ...]:
        value = self.value(key, default=default)
        if not isinstance(value, list | tuple):
            raise SettingsError(f"{self._where}.{key} must be a list, such as [{example!r}].")
        return tuple(self._matching(key, entry, pattern, example) for entry in value)

    def integer(self, key: str, low: int, high: int, *, default: object = _NOTHING) -> int:
        value = self.value(key, default=default)
        # The CLI and jsii may turn a whole number into a float on its way here.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise SettingsError(
                f"{self._where}.{key} is {value!r}; it must be a whole number from {low} to {high}."
            )
        return value

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        return None if self.value(key, default=None) is None else self.integer(key, low, high)

    def number(self, key: str) -> float:
        value = self.value(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise SettingsError(f"{self._where}.{key} is {value!r}; it must be a number from 0.")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.value(key, default=default)
        if not isinstance(value, bool):
            raise SettingsError(f"{self._where}.{key} is {value!r}; it must be true or false.")
        return value

    def finish(self) -> None:
        """Refuse keys that nobody asked for: a misspelt setting must not look as if it worked."""
        unknown = sorted(set(self._raw) - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise SettingsError(
                f"{self._where} has the unknown setting {unknown[0]!r} (known: {known})."
            )

    def _matching(self, key: str, value: object, pattern: str, example: str) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise SettingsError(f"{self._where}.{key} is {value!r}; it must look like {example}.")
        return value
