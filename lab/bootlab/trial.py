"""The life of a cluster, with nothing faked but AWS: it is made, used, updated, hurt and deleted."""

import json
import os
import signal
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from typing import Callable

from . import machine, places
from .cluster import Broken, Cluster, Options, eventually

NODE_PORT = 30080
APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 4
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 5
      tolerations:
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 5}
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 5}
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: app}}}
      containers:
      - name: app
        image: IMAGE
        ports: [{containerPort: 8080}]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: POLICY
kind: PodDisruptionBudget
metadata: {name: app}
spec:
  minAvailable: 2
  selector: {matchLabels: {app: app}}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  type: NodePort
  selector: {app: app}
  ports: [{port: 80, targetPort: 8080, nodePort: NODE_PORT}]
"""

started = time.monotonic()


@contextmanager
def step(what: str):
    """Tells how long a step took."""
    begun = time.monotonic()
    yield
    print(f"{time.monotonic() - started:7.1f} s  {what} ({time.monotonic() - begun:.1f} s)", flush=True)


class Client:
    """Asks the service again and again."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers = 0
        self.failures: list[str] = []

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_error) -> None:
        self._stopped.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stopped.wait(0.1):
            try:
                ask(self._cluster)
                self.answers += 1
            except Broken as error:
                self.failures.append(f"{time.monotonic() - started:.1f} s: {error}")


def ask(cluster: Cluster) -> str:
    """What the service answers, the name of a pod. A worker that takes no connection is passed over, as load balancers do."""
    refused = Broken("there is no worker")
    for address in cluster.instances("node").values():
        try:
            with urllib.request.urlopen(f"http://{address}:{NODE_PORT}/", timeout=5) as answer:
                return answer.read().decode().strip()
        except OSError as error:
            refused = Broken(f"{address}: {error}")
    raise refused


def expect(is_so: bool, what: str) -> None:
    if not is_so:
        raise Broken(what)


def live(cluster: Cluster) -> None:
    with step("the cluster is created"):
        cluster.create()
        cluster.log_in()
    with step("the API is ready"):
        eventually("the API", 180, cluster.api_is_ready)
    with step("all nodes are ready"):
        eventually("all nodes", 180, cluster.is_whole)
    with step("it validates"):
        cluster.kops("validate", "cluster", "--name", cluster.name, "--wait", "2m")
    with step("its load balancer takes all of the control plane for healthy"):
        eventually("the checks", 60, lambda: all_are(cluster, "healthy", "InService"))
    if cluster.options.balancer == "classic":
        mend_the_check(cluster)
    use(cluster)
    intrude(cluster)
    break_a_kubelet(cluster)
    update(cluster)
    resize(cluster)
    lose_a_master(cluster)
    delete(cluster)


def all_are(cluster: Cluster, *states: str) -> bool:
    """Whether AWS gives all of the control plane one of these states, as machines behind a load balancer."""
    found = cluster.health()
    return found.keys() == cluster.instances("master").keys() and all(state in states for state in found.values())


def mend_the_check(cluster: Cluster) -> None:
    """The check of clusters that kops 1.10 made never passes. An update puts it right, and changes nothing else."""
    (balancer,) = cluster.aws.elb.describe_load_balancers()["LoadBalancerDescriptions"]
    check = {**balancer["HealthCheck"], "Target": "SSL:443"}
    with step("a handshake with keys of RSA alone never comes about: no machine is healthy, and no API answers"):
        cluster.aws.elb.configure_health_check(LoadBalancerName=balancer["LoadBalancerName"], HealthCheck=check)
        eventually("the checks", 60, lambda: all_are(cluster, "OutOfService"))
        try:
            cluster.api_is_ready()
        except Broken:
            pass
        else:
            raise Broken("the API answers through a load balancer without a healthy machine")
    with step("an update mends it"):
        preview = cluster.kops("update", "cluster", "--name", cluster.name)
        expect("SSL:443" in preview and "TCP:443" in preview, f"the preview:\n{preview}")
        cluster.kops("update", "cluster", "--name", cluster.name, "--yes")
        eventually("the checks", 60, lambda: all_are(cluster, "InService"))
        eventually("the API", 30, cluster.api_is_ready)


def use(cluster: Cluster) -> None:
    with step("a deployment runs"):
        policy = "policy/v1" if cluster.minor >= 21 else "policy/v1beta1"
        words = {"IMAGE": cluster.image_of_app(), "NODE_PORT": str(NODE_PORT), "POLICY": policy}
        manifest = APP
        for word, value in words.items():
            manifest = manifest.replace(word, value)
        cluster.kubectl("apply", "-f", "-", text=manifest)
        cluster.kubectl("rollout", "status", "deployment/app", "--timeout=120s")
    with step("its service answers, from more than one pod"):
        answers: set[str] = set()

        def asked() -> bool:
            answers.add(ask(cluster))
            return len(answers) > 1

        eventually("the service", 60, asked)
    with step("the API reads logs, from kubelets that prove which machines they are"):
        pods = json.loads(cluster.kubectl("get", "pods", "-l", "app=app", "-o", "json"))["items"]
        for pod in pods:
            eventually("a log", 30, lambda: cluster.kubectl("logs", pod["metadata"]["name"]) or True)


PROOF = "node.kops.k8s.io/proof"


def intrude(cluster: Cluster) -> None:
    """What every worker can read, the token, makes nobody a node: neither a master, nor a machine that there is not."""
    store = places.STATE_STORE.removeprefix("s3://")
    join = cluster.aws.s3.get_object(Bucket=store, Key=f"{cluster.name}/secrets/node-join")["Body"].read()
    token = json.loads(join)["token"]
    worker, master = min(cluster.instances("node")), min(cluster.instances("master"))
    with step("who has the workers' token gets no certificate, whatever it asks for"):
        annotations = [request["metadata"].get("annotations", {}) for request in cluster.requests()]
        proof = next((found[PROOF] for found in annotations if PROOF in found), "")
        expect("signature" in proof, f"no worker's proof: {annotations}")
        for name in (master, worker, "i-00000000000000000"):
            request = "kops-intruder-" + name
            cluster.ask_as(token, request, f"system:node:{name}", proof)
            eventually("the answer", 60, lambda: cluster.csr(request).get("conditions"))
            status = cluster.csr(request)
            expect(status["conditions"][0]["type"] == "Denied" and "certificate" not in status, f"{name}: {status}")


BROKEN = "/etc/systemd/system/kubelet.service.d/broken.conf"
BREAK = f"""
mkdir -p {BROKEN.rsplit('/', 1)[0]}
printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c "echo broken on purpose; exit 1"\\n' > {BROKEN}
systemctl daemon-reload
systemctl restart kubelet
"""


def break_a_kubelet(cluster: Cluster) -> None:
    """A unit that does not stay up is named, with its own words, on the machine and from outside."""
    worker = min(cluster.instances("node"))
    words = ("unit kubelet.service: it does not stay up", "broken on purpose")

    def is_told(said: str) -> bool:
        return all(word in said for word in words)

    with step(f"the kubelet of {worker} ends every second, and the machine says so"):
        cluster.on(worker, BREAK)
        eventually("the status", 60, lambda: is_told(cluster.on(worker, "/opt/kops/bin/kops-node status", status=1)))
        log = cluster.on(worker, "journalctl -u kops-node --no-pager --output=cat")
        expect(is_told(log), f"the log of kops-node says nothing of it:\n{log}")
    with step("`kops validate` says so, too"):
        validate = ("validate", "cluster", "--name", cluster.name)
        eventually("the node", 120, lambda: not cluster.nodes()[worker])
        said = cluster.kops(*validate, status=2)
        expect(is_told(said), f"it says:\n{said}")
    with step("all is well once its cause is gone"):
        cluster.on(worker, f"rm {BROKEN} && systemctl daemon-reload && systemctl restart kubelet")
        eventually("all nodes", 120, cluster.is_whole)
        eventually("the status", 120, lambda: cluster.on(worker, "/opt/kops/bin/kops-node status"))
        cluster.kubectl("rollout", "status", "deployment/app", "--timeout=120s")


def update(cluster: Cluster) -> None:
    """Every machine is replaced, and nobody who uses the service notices."""
    before = cluster.instances("master").keys() | cluster.instances("node").keys()
    with step("another template"):
        groups = cluster.kops("get", "instancegroups", "--name", cluster.name, "-o", "yaml")
        groups = groups.replace("\n  nodeLabels:\n", "\n  nodeLabels:\n    lab: changed\n")
        manifest = places.RUN / "groups.yaml"
        manifest.write_text(groups)
        cluster.kops("replace", "-f", manifest)
        cluster.kops("update", "cluster", "--name", cluster.name, "--yes")
    with Client(cluster) as client, step("rolling update"):
        cluster.kops("rolling-update", "cluster", "--name", cluster.name, "--yes", seconds=900)
    print(f"           {client.answers} requests answered meanwhile, {len(client.failures)} failed", flush=True)
    expect(not client.failures, "requests failed:\n" + "\n".join(client.failures[:10]))
    expect(client.answers > 0, "no request was made")
    after = cluster.instances("master").keys() | cluster.instances("node").keys()
    expect(not before & after, f"not replaced: {before & after}")
    expect(cluster.is_whole(), "not all nodes are ready after the update")


def resize(cluster: Cluster) -> None:
    """The group of workers gets smaller, whose machine is drained first, and larger again."""
    workers = cluster.workers
    with Client(cluster) as client:
        for what, size in (("a smaller group", workers - 1), ("a larger group", workers)):
            with step(what):
                cluster.resize(size)
                eventually("all nodes", 180, cluster.is_whole)
    print(f"           {client.answers} requests answered meanwhile, {len(client.failures)} failed", flush=True)
    expect(not client.failures, "requests failed:\n" + "\n".join(client.failures[:10]))


def lose_a_master(cluster: Cluster) -> None:
    """The power of a machine of the control plane fails. Its successor is the same member, with the same data."""
    held = volumes(cluster)
    lost = min(cluster.instances("master"))
    first_process = int((places.RUN / "machines" / lost / "pid").read_text())
    os.kill(first_process, signal.SIGKILL)
    with step(f"{lost} lost its power and has a successor"):
        eventually("the successor", 60, lambda: lost not in cluster.instances("master") and len(cluster.instances("master")) == cluster.masters)
    with step("it is ready, with its predecessor's volumes"):
        eventually("all nodes", 180, cluster.is_whole)
        now = volumes(cluster)
        expect(now.keys() == held.keys() and lost not in now.values(), f"volumes are held by {now}")
    with step("the deployment is still there"):
        cluster.kubectl("rollout", "status", "deployment/app", "--timeout=60s")
        ask(cluster)


def volumes(cluster: Cluster) -> dict[str, str]:
    """The machines that hold etcd's volumes, by volume."""
    filters = [{"Name": "tag:KubernetesCluster", "Values": [cluster.name]}, {"Name": "tag-key", "Values": ["k8s.io/etcd/*"]}]
    found = cluster.aws.ec2.describe_volumes(Filters=filters)["Volumes"]
    return {volume["VolumeId"]: volume["Attachments"][0]["InstanceId"] for volume in found if volume["Attachments"]}


def delete(cluster: Cluster) -> None:
    with step("the cluster is deleted"):
        cluster.kops("delete", "cluster", "--name", cluster.name, "--yes")
    with step("no machine runs, and nothing is left"):
        eventually("the end of all machines", 30, lambda: not machine.running())
        eventually("the end of all volumes", 30, lambda: not any((places.RUN / "volumes").iterdir()))
        view = cluster.aws.look()
        expect(not view.instances and not view.volumes and not view.balancers, f"left: {view}")
        left = cluster.aws.ec2.describe_vpcs(Filters=[{"Name": "tag:KubernetesCluster", "Values": [cluster.name]}])["Vpcs"]
        expect(not left, f"left: {left}")


def main(options: Options, live: Callable[[Cluster], None] = live) -> None:
    cluster = Cluster("lab.k8s.local", options)
    print(f"Kubernetes {cluster.version}, state in {options.state_region}, load balancer: {options.balancer or 'as chosen'}", flush=True)
    try:
        live(cluster)
    except Broken as error:
        print(cluster.tell())
        print(f"FAILED after {time.monotonic() - started:.1f} s: {error}")
        sys.exit(1)
    print(f"PASSED with {options.masters} of the control plane and {options.workers} workers in {time.monotonic() - started:.1f} s")
