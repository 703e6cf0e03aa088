"""Load balancers: every one has an address in the network, and passes connections on, byte by byte, to machines that pass
its checks."""

import asyncio
import itertools
import json
import threading
from typing import Callable

from . import fabric, places
from .aws import Balancer, Pool, Target
from .health import Prober

# How long a machine that a load balancer takes for healthy has to take a connection. A client is not sent elsewhere.
PATIENCE = 5.0
HEALTH = places.RUN / "health.json"


class Balancers:
    """All load balancers, on a thread of their own."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._free = (address for address in places.BALANCERS.hosts())
        self._listeners: dict[tuple[str, int], _Listener] = {}
        self._probers: dict[tuple[str, Target], Prober] = {}
        self._told: dict = {}
        # Addresses by name.
        self.addresses: dict[str, str] = {}

    def publish(self, balancers: list[Balancer]) -> None:
        """Takes over what is registered where, and tells AWS what the checks have found."""
        self._check(balancers)
        wanted = {(balancer.name, port): pool for balancer in balancers for port, pool in balancer.pools.items()}
        for key in self._listeners.keys() - wanted.keys():
            self._call(self._listeners.pop(key).close())
        for name in self.addresses.keys() - {balancer.name for balancer in balancers}:
            fabric.ip("address", "delete", f"{self.addresses.pop(name)}/32", "dev", fabric.BRIDGE)
        for balancer in balancers:
            if balancer.name not in self.addresses:
                address = str(next(self._free))
                fabric.ip("address", "add", f"{address}/32", "dev", fabric.BRIDGE)
                self.addresses[balancer.name] = address
        for (name, port), pool in wanted.items():
            if (name, port) not in self._listeners:
                self._listeners[name, port] = listener = _Listener(self._say)
                self._call(listener.listen(self.addresses[name], port))
            self._listeners[name, port].take(pool, [target for target in pool.targets if self._is_healthy(pool, target)])

    def _check(self, balancers: list[Balancer]) -> None:
        pools = [pool for balancer in balancers for pool in balancer.pools.values()]
        wanted = {(pool.id, target): pool for pool in pools for target in pool.targets}
        for key in self._probers.keys() - wanted.keys():
            self._loop.call_soon_threadsafe(self._probers.pop(key).stop)
        for key in wanted.keys() - self._probers.keys():
            self._probers[key] = Prober(key[1], wanted[key].check, self._say)
            self._call(self._probers[key].start())
        health: dict[str, dict[str, tuple[str, str, str]]] = {}
        for (name, target), pool in wanted.items():
            prober = self._probers[name, target]
            prober.check = pool.check
            health.setdefault(name, {})[target.instance] = prober.state(pool)
        if health != self._told:
            self._told = health
            unfinished = HEALTH.with_suffix(".new")
            unfinished.write_text(json.dumps(health, indent=1))
            unfinished.rename(HEALTH)

    def _is_healthy(self, pool: Pool, target: Target) -> bool:
        return self._probers[pool.id, target].is_healthy

    def _call(self, routine) -> None:
        asyncio.run_coroutine_threadsafe(routine, self._loop).result()


class _Listener:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._pool: Pool | None = None
        self._healthy: list[Target] = []
        self._turn = itertools.count()

    async def listen(self, address: str, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, address, port)

    async def close(self) -> None:
        self._server.close()

    def take(self, pool: Pool, healthy: list[Target]) -> None:
        """From now on, connections go to these."""
        self._pool, self._healthy = pool, healthy

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pool, healthy = self._pool, self._healthy
        if not healthy:
            return writer.transport.abort()
        target = healthy[next(self._turn) % len(healthy)]
        client = writer.get_extra_info("peername")[0]
        if pool.keeps_client and client == target.address:
            # The machine would get packets from itself, and drops them: the client hears nothing.
            self._say(f"{client} came to itself through a load balancer, which leads nowhere on AWS")
            await _swallow(reader)
            return writer.transport.abort()
        try:
            there = await asyncio.wait_for(asyncio.open_connection(target.address, target.port), PATIENCE)
        except (OSError, TimeoutError, asyncio.TimeoutError):
            return writer.transport.abort()
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))


async def _swallow(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65536):
            pass
    except OSError:
        pass


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
