"""The instance metadata service, version 2 only: every machine sees its own, by the address it asks from.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html
"""

import datetime
import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable

from . import places
from .aws import Aws, Instance

ACCOUNT = "123456789012"


def _tree(instance: Instance, role: str | None) -> dict:
    """The data as folders and files."""
    interface = {
        "device-number": "0",
        "interface-id": instance.interface,
        "local-hostname": instance.host_name,
        "local-ipv4s": instance.address,
        "mac": instance.mac,
        "owner-id": ACCOUNT,
        "subnet-id": instance.subnet,
        "subnet-ipv4-cidr-block": str(places.NETWORK),
        # Without it cloud-init takes the machine for one of EC2-Classic.
        "vpc-id": instance.vpc,
        "vpc-ipv4-cidr-block": str(places.NETWORK),
    }
    tree = {
        "ami-id": instance.image,
        "hostname": instance.host_name,
        "instance-id": instance.id,
        "instance-type": instance.machine_type,
        "local-hostname": instance.host_name,
        "local-ipv4": instance.address,
        "mac": instance.mac,
        "network": {"interfaces": {"macs": {instance.mac: interface}}},
        "placement": {"availability-zone": instance.zone, "region": instance.zone[:-1]},
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if role:
        now = datetime.datetime.now(datetime.timezone.utc)
        credentials = {
            "Code": "Success",
            "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "Type": "AWS-HMAC",
            "AccessKeyId": f"ASIA{''.join(filter(str.isalnum, role)).upper():X<16.16}",
            # What the testbed checks signatures of sessions with.
            "SecretAccessKey": "secret",
            # By it the testbed knows the role, and judges what the machine does by the role's policies.
            "Token": f"role/{role}/{instance.id}",
            "Expiration": f"{now + datetime.timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}",
        }
        tree["iam"] = {"security-credentials": {role: json.dumps(credentials, indent=2)}}
    if instance.tags is not None:
        tree["tags"] = {"instance": instance.tags}
    return tree


def _identity(instance: Instance) -> str:
    document = {
        "accountId": ACCOUNT,
        "architecture": "x86_64",
        "availabilityZone": instance.zone,
        "imageId": instance.image,
        "instanceId": instance.id,
        "instanceType": instance.machine_type,
        "privateIp": instance.address,
        "region": instance.zone[:-1],
    }
    return json.dumps(document, indent=2)


def server(aws: Aws, at: Callable[[str], Instance | None]) -> ThreadingHTTPServer:
    """A server that finds the machine at an address with `at`."""
    tokens: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            if self.path != "/latest/api/token":
                return self.answer(404)
            token = secrets.token_urlsafe(32)
            tokens.add(token)
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "21600")
            self.answer(200, token, {"X-aws-ec2-metadata-token-ttl-seconds": seconds})

        def do_GET(self) -> None:
            instance = at(self.client_address[0])
            if instance is None:
                return self.answer(404)
            if self.headers.get("X-aws-ec2-metadata-token") not in tokens:
                return self.answer(401)
            version, *path = [part for part in self.path.split("/") if part] or [""]
            if not version:
                return self.answer(200, "2021-03-23\nlatest")
            if path == ["user-data"]:
                text = aws.user_data(instance.id)
                return self.answer(200, text) if text else self.answer(404)
            role = instance.profile and aws.role(instance.profile)
            found: dict | str = {
                "meta-data": _tree(instance, role),
                "dynamic": {"instance-identity": {"document": _identity(instance)}},
            }
            for part in path:
                if not isinstance(found, dict) or part not in found:
                    return self.answer(404)
                found = found[part]
            if isinstance(found, dict):
                # What is in a folder; names of folders end with a slash. Roles are files.
                found = "\n".join(f"{name}/" if isinstance(below, dict) else name for name, below in found.items())
            self.answer(200, found)

        def answer(self, status: int, body: str | bytes = b"", headers: dict[str, str] | None = None) -> None:
            body = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments) -> None:
            pass

    return ThreadingHTTPServer((str(places.METADATA), 80), Handler)
