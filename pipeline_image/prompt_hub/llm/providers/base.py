"""What a provider of models is: one module of this package, found by the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from prompt_hub.llm.schema_support import OPENAI, SchemaSupport
from prompt_hub.repository.schema import JsonObject, Parameter

if TYPE_CHECKING:
    from prompt_hub.llm.batches import BatchSupport
    from prompt_hub.llm.config import ModelConfig
    from prompt_hub.llm.response import ModelResponse

PROVIDER_KEYS = (
    "base_url",
    "region",
    "api_version",
    "secret",
    "secret_kms_key",
    "api_key_env",
    "batch_folder",
    "batch_role",
)
"""Keys of an alias that some providers take and others do not."""


@dataclass(frozen=True, kw_only=True)
class IamStatement:
    """One statement that a role needs to call a model, as plain data."""

    actions: tuple[str, ...]
    """IAM actions, such as `bedrock:InvokeModel`."""
    resources: tuple[str, ...]
    """ARNs, in which `{partition}`, `{region}` and `{account}` are those of the role's stack."""
    conditions: tuple[tuple[str, str, str], ...] = ()
    """Operator, condition key and value of each test, with the same words in the value."""
    wildcard: str = ""
    """Why a `*` in `resources` cannot be narrower; empty where there is none."""


class Adapter(Protocol):
    """A connection to models of one provider."""

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        """Ask once; raises `TransientError` or `PermanentError` when no answer came.

        The response is the caller's own, who completes its usage.
        """

    async def close(self) -> None:
        """Give back connections."""


class Provider(ABC):
    """A kind of model endpoint: how to connect, what to ask with, what it needs to be allowed.

    An instance is found by the registry as `PROVIDER` of its module. CDK reads it too: the module
    imports an SDK inside functions only.
    """

    name: ClassVar[str]
    """What `provider` says in an alias; also the first part of a model's identity in verdicts."""
    telemetry_name: ClassVar[str]
    """`gen_ai.provider.name` of OpenTelemetry's conventions."""
    required_keys: ClassVar[frozenset[str]] = frozenset()
    """Those of `PROVIDER_KEYS` without which it cannot be reached."""
    optional_keys: ClassVar[frozenset[str]] = frozenset()
    """Those of `PROVIDER_KEYS` that it takes besides."""

    address_variable: ClassVar[str] = ""
    """Environment variable that says to its SDK where models answer; empty where none does."""

    @abstractmethod
    def connect(self) -> Adapter:
        """Make an adapter; imports the SDK, opens no connection yet."""

    def schema_support(self, model: ModelConfig) -> SchemaSupport:
        """Say what becomes of an output schema on its way to `model`; as at OpenAI by default."""
        return OPENAI

    def batches(self, model: ModelConfig) -> BatchSupport | None:
        """Say how `model` is asked many questions at once, for less; None where it cannot be."""
        return None

    def iam_statements(self, model: ModelConfig) -> tuple[IamStatement, ...]:
        """Name what a role needs to call `model`; nothing by default."""
        return ()

    def list_models_command(self, model: ModelConfig, key: str) -> str:
        """Say what lists the models that its endpoint has; empty where nothing does.

        Args:
            model: an alias.
            key: what stands for its key in a shell; empty for one without a key.
        """
        return ""

    def own_problem(self, model: ModelConfig) -> str:
        """Say what is wrong with an alias by a rule of this provider alone; empty if nothing is."""
        return ""

    def request_parameters(
        self, model: ModelConfig, parameters: Mapping[Parameter, float | int]
    ) -> dict[str, float | int | str]:
        """Turn a prompt's parameters into those that `model` is asked with.

        They are part of what a stored answer is found by, so they hold all that the provider is
        told besides messages and schema.
        """
        asked: dict[str, float | int | str] = {str(name): item for name, item in parameters.items()}
        if model.reasoning is None:
            return asked
        asked["reasoning_effort"] = model.reasoning.effort
        if (limit := model.max_output_tokens(parameters.get("max_tokens"))) is not None:
            asked["max_tokens"] = limit
        return asked

    def problem(self, model: ModelConfig) -> str:
        """Say what is wrong with an alias of this provider; empty if nothing is."""
        given = {key for key in PROVIDER_KEYS if getattr(model, key) is not None}
        missing = self.required_keys - given
        if missing:
            return f"a model of {self.name} needs a {min(missing)}"
        surplus = given - self.required_keys - self.optional_keys
        if surplus:
            return f"a model of {self.name} takes no {min(surplus)}"
        if model.secret_kms_key is not None and model.secret is None:
            return "a secret_kms_key needs the secret that it encrypts"
        return self.own_problem(model)


def read_key_statements(model: ModelConfig) -> tuple[IamStatement, ...]:
    """Allow to read the key of a model, where it has one in Secrets Manager."""
    if model.secret is None:
        return ()
    # Secrets Manager appends six random characters to a secret's name.
    secret = f"arn:{{partition}}:secretsmanager:{{region}}:{{account}}:secret:{model.secret}-??????"
    read = IamStatement(actions=("secretsmanager:GetSecretValue",), resources=(secret,))
    if model.secret_kms_key is None:
        return (read,)
    # Secrets Manager decrypts as whoever reads: through it, and of this secret alone.
    decrypt = IamStatement(
        actions=("kms:Decrypt",),
        resources=(model.secret_kms_key,),
        conditions=(
            ("StringEquals", "kms:ViaService", "secretsmanager.{region}.amazonaws.com"),
            ("StringLike", "kms:EncryptionContext:SecretARN", secret),
        ),
    )
    return (read, decrypt)
