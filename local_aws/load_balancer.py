"""Application load balancers that really listen, check and forward, on loopback.

Every listener is one socket on 127.0.0.1. A load balancer's `DNSName` is `127.0.0.1:PORT` of its
first listener, so that `http://${LoadBalancer.DNSName}` in a template reaches it; the port is kept
over restarts. Connections go to the healthy targets of the default action's target group in turn.

How this differs from AWS: it forwards connections, not requests (no rules, headers, TLS or
stickiness). A connection without a healthy target is answered 503, where an ALB whose targets are
all unhealthy would try them all the same. A target that is still `initial` is checked every second
instead of once an interval, so that a deployment need not wait for the next interval.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ministack.core.concurrency import resource_lock
from ministack.core.responses import request_scope
from ministack.services import alb, cloudwatch
from ministack.services.cloudformation import provisioners

from local_aws import ports, service_metrics
from local_aws.exchanges import Exchanges
from local_aws.settings import CloudSettings

logger = logging.getLogger("local_aws.load_balancer")

RECONCILE_EVERY = 0.2
"""Seconds between two looks at which listeners and targets there are."""

INITIAL_CHECK_EVERY = 1.0
"""Seconds between two health checks of a target that has not passed one yet."""

METRICS_EVERY = 60.0
"""Seconds between two reports of how many targets are healthy; a change is reported at once."""
_HOST_COUNTS = {"HealthyHostCount": "healthy", "UnHealthyHostCount": "unhealthy"}

CONNECT_SECONDS = 5.0

_LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"


Record = dict[str, Any]
"""A record of the emulator: a load balancer, a listener, a target group."""


@dataclass(frozen=True)
class Target:
    """One registered address of a target group."""

    group: str
    host: str
    port: int


@dataclass
class Health:
    """What the health checks of one target have found so far."""

    state: str = "initial"
    reason: str = "Elb.InitialHealthChecking"
    since: float = field(default_factory=time.monotonic)
    passed: int = 0
    failed: int = 0

    def record(self, problem: str | None, group: Record) -> None:
        """Count one check; `problem` is None when it passed.

        One pass makes a new target healthy, as on AWS; a new target becomes unhealthy when it has
        not passed for as long as `UnhealthyThresholdCount` intervals.
        """
        if problem is None:
            self.passed, self.failed = self.passed + 1, 0
            if self.state == "initial" or self.passed >= group["HealthyThresholdCount"]:
                self.state, self.reason = "healthy", ""
            return
        self.passed, self.failed = 0, self.failed + 1
        patience = group["UnhealthyThresholdCount"] * group["HealthCheckIntervalSeconds"]
        if self.state == "initial":
            lost = time.monotonic() - self.since >= patience
        else:
            lost = self.failed >= group["UnhealthyThresholdCount"]
        if lost:
            self.state, self.reason = "unhealthy", problem


def install(settings: CloudSettings) -> None:
    """Give load balancers loopback addresses and targets a health that was really checked."""
    global _balancer
    create = provisioners._elbv2_load_balancer_create

    def create_on_loopback(logical_id: str, properties: Record, stack: str) -> tuple[str, Record]:
        arn, attributes = create(logical_id, properties, stack)
        attributes["DNSName"] = _address(alb._lbs[arn])
        return arn, attributes

    provisioners._elbv2_load_balancer_create = create_on_loopback
    provisioners._RESOURCE_HANDLERS[_LOAD_BALANCER]["create"] = create_on_loopback
    # `GetAtt TargetGroupFullName`: unpatched it lacks its first word, and no metric has that name.
    alb._target_group_full_name_from_arn = _short
    alb._ACTION_MAP["DescribeTargetHealth"] = _describe_target_health
    _balancer = _Balancer(settings)


def start() -> None:
    """Listen, check and forward from now on."""
    assert _balancer is not None
    _balancer.start()


def stop() -> None:
    """Close every listener and connection."""
    assert _balancer is not None
    _balancer.stopping.set()
    _balancer.join()


def register(group: str, host: str, port: int) -> None:
    """Register a target; unknown groups are ignored, as a service may outlive its group."""
    with resource_lock("elbv2-targets", group):
        if group in alb._tgs:
            alb._targets[group] = [*_others(group, host, port), {"Id": host, "Port": port}]


def deregister(group: str, host: str, port: int) -> None:
    """Take a target out: no new connection goes to it."""
    with resource_lock("elbv2-targets", group):
        if group in alb._tgs:
            alb._targets[group] = _others(group, host, port)


def registered(group: str) -> list[tuple[str, int]]:
    """Host and port of every target of a group."""
    usual = (alb._tgs.get(group) or {}).get("Port", 80)
    targets = alb._targets.get(group) or []
    return [(target["Id"], int(target.get("Port") or usual)) for target in targets]


def target_state(group: str, host: str, port: int) -> str:
    """Return `initial`, `healthy` or `unhealthy`."""
    assert _balancer is not None
    health = _balancer.health.get(Target(group, host, port))
    return health.state if health else "initial"


def connections(group: str, host: str, port: int) -> int:
    """How many connections to the target are open."""
    assert _balancer is not None
    return _balancer.connections[Target(group, host, port)]


def address_of(group: str) -> str | None:
    """Return where the balancer in front of a target group listens, if there is one."""
    owners = (
        listener["LoadBalancerArn"]
        for listener in alb._listeners.values()
        if _default_group(listener) == group
    )
    return next((_address(alb._lbs[owner]) for owner in owners if owner in alb._lbs), None)


def _others(group: str, host: str, port: int) -> list[Record]:
    registered: list[Record] = alb._targets.get(group) or []
    return [target for target in registered if (target["Id"], target.get("Port")) != (host, port)]


def _address(load_balancer: Record) -> str:
    """Return the load balancer's `127.0.0.1:PORT`, given to it the first time it is asked for."""
    address = str(load_balancer["DNSName"])
    if not address.startswith(f"{ports.HOST}:"):
        load_balancer["DNSName"] = address = f"{ports.HOST}:{ports.reserve(ports.LISTENERS)}"
    return address


class _Balancer(threading.Thread):
    """The event loop of all listeners and health checks, on a thread of its own."""

    def __init__(self, settings: CloudSettings) -> None:
        super().__init__(daemon=True, name="local-aws-load-balancer")
        self._settings = settings
        self._servers: dict[str, asyncio.Server] = {}
        self._checks: dict[Target, asyncio.Task[None]] = {}
        self._turn = itertools.count()
        self._reported = 0.0
        self.stopping = threading.Event()
        self.health: dict[Target, Health] = {}
        self.connections: Counter[Target] = Counter()

    def run(self) -> None:
        with request_scope(self._settings.account, self._settings.region):
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        while not self.stopping.is_set():
            try:
                await self._reconcile_listeners()
                self._reconcile_checks()
                self._report_counts()
            except Exception:
                logger.exception("the load balancers could not follow a change; trying again")
            await asyncio.sleep(RECONCILE_EVERY)
        for server in self._servers.values():
            server.close()

    async def _reconcile_listeners(self) -> None:
        listeners = {
            arn: listener
            for arn, listener in alb._listeners.items()
            if listener["LoadBalancerArn"] in alb._lbs
        }
        for arn in self._servers.keys() - listeners.keys():
            self._servers.pop(arn).close()
        for arn in listeners.keys() - self._servers.keys():
            port = _listener_port(listeners[arn], list(listeners.values()))

            async def connected(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, arn: str = arn
            ) -> None:
                await self._forward(arn, reader, writer)

            try:
                self._servers[arn] = await asyncio.start_server(connected, ports.HOST, port)
            except OSError as problem:
                logger.error("cannot listen for %s: %s; trying again", arn, problem)

    def _reconcile_checks(self) -> None:
        wanted = {
            Target(group, *address)
            for group, record in alb._tgs.items()
            for address in registered(group)
            if record.get("TargetType") != "lambda"
        }
        for target in self._checks.keys() - wanted:
            self._checks.pop(target).cancel()
            self.health.pop(target, None)
        for target in wanted - self._checks.keys():
            self.health[target] = Health()
            self._checks[target] = asyncio.create_task(self._check_again_and_again(target))

    def _report_counts(self) -> None:
        """Publish `HealthyHostCount` and `UnHealthyHostCount` of every group that has targets."""
        if time.monotonic() - self._reported < METRICS_EVERY:
            return
        self._reported = time.monotonic()
        for listener in alb._listeners.values():
            group, balancer = _default_group(listener), listener["LoadBalancerArn"]
            states = [
                health.state for target, health in self.health.items() if target.group == group
            ]
            if not states or balancer not in alb._lbs:
                continue
            dimensions = {
                "LoadBalancer": _short(balancer),
                "TargetGroup": _short(group),
            }
            for metric, state in _HOST_COUNTS.items():
                now, count = time.time(), states.count(state)
                cloudwatch._store_datum(
                    "AWS/ApplicationELB", metric, dimensions, now, "Count", count, None, None, None
                )

    async def _check_again_and_again(self, target: Target) -> None:
        health = self.health[target]
        while (group := alb._tgs.get(target.group)) is not None:
            enabled = group["HealthCheckEnabled"]
            before = health.state
            health.record(await _check(target, group) if enabled else None, group)
            if health.state != before:
                logger.info("target %s:%s is %s", target.host, target.port, health.state)
                self._reported = 0.0
            interval = float(group["HealthCheckIntervalSeconds"])
            new = health.state == "initial"
            await asyncio.sleep(min(interval, INITIAL_CHECK_EVERY) if new else interval)

    async def _forward(
        self, listener: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        record = alb._listeners.get(listener) or {}
        group, balancer = _default_group(record), _short(record.get("LoadBalancerArn", ""))
        service_metrics.count_connection(balancer)
        count = partial(service_metrics.count_answer, balancer, _short(group))
        healthy = [
            target
            for target in (Target(group, *address) for address in registered(group))
            if (health := self.health.get(target)) and health.state == "healthy"
        ]
        turn = next(self._turn) % max(1, len(healthy))
        problem = "502 Bad Gateway" if healthy else "503 Service Temporarily Unavailable"
        try:
            for target in healthy[turn:] + healthy[:turn]:
                try:
                    connecting = asyncio.open_connection(target.host, target.port)
                    back, forth = await asyncio.wait_for(connecting, CONNECT_SECONDS)
                except (OSError, TimeoutError):
                    continue
                self.connections[target] += 1
                seen = Exchanges(count)
                try:
                    sending = asyncio.create_task(_pump(reader, forth, seen.from_client))
                    # Until the target closes: nobody may go on then.
                    await _pump(back, writer, seen.from_target)
                    sending.cancel()
                finally:
                    self.connections[target] -= 1
                    forth.close()
                return
            await _refuse(reader, writer, problem)
        finally:
            writer.close()


async def _check(target: Target, group: Record) -> str | None:
    """One health check; None when it passed, otherwise the reason code AWS gives."""
    same = group["HealthCheckPort"] == "traffic-port"
    port = target.port if same else int(group["HealthCheckPort"])
    try:
        async with asyncio.timeout(group["HealthCheckTimeoutSeconds"]):
            reader, writer = await asyncio.open_connection(target.host, port)
            try:
                if group["HealthCheckProtocol"] == "TCP":
                    return None
                request = (
                    f"GET {group['HealthCheckPath']} HTTP/1.1\r\nHost: {target.host}:{port}\r\n"
                    "User-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n"
                )
                writer.write(request.encode())
                await writer.drain()
                status = (await reader.readline()).split()
            finally:
                writer.close()
    except TimeoutError:
        return "Target.Timeout"
    except OSError:
        return "Target.FailedHealthChecks"
    code = int(status[1]) if len(status) > 1 and status[1].isdigit() else 0
    return None if _matches(code, group["Matcher"]["HttpCode"]) else "Target.ResponseCodeMismatch"


def _matches(code: int, matcher: str) -> bool:
    """Whether a status code fits a matcher such as `200`, `200,302` or `200-299`."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= code <= int(high or low):
            return True
    return False


def _listener_port(listener: Record, listeners: list[Record]) -> int:
    """Return the listener's port from its record; the first listener has the load balancer's."""
    if "_local_port" not in listener:
        owner = listener["LoadBalancerArn"]
        main = int(_address(alb._lbs[owner]).rpartition(":")[2])
        taken = main in [other.get("_local_port") for other in listeners]
        listener["_local_port"] = ports.reserve(ports.LISTENERS) if taken else main
        logger.info("%s:%s answers on %s", owner, listener["Port"], listener["_local_port"])
    return int(listener["_local_port"])


def _short(arn: str) -> str:
    """Name a balancer or a target group as metrics do: by the end of its ARN."""
    return arn.rpartition(":")[2].removeprefix("loadbalancer/")


def _default_group(listener: Record) -> str:
    for action in listener.get("DefaultActions") or []:
        if action.get("Type", "").lower() == "forward":
            return str(action.get("TargetGroupArn", ""))
    return ""


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: str) -> None:
    """Answer a request that cannot be forwarded, after its head was read."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), CONNECT_SECONDS)
        body = f"<html><body><h1>{status}</h1></body></html>\n"
        head = f"HTTP/1.1 {status}\r\nServer: awselb/2.0\r\nContent-Type: text/html\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Callable[[bytes], None]
) -> None:
    """Copy until the end, then pass the end on; show `seen` what passes."""
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            seen(data)
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


def _describe_target_health(parameters: Record) -> object:
    """DescribeTargetHealth with what the checks found; unpatched, every target is healthy."""
    group = alb._p(parameters, "TargetGroupArn")
    if group not in alb._tgs:
        return alb._error("TargetGroupNotFound", f"Target group '{group}' not found.")
    asked = {target["Id"] for target in alb._parse_targets_param(parameters)}
    described = []
    for host, port in registered(group):
        if asked and host not in asked:
            continue
        assert _balancer is not None
        health = _balancer.health.get(Target(group, host, port)) or Health()
        reason = f"<Reason>{health.reason}</Reason>" if health.reason else ""
        described.append(
            f"<member><Target><Id>{host}</Id><Port>{port}</Port></Target>"
            f"<TargetHealth><State>{health.state}</State>{reason}</TargetHealth></member>"
        )
    body = f"<TargetHealthDescriptions>{''.join(described)}</TargetHealthDescriptions>"
    return alb._xml(200, "DescribeTargetHealth", body)


_balancer: _Balancer | None = None
