"""A cluster under trial: the commands that people run, and what is looked at while they work."""

import base64
import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import image, machine, makers, places
from .aws import Aws

# Machines are what image.py makes, whatever this image is on AWS.
IMAGE = "136693071363/debian-12-amd64-20260701-2100"

# What a machine is asked when a trial is broken.
TELL = """
/opt/kops/bin/kops-node status
systemctl list-units --failed --no-legend --no-pager
journalctl -u kops-bootstrap -n 3 --no-pager --output=cat
journalctl -u kops-node -n 10 --no-pager --output=cat
journalctl -p warning -n 10 --no-pager --output=short
"""


class Broken(Exception):
    """Something is not as it has to be."""


def eventually(what: str, seconds: float, check: Callable[[], object]):
    """The first answer that is true. What fails for a while is asked again."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            if answer := check():
                return answer
            last = answer
        except (Broken, OSError, ValueError) as error:
            last = error
        time.sleep(0.25)
    raise Broken(f"{what}: not within {seconds:.0f} s ({last})")


def run(*command: str | Path, text: str | None = None, seconds: float = 300, status: int = 0) -> str:
    """What a command says; one that ends with another status than this breaks the trial."""
    words = " ".join(str(word) for word in command)
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        said = b"".join(part for part in (error.stdout, error.stderr) if part).decode()
        raise Broken(f"{words}: not done within {seconds:.0f} s\n{said}") from None
    if done.returncode != status:
        raise Broken(f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@dataclass(frozen=True)
class Options:
    """What is tried."""

    masters: int
    workers: int
    # None for what `kops` chooses.
    balancer: str | None
    state_region: str


class Cluster:
    """A cluster by its name."""

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.options = options
        self.masters = options.masters
        self.workers = options.workers
        self.aws = Aws()
        # That of the programs, which decides about much of what is tried.
        found = json.loads(run(places.programs() / "kubectl", "version", "--client", "-o", "json"))
        self.version = found["clientVersion"]["gitVersion"].removeprefix("v").split("-")[0].split("+")[0]
        self.minor = int(self.version.split(".")[1])

    def kops(self, *arguments: str | Path, seconds: float = 300, status: int = 0) -> str:
        return run("kops", *arguments, seconds=seconds, status=status)

    def on(self, name: str, command: str, status: int = 0) -> str:
        """What a shell on a machine says."""
        return run(*machine.enter(name), "sh", "-c", command, status=status)

    def create(self, zones: int | None = None) -> None:
        """In as many zones, or in one for each master."""
        zones = [f"{places.REGION}{letter}" for letter in "abc"[: zones or self.masters]]
        masters = zones[: self.masters]
        self.kops("create", "state-store", places.STATE_STORE, "--region", self.options.state_region)
        node = places.RUN / "kops-node"
        run("strip", "-o", node, places.PROJECT / "target/debug/kops-node")
        self.kops("create", "assets", node)
        self.kops("create", "assets", "--kubernetes-version", self.version, places.programs(), makers.plugins())
        settings = [
            # There are no images of them.
            "kubeDNS.enabled=false",
            "cloudControllerManager.enabled=false",
            # The box's, and not the machine's: control groups, space on the disk, limits of connections.
            "kubelet.cgroupDriver=cgroupfs",
            "kubelet.evictionHard=memory.available<100Mi,nodefs.available<1%,imagefs.available<1%",
            "kubeProxy.conntrackMaxPerCore=0",
            "kubeProxy.conntrackMin=0",
        ]
        settings += [
            f"assets.fileRepository={places.MAKERS_URL}",
            f"containerd.version={makers.CONTAINERD}",
            f"containerd.runc.version={makers.RUNC}",
        ]
        if self.minor > 20:
            # Versions up to then get no driver.
            settings.append("cloudConfig.awsEBSCSIDriver.enabled=false")
        balancer = ("--api-loadbalancer-class", self.options.balancer) if self.options.balancer else ()
        self.kops(
            *("create", "cluster", "--name", self.name, "--yes"),
            *("--zones", ",".join(zones), "--master-zones", ",".join(masters), "--node-count", str(self.workers)),
            *("--kubernetes-version", self.version, "--image", IMAGE, "--networking", "kubenet"),
            *balancer,
            *[option for setting in settings for option in ("--set", f"cluster.spec.{setting}")],
        )

    def resize(self, workers: int) -> None:
        """Another number of workers."""
        group = self.kops("get", "instancegroups", "nodes", "--name", self.name, "-o", "yaml")
        manifest = places.RUN / "nodes.yaml"
        manifest.write_text(re.sub(r"((?:min|max)Size): \d+", rf"\1: {workers}", group))
        self.kops("replace", "-f", manifest)
        self.kops("update", "cluster", "--name", self.name, "--yes")
        self.workers = workers

    def instances(self, role: str) -> dict[str, str]:
        """The addresses of running machines, by id."""
        filters = [
            {"Name": "instance-state-name", "Values": ["running"]},
            {"Name": "tag:KubernetesCluster", "Values": [self.name]},
            {"Name": "tag-key", "Values": [f"k8s.io/role/{role}"]},
        ]
        groups = self.aws.ec2.describe_instances(Filters=filters)["Reservations"]
        return {item["InstanceId"]: item["PrivateIpAddress"] for group in groups for item in group["Instances"]}

    def health(self) -> dict[str, str]:
        """What AWS says of the machines behind its load balancers, by machine."""
        states: dict[str, str] = {}
        for balancer in self.aws.elb.describe_load_balancers()["LoadBalancerDescriptions"]:
            answer = self.aws.elb.describe_instance_health(LoadBalancerName=balancer["LoadBalancerName"])
            states |= {item["InstanceId"]: item["State"] for item in answer["InstanceStates"]}
        for group in self.aws.elbv2.describe_target_groups()["TargetGroups"]:
            answer = self.aws.elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
            found = answer["TargetHealthDescriptions"]
            states |= {item["Target"]["Id"]: item["TargetHealth"]["State"] for item in found}
        return states

    def log_in(self) -> None:
        """Lets kubectl use the cluster, through its load balancer."""
        (balancer,) = self.aws.look().balancers
        self.kops("export", "kubeconfig", self.name, "--admin", "--api-server", f"https://{balancer.name}")

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return run("kubectl", "--request-timeout=10s", *arguments, text=text)

    def ask_as(self, token: str, name: str, user: str, proof: str) -> None:
        """Asks for a node's certificate with a bootstrap token."""
        key = run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        key_file = places.RUN / "intruder.key"
        key_file.write_text(key)
        pem = run("openssl", "req", "-new", "-key", key_file, "-subj", f"/O=system:nodes/CN={user}")
        request = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name, "annotations": {"node.kops.k8s.io/proof": proof}},
            "spec": {
                "request": base64.b64encode(pem.encode()).decode(),
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                "usages": ["digital signature", "key encipherment", "client auth"],
            },
        }
        # Of two ways to prove who one is, a certificate comes first.
        config = json.loads(self.kubectl("config", "view", "--minify", "--raw", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        kubeconfig = places.RUN / "intruder.kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        self.kubectl("--kubeconfig", str(kubeconfig), "create", "-f", "-", text=json.dumps(request))

    def requests(self) -> list[dict]:
        """All requests for certificates."""
        return json.loads(self.kubectl("get", "csr", "-o", "json"))["items"]

    def csr(self, name: str) -> dict:
        """What became of a request."""
        return json.loads(self.kubectl("get", "csr", name, "-o", "json")).get("status", {})

    def api_is_ready(self) -> bool:
        return self.kubectl("get", "--raw", "/readyz") == "ok"

    def nodes(self) -> dict[str, bool]:
        """Whether the nodes are ready, by name."""
        nodes = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        conditions = {node["metadata"]["name"]: node["status"].get("conditions", []) for node in nodes}
        return {
            name: any(one["type"] == "Ready" and one["status"] == "True" for one in those)
            for name, those in conditions.items()
        }

    def is_whole(self) -> bool:
        """Whether all machines are ready nodes, and there is no other node."""
        machines = self.instances("master").keys() | self.instances("node").keys()
        nodes = self.nodes()
        return len(machines) == self.masters + self.workers and nodes.keys() == machines and all(nodes.values())

    def image_of_app(self) -> str:
        return f"docker.io/{image.APP}"

    def tell(self) -> str:
        """What every machine waits for, and the end of its journal, for those who look for a fault."""
        told = []
        for name in machine.running():
            done = subprocess.run([*machine.enter(name), "sh", "-c", TELL], capture_output=True, text=True)
            told.append(f"--- {name}\n{done.stdout}{done.stderr}")
        return "\n".join(told)
