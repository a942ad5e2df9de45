"""An OpenID provider on loopback: signs tokens as GitHub does, and serves the keys for them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.unit.batch.servers import serving

GITHUB = "https://token.actions.githubusercontent.com"
KEY_ID = "key-1"


def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Issuer:
    """An issuer that goes by GitHub's name; its keys are at `address`."""

    address: str = ""
    key: rsa.RSAPrivateKey = field(default_factory=private_key)

    def token(self, *, key: rsa.RSAPrivateKey | None = None, **claims: object) -> str:
        """A token as a job of a pull request gets it, with other claims, or another's signature."""
        now = int(time.time())
        repository = str(claims.get("repository", "example/prompts"))
        said = {
            "iss": GITHUB,
            "aud": "sts.amazonaws.com",
            "sub": f"repo:{repository}:pull_request",
            "ref": "refs/pull/7/merge",
            "repository": repository,
            "event_name": "pull_request",
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        return jwt.encode(said, key or self.key, algorithm="RS256", headers={"kid": KEY_ID})

    def respond(self, path: str, sent: object) -> tuple[int, object]:
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": GITHUB, "jwks_uri": f"{GITHUB}/.well-known/jwks"}
        assert path == "/.well-known/jwks"
        public: dict[str, Any] = json.loads(
            jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key())
        )
        return 200, {"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Run the issuer for the length of a `with`."""
    issuer = Issuer()
    with serving(issuer.respond) as url:
        issuer.address = url
        yield issuer
