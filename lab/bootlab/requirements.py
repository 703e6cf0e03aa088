"""What the lab needs of the box it runs on."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from . import places

COMMANDS = {
    "mmdebstrap": "mmdebstrap",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "losetup": "mount",
    "strip": "binutils",
    "sysctl": "procps",
}
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
# Debian's, unless they are beside those.
ETCD = ("etcd", "etcdctl", "etcdutl")


def kubernetes_source() -> Path:
    """The folder with the programs of Kubernetes, plain or packed with xz."""
    return Path(os.environ.get("KUBERNETES_BIN_DIR") or places.PROJECT.parent / "shared/lab/bin")


def missing() -> list[str]:
    """What is not there, for people."""
    lacks = []
    if os.geteuid() != 0:
        lacks.append("root")
    packages = sorted({package for command, package in COMMANDS.items() if not shutil.which(command)})
    if packages:
        lacks.append(f"the packages {' '.join(packages)} (apt-get install --no-install-recommends …)")
    if not importlib.util.find_spec("moto") or not importlib.util.find_spec("boto3"):
        lacks.append("moto (pip install 'moto[server]')")
    built = places.PROJECT / "target/debug"
    if not all((built / name).exists() for name in ("kops", "kops-node", "kops-testbed")):
        lacks.append("the project's programs (cargo build --workspace)")
    source = kubernetes_source()
    absent = [name for name in KUBERNETES if not any((source / f"{name}{end}").exists() for end in ("", ".xz"))]
    if absent:
        lacks.append(f"{' '.join(absent)} in {source} (KUBERNETES_BIN_DIR; lab/README.md tells how they are built)")
    if not Path("/sys/fs/cgroup/cpu").exists():
        lacks.append("control groups of the first version, the only ones that the lab was tried with")
    if not lacks and subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True).returncode != 0:
        lacks.append("the right to make namespaces")
    return lacks
