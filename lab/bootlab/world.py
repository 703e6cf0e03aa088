"""Makes real what the emulated AWS shows, again and again."""

import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from . import fabric
from .aws import Aws, Instance, View
from .balancer import Balancers
from .machine import Machine
from .volume import Volumes

ROUND = 0.5


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}", file=sys.stderr, flush=True)


class World:
    """Machines, volumes, load balancers, routes and names."""

    def __init__(self, aws: Aws, layers: list[Path]) -> None:
        self._aws = aws
        self._layers = layers
        self._directory = fabric.Directory()
        self._routes = fabric.Routes()
        self._balancers = Balancers(say)
        self._volumes = Volumes()
        self._machines: dict[str, Machine] = {}
        # Machines that are being switched off.
        self._ending: dict[str, Future] = {}
        self._pool = ThreadPoolExecutor(8)
        self._view = aws.look()

    def at(self, address: str) -> Instance | None:
        """The instance with an address."""
        return next((item for item in self._view.instances.values() if item.address == address), None)

    def run(self) -> None:
        """Never ends."""
        while True:
            self._view = self._aws.look()
            self._round(self._view)
            time.sleep(ROUND)

    def _round(self, view: View) -> None:
        self._balancers.publish(view.balancers)
        # Before machines: they ask for their address as soon as they run.
        self._directory.publish(view, self._balancers.addresses)
        for name, machine in self._machines.items():
            if name in self._ending:
                continue
            if name not in view.instances:
                say(f"{name} is switched off")
                self._ending[name] = self._pool.submit(machine.power_off)
            elif not machine.is_on():
                say(f"{name} went down by itself: it is terminated")
                self._aws.ec2.terminate_instances(InstanceIds=[name])
        for name in view.instances.keys() - self._machines.keys():
            instance = view.instances[name]
            # AWS gives addresses out again at once.
            if instance.address not in {self._machines[ending].address for ending in self._ending}:
                self._machines[name] = Machine(name, instance.address, instance.mac, self._layers)
                say(f"{name} {instance.address} is switched on")
        for name in [name for name, ended in self._ending.items() if ended.done()]:
            self._ending.pop(name).result()
            del self._machines[name]
        self._volumes.publish(view, self._machines)
        self._routes.publish(view.routes)
