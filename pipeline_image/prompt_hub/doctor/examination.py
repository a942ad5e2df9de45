"""Runs checks side by side; one that cannot look never stops or hides another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.doctor.base import Check, Finding, NotCheckedError
from prompt_hub.doctor.readers import Readers
from prompt_hub.ledger.errors import LedgerError

_ACTION = re.compile(r"perform:? ([A-Za-z0-9-]+):(\w+)")
_CALLER = re.compile(r"User: (arn:\S+) is not")
_DENIED = re.compile(r"AccessDenied|UnauthorizedOperation|NotAuthorized|AuthorizationError|^403$")
_BAD_CREDENTIALS = re.compile(
    r"ExpiredToken|InvalidClientTokenId|UnrecognizedClient|Signature|InvalidAccessKeyId"
    r"|AuthFailure|InvalidToken|RequestTimeTooSkewed|NoCredentials|PartialCredentials|TokenRetrieval|SSOToken|UnauthorizedSSO"
    r"|LoginRefresh|LoginToken|LoginInsufficient|CredentialRetrieval|MissingDependency"
)
SIGN_IN = 'aws login && eval "$(aws configure export-credentials --format env)"'
"""The AWS CLI has the first since 2.32. boto3 reads what it leaves only with an extra package."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What came of one check."""

    name: str
    findings: tuple[Finding, ...] = ()
    not_checked: str = ""
    """Why nobody can tell, or not everything."""

    @property
    def state(self) -> str:
        """In one word: faults come first."""
        if self.findings:
            return "faulty"
        return "not-checked" if self.not_checked else "healthy"

    def to_json(self) -> dict[str, object]:
        """Write it for programs."""
        return {**asdict(self), "state": self.state}


def examine(checks: Sequence[Check], readers: Readers) -> list[CheckResult]:
    """Run every check at once, as most of each is waiting; results in the order of `checks`."""
    with ThreadPoolExecutor(max_workers=max(1, len(checks))) as threads:
        return list(threads.map(lambda check: _run(check, readers), checks))


def exit_code(results: Sequence[CheckResult]) -> ExitCode:
    """Return the command's exit code: no answer is never a healthy one."""
    states = {result.state for result in results}
    if "faulty" in states:
        return ExitCode.BLOCKED
    return ExitCode.NOT_MEASURED if "not-checked" in states else ExitCode.OK


def _run(check: Check, readers: Readers) -> CheckResult:
    findings: list[Finding] = []
    not_checked = ""
    try:
        findings.extend(check.examine(readers))
    except NotCheckedError as error:
        not_checked = str(error)
    except Exception as error:  # whatever broke, the others have to be heard
        reason = _explain(check, error, readers)
        if isinstance(reason, Finding):
            findings.append(reason)
        else:
            not_checked = reason
    return CheckResult(name=check.name, findings=tuple(findings), not_checked=not_checked)


def _explain(check: Check, error: Exception, readers: Readers) -> Finding | str:
    """Say what stopped a check: a finding where somebody can mend it, else why nobody can tell."""
    code, operation, message = _aws_error(error)
    if _DENIED.search(code):
        return _missing_permission(operation, message, readers)
    if _BAD_CREDENTIALS.search(code):
        if check.name != "credentials":
            return f"there are no credentials that AWS takes: {code}"
        return Finding(
            f"AWS takes no calls with these credentials: {code}.",
            "Sign in again (with IAM Identity Center: `aws sso login`), or set other credentials of"
            " the stage's account.",
            SIGN_IN,
        )
    if isinstance(error, PromptHubError | LedgerError):
        text = error.message if isinstance(error, PromptHubError) else str(error)
        hint = error.hint if isinstance(error, PromptHubError) else ""
        return Finding(
            f"{text[:1].upper()}{text[1:].rstrip('.')}.",
            hint or "Deploy the stage, or mend what this names.",
            check.remedy(),
        )
    if code:
        return f"AWS did not answer: {message or code}"
    return f"the check broke, please report this: {type(error).__name__}: {error}"


def _aws_error(error: BaseException) -> tuple[str, str, str]:
    """Return code, operation and message of what AWS said, also behind an error of ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ClientError):
            answer = cause.response["Error"]
            return answer.get("Code", ""), cause.operation_name, answer.get("Message", "")
        if isinstance(cause, BotoCoreError):
            return type(cause).__name__, "", str(cause)
        cause = cause.__cause__ or cause.__context__
    return "", "", ""


def _missing_permission(operation: str, message: str, readers: Readers) -> Finding:
    named = _ACTION.search(message)
    # SNS calls itself by capitals there.
    action = f"{named[1].lower()}:{named[2]}" if named else operation
    try:
        # A stage elsewhere is asked by somebody else.
        asker = _CALLER.search(message)
        who = asker[1] if asker and readers.there is not None else readers.caller.arn
    except Exception:  # that is what the check of credentials is about
        who = "this caller"
    problem = f"{who} may not {action}, so nobody can tell."
    name, command = _allowing(who)
    if "explicit deny" in message:
        return Finding(
            problem,
            f"Have the policy changed that denies {action}: it counts more than any that allows"
            f" it. AWS says: {message.rstrip('.')}.",
            "aws sts get-caller-identity",
        )
    return Finding(
        problem,
        f"Allow {action} to {name}; docs/operations.md has the whole list of the doctor's"
        " permissions.",
        command,
    )


def _allowing(who: str) -> tuple[str, str]:
    """Return the name of a caller, and the command that allows something to it."""
    # arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION, or arn:aws:iam::ACCOUNT:user/PATH/NAME
    kind, _, rest = who.rpartition(":")[2].partition("/")
    if kind == "user":
        name = rest.rpartition("/")[2]
        put = f"aws iam put-user-policy --user-name {name} --policy-name prompt-hub-doctor"
        return name, f"{put} --policy-document file://POLICY-FILE"
    name = rest.partition("/")[0] or "NAME"
    if name.startswith("AWSReservedSSO_"):
        # Nobody may change such a role but IAM Identity Center itself.
        return name, (
            "aws sso-admin put-inline-policy-to-permission-set --instance-arn INSTANCE-ARN"
            " --permission-set-arn PERMISSION-SET-ARN --inline-policy file://POLICY-FILE"
        )
    put = f"aws iam put-role-policy --role-name {name} --policy-name prompt-hub-doctor"
    return name, f"{put} --policy-document file://POLICY-FILE"
