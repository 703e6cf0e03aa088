"""Masters come and go: one becomes three, one of them loses its disk, and three become one. Nothing that was stored is lost."""

import json
import os
import subprocess

from . import machine
from .cluster import IMAGE, Broken, Cluster, eventually, run
from .trial import delete, expect, step, volumes

ETCDCTL = """
ETCDCTL_API=3 /opt/kops/bin/etcdctl --endpoints https://127.0.0.1:4001 --cacert /etc/kubernetes/pki/etcd-clients-ca.crt \
--cert /etc/kubernetes/pki/kube-apiserver-etcd.crt --key /etc/kubernetes/pki/kube-apiserver-etcd.key member list -w json
"""


def voters(cluster: Cluster) -> set[str]:
    """The members of etcd that vote, by name, as a machine lists them that can."""
    for name in sorted(cluster.instances("master")):
        done = subprocess.run([*machine.enter(name), "sh", "-c", ETCDCTL], capture_output=True, text=True)
        if done.returncode == 0:
            members = json.loads(done.stdout)["members"]
            return {member["name"] for member in members if not member.get("isLearner")}
    raise Broken("no machine lists the members of etcd")


def live(cluster: Cluster) -> None:
    with step("the cluster is created"):
        cluster.create(zones=3)
        cluster.log_in()
    with step("the API is ready"):
        eventually("the API", 180, cluster.api_is_ready)
    with step("all nodes are ready"):
        eventually("all nodes", 180, cluster.is_whole)
    cluster.kubectl("create", "configmap", "kept", "--from-literal=x=1")
    grow(cluster)
    lose_a_disk(cluster)
    shrink(cluster)
    delete(cluster)


def is_kept(cluster: Cluster) -> None:
    expect("kept" in cluster.kubectl("get", "configmap", "kept", "-o", "name"), "what was stored is gone")


def names(*letters: str) -> set[str]:
    return {f"etcd-main-{letter}" for letter in letters}


def grow(cluster: Cluster) -> None:
    (first,) = [name for name in run("kops", "get", "ig", "--name", cluster.name).split() if name.startswith("master-")]
    os.environ["EDITOR"] = f"sed -i 's|^spec:|spec:\\n  image: {IMAGE}|'"
    with step("two more masters are asked for"):
        for letter in "bc":
            subnet = first.removeprefix("master-")[:-1] + letter
            cluster.kops("create", "ig", f"master-{subnet}", "--name", cluster.name, "--role", "master", "--subnet", subnet)
        cluster.kops("update", "cluster", "--name", cluster.name, "--yes")
        cluster.masters = 3
    with step("they have joined"):
        eventually("three members that vote", 300, lambda: voters(cluster) == names("a", "b", "c"))
        eventually("all nodes", 180, cluster.is_whole)
        is_kept(cluster)
    with step("rolling update: the first master learns of the others"):
        cluster.kops("rolling-update", "cluster", "--name", cluster.name, "--yes", seconds=900)
    expect(voters(cluster) == names("a", "b", "c"), f"members are {voters(cluster)}")
    is_kept(cluster)


def lose_a_disk(cluster: Cluster) -> None:
    """A master is lost together with its disks; its successor gets new ones."""
    held = volumes(cluster)
    lost = min(cluster.instances("master"))
    cluster.aws.ec2.terminate_instances(InstanceIds=[lost])
    with step(f"{lost} and its disks are gone"):
        eventually("its end", 120, lambda: lost not in cluster.instances("master"))
        for volume in [volume for volume, holder in held.items() if holder == lost]:

            def gone(volume: str = volume) -> bool:
                try:
                    cluster.aws.ec2.delete_volume(VolumeId=volume)
                    return True
                except cluster.aws.ec2.exceptions.ClientError as error:
                    return "NotFound" in str(error)

            eventually("the end of its disk", 60, gone)
    with step("new disks, and a member that comes back by itself"):
        cluster.kops("update", "cluster", "--name", cluster.name, "--yes")
        eventually("all nodes", 300, cluster.is_whole)
        eventually("three members that vote", 120, lambda: voters(cluster) == names("a", "b", "c"))
        is_kept(cluster)


def shrink(cluster: Cluster) -> None:
    groups = [name for name in run("kops", "get", "ig", "--name", cluster.name).split() if name.startswith("master-")]
    with step("two masters go"):
        cluster.kops("delete", "ig", *sorted(groups)[1:], "--name", cluster.name, "--yes", seconds=900)
        cluster.masters = 1
    with step("one is left, with all that was stored"):
        expect(voters(cluster) == names("a"), f"members are {voters(cluster)}")
        eventually("all nodes", 180, cluster.is_whole)
        is_kept(cluster)
    with step("the update and the rolling update that follow"):
        cluster.kops("update", "cluster", "--name", cluster.name, "--yes")
        cluster.kops("rolling-update", "cluster", "--name", cluster.name, "--yes", seconds=900)
        eventually("all nodes", 180, cluster.is_whole)
        is_kept(cluster)
