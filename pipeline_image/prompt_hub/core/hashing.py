"""One canonical form, one hash: equal content has equal hashes on every machine."""

from __future__ import annotations

import hashlib
import json


def canonical(value: object) -> bytes:
    """JSON with sorted keys, no spaces and no escapes; raises `ValueError` for NaN or infinity."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8")


def sha256_of(value: object) -> str:
    """Lower-case hexadecimal SHA-256 of the canonical form of a JSON value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def evidence_sha256(record: bytes, details: bytes) -> str:
    """Hash that seals an evaluation record and its details, byte for byte, as they are stored."""
    return hashlib.sha256(
        hashlib.sha256(record).digest() + hashlib.sha256(details).digest()
    ).hexdigest()
