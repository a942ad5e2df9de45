"""Why there was no connection to a provider, in words that hold no address, name or key."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from prompt_hub.llm.retry import TransientError

_OTHER_NAME = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH: Python's words for
them hold the name."""


def no_connection(error: BaseException | None = None, why: str = "") -> TransientError:
    """Return the error of an attempt that got no whole answer.

    Args:
        error: what a client raised; its causes say more than it does.
        why: what is known already, to be told before what the causes say.
    """
    reason = ": ".join(filter(None, (why, next(filter(None, map(_words, _causes(error))), ""))))
    return TransientError(f"no connection ({reason})" if reason else "no connection")


def _words(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError(verify_code=code) if code in _OTHER_NAME:
            return "its certificate is for another name"
        # urllib3's, which looks at the name itself and is not imported for it.
        case ValueError() if type(error).__name__ == "CertificateError":
            return "its certificate is for another name"
        case ssl.SSLCertVerificationError(verify_message=str(message)):
            return f"its certificate is not trusted: {message}"
        case ssl.SSLError(reason=str(reason)):
            return f"TLS: {reason.replace('_', ' ').lower()}"
        case socket.gaierror():
            return "its name was not found"
        case ConnectionRefusedError():
            return "refused"
    return ""


def _causes(error: object) -> Iterator[BaseException]:
    """Yield an error and whatever it came from, however its library keeps that."""
    seen: set[int] = set()
    rest = [error]
    while rest:
        found = rest.pop()
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            rest += (found.__context__, found.__cause__, getattr(found, "reason", None))
            # botocore's.
            rest += getattr(found, "kwargs", {}).values()
