"""Where things are: on this box, and in the emulated network."""

import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
PROJECT = LAB.parent
# Everything that the lab writes on this box.
CACHE = Path(os.environ.get("KOPS_LAB_CACHE") or Path.home() / ".cache/kops-lab")
# What one lab leaves behind when it ends: nothing, unless it was killed.
RUN = CACHE / "run"
CLIENT = RUN / "client"
RESOLV_CONF = RUN / "resolv.conf"

NETWORK = IPv4Network("172.20.0.0/16")
# The first addresses of a VPC are AWS's: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
ROUTER, RESOLVER, AWS = (NETWORK[n] for n in (1, 2, 3))
METADATA = IPv4Address("169.254.169.254")
# Load balancers are at the end of the network, which no subnet reaches before it has given out 65,000 addresses.
BALANCERS = IPv4Network("172.20.255.0/24")

REGION = "us-east-1"
ENDPOINT = f"http://{AWS}"
# Where the makers of programs publish them.
MAKERS_PORT = 8081
MAKERS_URL = f"http://{AWS}:{MAKERS_PORT}"
MAKERS = CACHE / "makers"
STATE_STORE = "s3://kops-lab-state"


def client_environment() -> dict[str, str]:
    """The environment of people's commands: AWS is the emulator, and what they write stays in the lab."""
    tools = f"{PROJECT / 'target/debug'}:{programs()}"
    return {
        "PATH": f"{tools}:{os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}",
        "HOME": str(CLIENT),
        "KOPS_LAB_CACHE": str(CACHE),
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_ACCESS_KEY_ID": "lab",
        "AWS_SECRET_ACCESS_KEY": "lab",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "KOPS_STATE_STORE": STATE_STORE,
    }


def programs() -> Path:
    """The programs of Kubernetes, unpacked."""
    return CACHE / "programs"
