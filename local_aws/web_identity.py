"""Roles for tokens of an OpenID provider: who is vouched for, and by whom, is really asked.

The emulator takes any token and knows three of its claims. Here a token has to be signed by a key
of its issuer, meant for a client of the provider that the account trusts, and not be expired; the
claims that AWS makes condition keys of are the trust policy's to decide on. Only where permissions
are asked (`local_aws.permissions`).

No issuer on the internet is asked for its keys: the settings say where they are on this machine.
"""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jwt
from ministack.core.responses import get_account_id
from ministack.services import iam, sts

from local_aws import cloudformation

if TYPE_CHECKING:
    from local_aws.settings import CloudSettings

logger = logging.getLogger("local_aws.web_identity")

TIMEOUT_SECONDS = 5.0
_STANDARD = ("amr", "aud", "sub")
"""What every provider's token is asked for in a trust policy."""
_OF_GITHUB = (
    "actor",
    "actor_id",
    "enterprise_id",
    "environment",
    "job_workflow_ref",
    "ref",
    "repository",
    "repository_id",
    "workflow",
)
"""Claims of GitHub's tokens that are condition keys, too (AWS's announcement of January 2026)."""
_CLAIMS = {"token.actions.githubusercontent.com": (*_STANDARD, *_OF_GITHUB)}
_PROVIDER = "AWS::IAM::OIDCProvider"

Claims = Mapping[str, Any]
Answer = tuple[int, dict[str, str], bytes]


class TokenError(ValueError):
    """A token vouches for nobody; the text says why."""


def install(settings: CloudSettings) -> None:
    """Verify tokens, and keep the providers that stacks make."""
    cloudformation.register(_PROVIDER, create=_create, update=_update, delete=_delete)
    decide = sts._web_identity_trust_denied

    def denied(role_arn: str, parameters: dict[str, list[str]], use_json: bool) -> object:
        token = (parameters.get("WebIdentityToken") or [""])[0]
        try:
            verified(token, settings.issuers, _clients)
        except TokenError as error:
            logger.warning("%s may not be assumed: %s", role_arn, error)
            return sts._error(400, "InvalidIdentityToken", str(error), ns="sts")
        return decide(role_arn, parameters, use_json)

    sts._web_identity_trust_denied = denied
    sts._web_identity_principal = _with_every_claim(sts._web_identity_principal)


def verified(token: str, issuers: Mapping[str, str], clients: Callable[[str], list[str]]) -> Claims:
    """Return the claims of a token.

    Args:
        token: A JSON web token.
        issuers: Where the keys of an issuer are served on this machine, by its URL.
        clients: For whom tokens of an issuer may be meant; none where nobody trusts it.

    Raises:
        TokenError: nobody may be taken for the one that it names.
    """
    try:
        issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
    except jwt.InvalidTokenError as error:
        raise TokenError(f"The token is none: {error}.") from None
    audience = clients(issuer)
    if not audience:
        raise TokenError(f"No OpenIDConnect provider found in your account for {issuer}.")
    if issuer not in issuers:
        raise TokenError(
            f"The keys of {issuer} are not on this machine, and none are fetched from elsewhere."
        )
    try:
        key = jwt.PyJWKClient(
            _jwks_uri(issuer, issuers[issuer]), timeout=TIMEOUT_SECONDS
        ).get_signing_key_from_jwt(token)
        claims: Claims = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=audience,
            issuer=issuer,
            options={"require": ["aud", "exp", "iat", "iss", "sub"]},
        )
    except (jwt.PyJWTError, OSError, ValueError) as error:
        raise TokenError(f"The token is not valid: {error}.") from None
    return claims


def _jwks_uri(issuer: str, address: str) -> str:
    """Ask an issuer, at its address on this machine, where its keys are."""
    url = f"{address}/.well-known/openid-configuration"
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - loopback
        uri = str(json.loads(answer.read())["jwks_uri"])
    return uri.replace(issuer, address, 1)


def _with_every_claim(
    principal: Callable[..., tuple[str, dict[str, object]]],
) -> Callable[..., tuple[str, dict[str, object]]]:
    def web_identity_principal(token: str, provider: str, role: str) -> tuple[str, object]:
        arn, keys = principal(token, provider, role)
        host = arn.rpartition("oidc-provider/")[2]
        # Its signature has been looked at before.
        claims = jwt.decode(token, options={"verify_signature": False})
        names = _CLAIMS.get(host, _STANDARD)
        return arn, keys | {f"{host}:{name}": claims[name] for name in names if name in claims}

    return web_identity_principal  # type: ignore[return-value]


def _arn(url: str) -> str:
    host = url.removeprefix("https://").rstrip("/")
    return f"arn:aws:iam::{get_account_id()}:oidc-provider/{host}"


def _clients(issuer: str) -> list[str]:
    if not issuer.startswith("https://"):
        return []
    return list((iam._oidc_providers.get(_arn(issuer)) or {}).get("ClientIDList", ()))


def _create(
    logical_id: str, properties: cloudformation.Properties, stack_name: str
) -> cloudformation.Provisioned:
    url = str(properties["Url"])
    arn = _arn(url)
    iam._oidc_providers[arn] = {
        "Url": url.removeprefix("https://"),
        "ClientIDList": list(properties.get("ClientIdList", ())),
        "ThumbprintList": list(properties.get("ThumbprintList", ())),
        "Arn": arn,
        "CreateDate": iam._now(),
        "Tags": list(properties.get("Tags", ())),
    }
    return arn, {"Arn": arn}


def _update(
    ref: str,
    old: cloudformation.Properties,
    new: cloudformation.Properties,
    stack_name: str,
) -> cloudformation.Provisioned:
    return _create("", new, stack_name)


def _delete(ref: str, properties: cloudformation.Properties) -> None:
    iam._oidc_providers.pop(ref, None)
