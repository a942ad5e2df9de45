"""IAM on the local AWS: each process has its own role's credentials, and may do what that may.

The emulator's evaluator decides (`AUTH=true`): identity policies, permissions boundary, session and
resource policies as they were deployed, an explicit deny first. Here are the checks that AWS makes
and it does not (`permission_checks`), credentials for what we start, and a line about each denial
in `logs/permissions.log` that names role, action, resource and the statement that came closest
(`permission_log` reads it).

What a service does by itself with a role (ECS pulling an image, EventBridge starting a task) no
request says; `service_roles` asks it. What was allowed stands in `logs/permission-calls.log`, each
kind of call once: by it docs/permissions.md knows which statements a run used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ministack.app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, ecs, iam, kms, s3, secretsmanager, sts

from local_aws import permission_checks
from local_aws.permission_checks import Check, State
from local_aws.permission_sentences import sentence
from local_aws.settings import PERMISSION_CALLS_LOG, PERMISSIONS_LOG

if TYPE_CHECKING:
    from local_aws.settings import CloudSettings

logger = logging.getLogger("local_aws.permissions")

_body: ContextVar[bytes] = ContextVar("body", default=b"")
_denied: ContextVar[Check | None] = ContextVar("denied", default=None)
_lock = threading.Lock()
_log: Path
_calls: Path
_recorded: set[tuple[str, str, str, str]] = set()
_mode = "off"


def install(settings: CloudSettings) -> None:
    """Ask AWS's questions instead of the emulator's; nothing where permissions are off."""
    global _log, _calls, _mode
    _log, _mode = settings.state / PERMISSIONS_LOG, settings.permissions
    _calls = settings.state / PERMISSION_CALLS_LOG
    # Where nothing is asked, too: what an earlier run was denied is no cause of anything in this.
    _log.unlink(missing_ok=True)
    _calls.unlink(missing_ok=True)
    if _mode == "off":
        return
    assert ministack.app.AUTH, "the emulator was imported before its environment was set"
    _log.parent.mkdir(parents=True, exist_ok=True)
    # Readers know by it that IAM was asked, even if it denied nothing, and what became of a denial.
    _log.write_text(json.dumps({"permissions": _mode}) + "\n", encoding="utf-8")
    # Each of these is looked up in its module at every request.
    iam_actions.extract_resource_arn = _keep_body(iam_actions.extract_resource_arn)
    iam_actions.access_denied_response = _name_what_was_denied(iam_actions.access_denied_response)
    iam_evaluator.enforce = _enforce(iam_evaluator.enforce)
    iam_evaluator._resolve_condition_key = _with_the_caller(iam_evaluator._resolve_condition_key)
    iam_evaluator._gather_role_policies = _well_formed(iam_evaluator._gather_role_policies)
    # Loopback is what AWS calls a secure transport: nobody else can listen.
    origin = iam_evaluator.pin_request_origin
    ministack.app.pin_request_origin = lambda address, _secure: origin(address, True)


def mode() -> str:
    """How IAM is asked: `off`, `audit` or `enforce`."""
    return _mode


def credentials(role_arn: str, session: str, account: str) -> dict[str, str]:
    """Return the variables with which a process has a role; empty where permissions are off."""
    if _mode == "off" or not role_arn:
        return {}
    role = role_arn.rpartition("/")[2]
    digest = hashlib.sha256(f"{role_arn} {session}".encode()).hexdigest()
    name = session.replace(":", "-")[-64:]
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:56], digest
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
            "UserId": f"{role}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }


def checks(check: Check, body: bytes) -> list[Check]:
    """Return the checks that AWS makes of a request that a service makes here."""
    place = (get_region(), get_account_id())
    return permission_checks.checks(check, body, place, _state())


def _keep_body(extract: Callable[..., str]) -> Callable[..., str]:
    def extract_and_keep(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        *rest: object,
    ) -> str:
        _body.set(body)
        _denied.set(None)
        return extract(service, method, path, headers, body, *rest)

    return extract_and_keep


def _enforce(ask: Callable[..., Any]) -> Callable[..., Any]:
    state = _state()

    def enforce(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Mapping[str, object] | None = None,
    ) -> object:
        keys = {name.lower(): value for name, value in (service_context or {}).items()}
        asked = Check(action=action, resource=resource_arn, keys=keys)
        place = (region, get_account_id())
        for check in permission_checks.checks(asked, _body.get(), place, state) or [asked]:
            denied = ask(
                access_key,
                check.action,
                check.action.partition(":")[0] if check.action != action else service,
                region,
                resource_arn=check.resource,
                service_context=dict(check.keys),
            )
            if isinstance(denied, iam_evaluator.AuthError):
                return denied
            if denied is not None:
                _denied.set(check)
                _write(access_key, place[1], check, denied)
                if _mode == "enforce":
                    return denied
            elif session := sts._sessions.get(access_key):
                record(_role_of(str(session.get("Arn", ""))), check)
        return None

    return enforce


def _with_the_caller(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Let conditions see the role, not its session, and that the caller is no service."""

    def resolve_condition_key(key: str, context: iam_evaluator.EvalContext) -> object:
        name, found = key.lower(), resolve(key, context)
        if name == "aws:principalarn" and ":assumed-role/" in str(found):
            role = iam._roles.get(_role_of(str(found))) or {}
            return role.get("Arn", found)
        if found is None and name in {"aws:principalisawsservice", "aws:viaawsservice"}:
            return "false"
        return found

    return resolve_condition_key


def _well_formed(gather: Callable[..., list[list[Any]]]) -> Callable[..., list[list[Any]]]:
    """Leave out what AWS refuses in a policy; the evaluator would take it to allow everything."""

    def gather_role_policies(role_name: str, account_id: str) -> list[list[Any]]:
        policies = gather(role_name, account_id)
        return [
            [one for one in policy if one.effect == "Deny" or _says_what(role_name, one)]
            for policy in policies
        ]

    return gather_role_policies


def _says_what(role: str, statement: iam_evaluator.ParsedStatement) -> bool:
    whole = (
        (statement.actions or statement.not_actions)
        and (statement.resources or statement.not_resources)
        and isinstance(statement.conditions, dict)
        and all(isinstance(tests, dict) for tests in statement.conditions.values())
    )
    if not whole:
        logger.warning("a statement of %s is no policy's, and allows nothing: %s", role, statement)
    return bool(whole)


def _name_what_was_denied(
    answer: Callable[..., tuple[int, dict[str, str], bytes]],
) -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """Name the action and the resource that were denied, which a request may not say itself."""

    def access_denied_response(
        service: str, action: str, principal_arn: str, request_id: str, **options: object
    ) -> tuple[int, dict[str, str], bytes]:
        check = _denied.get()
        if check is not None and not options.get("error_code"):
            options["message"] = iam_actions.identity_denial_message(
                check.action,
                principal_arn,
                check.resource,
                bool(options.get("explicit_deny")),
            )
            options["resource_arn"] = check.resource
            action = check.action
        return answer(service, action, principal_arn, request_id, **options)

    return access_denied_response


def _write(access_key: str, account: str, check: Check, denied: iam_evaluator.EvalResult) -> None:
    resolved = iam_evaluator.resolve_principal(access_key, account)
    policies = getattr(resolved, "policies", None) or []
    role = _role_of(denied.principal_arn)
    deny(role, check, policies, explicit=denied.decision == "Deny")


def _role_of(principal: str) -> str:
    return principal.rpartition("assumed-role/")[2].partition("/")[0] or principal


def deny(
    role: str,
    check: Check,
    policies: Sequence[Sequence[Any]],
    *,
    explicit: bool = False,
    reason: str = "",
) -> str:
    """Write down what `role` may not do, and the `reason` if no policy is; returns the sentence."""
    text = reason or sentence(role, check, policies, explicit=explicit)
    logger.warning("%s", text)
    _append(_log, {**_described(role, check), "sentence": text})
    return text


def record(role: str, check: Check) -> None:
    """Write down what `role` was allowed, each kind of call once."""
    keys = json.dumps(check.keys, default=str, sort_keys=True)
    call = (role, check.action, check.resource, keys)
    if call in _recorded:
        return
    _recorded.add(call)
    _append(_calls, _described(role, check))


def _described(role: str, check: Check) -> dict[str, object]:
    found = {"action": check.action, "resource": check.resource, "keys": dict(check.keys)}
    return {"role": role, **found}


def _append(file: Path, line: Mapping[str, object]) -> None:
    with _lock, file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line, default=str) + "\n")


def _state() -> State:
    """Read from the emulator's tables what decides a check."""

    def partition_key(table: str) -> str:
        return str((dynamodb._tables.get(table) or {}).get("pk_name") or "")

    def task_definition(name: str) -> Mapping[str, object]:
        return cast(Mapping[str, object], ecs._task_defs.get(ecs._resolve_td_key(name)) or {})

    def role_tags(arn: str) -> Mapping[str, str]:
        role = iam._roles.get(arn.rpartition("/")[2]) or {}
        return {tag["Key"]: tag["Value"] for tag in role.get("Tags") or ()}

    def secret_key(arn: str) -> str:
        _, secret = secretsmanager._resolve(arn)
        name = str((secret or {}).get("KmsKeyId") or "")
        # AWS's own key is everybody's who may read the secret, by its key policy.
        if not name or name.endswith("alias/aws/secretsmanager"):
            return ""
        return str((kms._resolve_key(name) or {}).get("Arn", name))

    def object_exists(arn: str) -> bool:
        bucket, _, key = arn.rpartition(":")[2].partition("/")
        found = s3._buckets.get(bucket)
        return found is None or key in found["objects"]

    return State(
        partition_key=partition_key,
        task_definition=task_definition,
        role_tags=role_tags,
        secret_key=secret_key,
        object_exists=object_exists,
    )
