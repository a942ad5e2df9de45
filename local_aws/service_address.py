"""Where containers of a stage reach its service: the balancer's loopback address, not a real name.

A stage with a `domain` tells its containers `https://` and that name. Here nothing speaks TLS, and
the real name would lead to the real stage. Nor does anything verify tokens here, so that callers
are not told apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from ministack.services import ecs

from local_aws.load_balancer import address_of

VARIABLE = "PROMPT_HUB_SERVICE_URL"
CALLERS = "PROMPT_HUB_CALLERS"
"""Unset, the service reads no tokens."""


def local(environment: Mapping[str, str], cluster: str) -> dict[str, str]:
    """Return the variables anew that hold only on AWS, else nothing.

    Args:
        environment: of a container.
        cluster: the ARN of the cluster that it runs in.
    """
    if not environment.get(VARIABLE, "").startswith("https://"):
        return {}
    groups = {
        balancer.get("targetGroupArn")
        for service in ecs._services.all_values()
        if service["clusterArn"] == cluster
        for balancer in service.get("loadBalancers") or ()
    }
    address = next(filter(None, map(address_of, groups)), None)
    # Without one nothing answers, and nobody else is asked.
    callers = {CALLERS: ""} if CALLERS in environment else {}
    return {VARIABLE: f"http://{address}" if address else "", **callers}
