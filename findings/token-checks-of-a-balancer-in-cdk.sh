#!/usr/bin/env bash
# What CDK's two ways of checking tokens at a load balancer write beside the listener: OIDC logins and JWTs.
#
# Matters here: the balancer verifies callers' tokens. It has to fetch the issuer's keys, and a balancer of CDK's has a
# security group that lets out only what somebody opens. A token that the issuer made for another service must not do.
#
# Guess: authenticateJwt has no option for claims, as its reference page shows. Else it is authenticateOidc without the
# login: both open port 443 for the balancer to reach the issuer, since both must; both refuse a listener without TLS.
#
# Seen, 2026-11-28: authenticateJwt opens nothing, where authenticateOidc opens 443 to everywhere, and a security group
# that is its balancer's alone lets out what leads to the targets only. It has no option for claims, though the resource
# has them. It refuses a listener without TLS; authenticateOidc takes one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aws-cdk-lib==2.270.0 constructs==10.8.1

export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 CDK_VALIDATION=false
(cd "$work" && "$work/venv/bin/python" - >"$work/seen" 2>"$work/err") <<'PY' || { cat "$work/err" >&2; exit 1; }
import inspect
import tempfile
from importlib.metadata import version

from aws_cdk import App, SecretValue, Stack, assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb

print(f"aws-cdk-lib {version('aws-cdk-lib')}")
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b"
ISSUER = "https://id.example.com"


def jwt(group):
    keys = f"{ISSUER}/jwks.json"
    return elb.ListenerAction.authenticate_jwt(
        issuer=ISSUER, jwks_endpoint=keys, next=elb.ListenerAction.forward([group])
    )


def oidc(group):
    return elb.ListenerAction.authenticate_oidc(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize",
        token_endpoint=f"{ISSUER}/token",
        user_info_endpoint=f"{ISSUER}/me",
        client_id="prompts",
        client_secret=SecretValue.unsafe_plain_text("not-one"),
        next=elb.ListenerAction.forward([group]),
    )


def stack_with(action, *, tls):
    stack = Stack(App(outdir=tempfile.mkdtemp()), "stack")
    vpc = ec2.Vpc(stack, "Vpc")
    balancer = elb.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc)
    tasks = ec2.SecurityGroup(stack, "Tasks", vpc=vpc)
    group = elb.ApplicationTargetGroup(
        stack, "Group", vpc=vpc, port=8080, protocol=elb.ApplicationProtocol.HTTP, target_type=elb.TargetType.IP
    )
    balancer.add_listener(
        "Listener",
        protocol=elb.ApplicationProtocol.HTTPS if tls else elb.ApplicationProtocol.HTTP,
        certificates=[elb.ListenerCertificate.from_arn(CERTIFICATE)] if tls else None,
        default_action=action(group),
        open=False,
    )
    balancer.connections.allow_to(tasks, ec2.Port.tcp(8080))
    return assertions.Template.from_stack(stack)


for name, action in (("authenticateJwt", jwt), ("authenticateOidc", oidc)):
    template = stack_with(action, tls=True)
    (balancer,) = [
        group
        for key, group in template.find_resources("AWS::EC2::SecurityGroup").items()
        if key.startswith("Balancer")
    ]
    ways = [rule["Properties"] for rule in template.find_resources("AWS::EC2::SecurityGroupEgress").values()]
    ways += balancer["Properties"].get("SecurityGroupEgress", [])
    print(f"  {name}: lets out to ports {sorted(way['FromPort'] for way in ways if 'FromPort' in way)}")
    try:
        stack_with(action, tls=False)
        print(f"  {name}: takes a listener without TLS")
    except Exception as error:
        print(f"  {name}: refuses a listener without TLS")
options = set(inspect.signature(elb.ListenerAction.authenticate_jwt).parameters)
resource = set(inspect.signature(elb.CfnListener.JwtValidationConfigProperty).parameters)
print(f"  authenticateJwt takes {', '.join(sorted(options))}")
print(f"  the resource takes {', '.join(sorted(resource))}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
aws-cdk-lib 2.270.0
  authenticateJwt: lets out to ports [8080]
  authenticateJwt: refuses a listener without TLS
  authenticateOidc: lets out to ports [443, 8080]
  authenticateOidc: takes a listener without TLS
  authenticateJwt takes issuer, jwks_endpoint, next
  the resource takes additional_claims, issuer, jwks_endpoint
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
