"""Tokens as callers send them, after the load balancer: the service looks at no signature."""

from __future__ import annotations

import base64
import json


def unsigned(**claims: object) -> str:
    """The value of an Authorization header whose token has these claims."""
    return bearer(json.dumps(claims).encode())


def bearer(payload: bytes) -> str:
    """The value of an Authorization header whose token has this payload."""
    parts = (b'{"alg":"RS256","typ":"JWT"}', payload, b"no signature")
    return "Bearer " + ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts
    )
