"""The network between machines: one bridge that is router, resolver and DHCP server, in the lab's own namespace."""

import os
import signal
import subprocess

from . import places
from .aws import View

BRIDGE = "fabric"
DNS = places.RUN / "dns"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def set_up() -> None:
    """Makes the network of this namespace."""
    ip("link", "set", "lo", "up")
    ip("link", "add", BRIDGE, "type", "bridge")
    for address in (places.ROUTER, places.RESOLVER, places.AWS):
        ip("address", "add", f"{address}/{places.NETWORK.prefixlen}", "dev", BRIDGE)
    ip("address", "add", f"{places.METADATA}/32", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    # Machines send packets for pods to the router, which sends them back to another machine of the same network.
    for setting in ("ip_forward=1", "conf.all.send_redirects=0", f"conf.{BRIDGE}.send_redirects=0"):
        subprocess.run(["sysctl", "-q", "-w", f"net.ipv4.{setting}"], check=True)
    # Named namespaces are files that only the lab sees.
    os.makedirs("/run/netns", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)
    places.RESOLV_CONF.write_text(f"nameserver {places.RESOLVER}\n")
    subprocess.run(["mount", "--bind", places.RESOLV_CONF, "/etc/resolv.conf"], check=True)


def plug_in(machine: str, mac: str) -> None:
    """Gives a machine a network namespace with one interface on the bridge."""
    ip("netns", "add", machine)
    ip("-n", machine, "link", "set", "lo", "up")
    plug = _plug(machine)
    ip("link", "add", "eth0", "address", mac, "netns", machine, "type", "veth", "peer", "name", plug)
    ip("link", "set", plug, "master", BRIDGE, "up")


def unplug(machine: str) -> None:
    """Takes it away."""
    ip("netns", "delete", machine)


def _plug(machine: str) -> str:
    # Names of interfaces have 15 characters at most (IFNAMSIZ).
    return f"v{machine.removeprefix('i-')[-12:]}"


class Directory:
    """What the name server tells: addresses by hardware address, and by name."""

    def __init__(self) -> None:
        DNS.mkdir(parents=True)
        self._hosts = ""
        self._leases: set[str] = set()
        self._start()

    def publish(self, view: View, balancers: dict[str, str]) -> None:
        """Takes over the names and addresses of machines, and those of load balancers."""
        instances = view.instances.values()
        leases = {f"{instance.mac},{instance.address}\n" for instance in instances}
        hosts = "".join(f"{instance.address} {instance.host_name}\n" for instance in instances)
        hosts += "".join(f"{address} {name}\n" for name, address in balancers.items())
        if (hosts, leases) == (self._hosts, self._leases):
            return
        is_released = bool(self._leases - leases)
        self._hosts, self._leases = hosts, leases
        if is_released:
            # An address is another machine's at once; the server would not give it away before the lease is over.
            self._server.kill()
            self._server.wait()
            self._start()
        else:
            self._write()
            self._server.send_signal(signal.SIGHUP)

    def _write(self) -> None:
        (DNS / "hosts").write_text(self._hosts)
        (DNS / "dhcp").write_text("".join(sorted(self._leases)))

    def _start(self) -> None:
        self._write()
        (DNS / "leases").write_text("")
        network = places.NETWORK
        options = [
            "--keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --no-resolv --no-hosts --local=/#/",
            f"--listen-address={places.RESOLVER} --interface={BRIDGE} --bind-interfaces",
            f"--addn-hosts={DNS / 'hosts'} --log-facility={DNS / 'log'}",
            f"--dhcp-range={network.network_address},static,{network.netmask},12h --dhcp-authoritative",
            f"--dhcp-hostsfile={DNS / 'dhcp'} --dhcp-leasefile={DNS / 'leases'}",
            f"--dhcp-option=option:router,{places.ROUTER} --dhcp-option=option:dns-server,{places.RESOLVER}",
        ]
        self._server = subprocess.Popen(["dnsmasq", *" ".join(options).split()])


class Routes:
    """The routes to machines that route tables have: where pods are."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def publish(self, routes: dict[str, str]) -> None:
        """Takes over destinations and the addresses of the machines that lead there."""
        for destination in self._known.keys() - routes.keys():
            ip("route", "delete", destination)
        for destination, gateway in routes.items():
            if self._known.get(destination) != gateway:
                ip("route", "replace", destination, "via", gateway)
        self._known = routes
