"""A caller's token from issuer to quota: signed, verified in front of the service, counted in it.

What verifies here stands where AWS's load balancer stands, and does what its documentation says:
RS256, `iss`, `exp` and the claims of the listener, and the request goes on as it came. That AWS
does so, only AWS shows; that the listener says so, `tests/infrastructure/test_callers.py` does.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from tests.local_aws.issuer import GITHUB, Issuer, issuing, private_key
from tests.unit.building import build
from tests.unit.service.serving import FIELDS, RUN
from tests.unit.service.team import Team, free_port, started

__all__ = ["free_port"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share what Linux has")
AUDIENCE = "prompts"
SETTINGS = {
    "claim": "sub",
    "requests_per_minute": 30,
    "quotas": {"nightly": 600},
    "tasks": 1,
    "own_port": aws_names.OWN_PORT,
}


@contextmanager
def balancer(service: str, port: int, issuer: Issuer | None) -> Iterator[str]:
    """A listener of the balancer; the stage's own port asks for no token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._forward(None)

        def do_POST(self) -> None:
            self._forward(self.rfile.read(int(self.headers["Content-Length"])))

        def _forward(self, body: bytes | None) -> None:
            if issuer is not None and not verified(self.headers.get("Authorization", ""), issuer):
                return self._answer(401, "", b"")
            headers = {name: value for name, value in self.headers.items() if name != "Host"}
            headers["X-Forwarded-Port"] = str(port)
            request = urllib.request.Request(service + self.path, data=body, headers=headers)
            try:
                answer = urllib.request.urlopen(request, timeout=30)
            except urllib.error.HTTPError as refused:
                answer = refused
            with answer:
                self._answer(answer.status, answer.headers.get("Retry-After", ""), answer.read())

        def _answer(self, status: int, retry_after: str, body: bytes) -> None:
            self.send_response(status)
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Tests need no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def verified(header: str, issuer: Issuer) -> bool:
    """Whether a token is signed by the issuer's published key, is in time, and for us."""
    token = header.removeprefix("Bearer ")
    try:
        keys = jwt.PyJWKClient(issuer.address + "/.well-known/jwks")
        key = keys.get_signing_key_from_jwt(token)
        jwt.decode(token, key, algorithms=["RS256"], issuer=GITHUB, audience=AUDIENCE)
    except jwt.PyJWTError:
        return False
    return True


@pytest.fixture
def stage(tmp_path: Path, free_port: int) -> Iterator[Team]:
    variables = {aws_names.ENV_CALLERS: json.dumps(SETTINGS)}
    prompts = build(tmp_path / "prompts")
    with started(prompts, tmp_path, free_port, **variables) as team:
        yield team


def ask(url: str, token: str | None) -> tuple[int, str]:
    """Status and code of one call."""
    body = json.dumps({"fields": FIELDS}).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(url + RUN, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as refused:
        with refused:
            text = refused.read()
        return refused.code, str(json.loads(text)["error"]["code"]) if text else ""


def test_a_token_is_verified_then_counted(stage: Team) -> None:
    with (
        issuing() as issuer,
        balancer(stage.url, 443, issuer) as outside,
        balancer(stage.url, aws_names.OWN_PORT, None) as inside,
    ):
        shop = issuer.token(sub="shop", aud=AUDIENCE)
        found = [ask(outside, shop) for _ in range(12)]
        assert found[:5] == [(200, "")] * 5
        assert (429, "over_quota") in found
        nightly = issuer.token(sub="nightly", aud=AUDIENCE)
        assert [ask(outside, nightly) for _ in range(12)] == [(200, "")] * 12
        # What the balancer refuses, the service does not see.
        strangers = [
            None,
            issuer.token(sub="nightly", aud=AUDIENCE, key=private_key()),
            issuer.token(sub="nightly", aud="another-service"),
            issuer.token(sub="nightly", aud=AUDIENCE, exp=int(time.time()) - 60),
        ]
        assert [ask(outside, token) for token in strangers] == [(401, "")] * 4
        # Smoke test and drill have no token, and a port of their own. Without the balancer in
        # front there is no other way in.
        assert ask(inside, None) == (200, "")
        assert ask(stage.url, None) == (401, "unknown_caller")
    stage.process.terminate()
    stage.process.wait(60)
    written = stage.log.read_text("utf-8")
    assert not [part for part in shop.split(".") if part in written]
    callers = [line.get("caller") for line in stage.lines("prompt_call")]
    assert callers.count("nightly") == 12
    assert callers.count(None) == 1
    assert callers.count("shop") == found.count((200, ""))


def test_a_run_shows_its_token_and_waits_for_its_quota(
    stage: Team,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    records, output = tmp_path / "parts.csv", tmp_path / "out.jsonl"
    lines = ["MPN,Description", *(f"RC-{number},Resistor {number}" for number in range(9))]
    records.write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv(aws_names.ENV_ROOT, str(stage.root))
    monkeypatch.delenv(aws_names.ENV_MODELS, raising=False)
    with issuing() as issuer, balancer(stage.url, 443, issuer) as outside:
        token = issuer.token(sub="shop", aud=AUDIENCE)
        command = ["run", "part-class", str(records), str(output), "--service", outside]
        monkeypatch.delenv(aws_names.ENV_TOKEN, raising=False)
        assert main(command) == ExitCode.NOT_MEASURED
        assert "HTTP 401" in capsys.readouterr().err
        monkeypatch.setenv(aws_names.ENV_TOKEN, token)
        assert main(command) == ExitCode.OK
        assert token not in "".join(capsys.readouterr())
    answered = [json.loads(line)["output"] for line in output.read_text("utf-8").splitlines()]
    assert answered == [{"part_class": "resistor"}] * 9
    assert stage.lines("caller_over_quota"), "nine at once are more than a burst"
