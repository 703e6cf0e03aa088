"""Load balancers: every one has an address in the network and passes connections on, byte by byte."""

import asyncio
import itertools
import threading

from . import fabric, places
from .aws import Balancer

# How long a machine that does not answer is waited for before the next one is tried.
PATIENCE = 2.0


class Balancers:
    """All load balancers, on a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._free = (address for address in places.BALANCERS.hosts())
        self._listeners: dict[tuple[str, int], _Listener] = {}
        # Addresses by name.
        self.addresses: dict[str, str] = {}

    def publish(self, balancers: list[Balancer]) -> None:
        """Takes over what is registered where."""
        wanted = {(balancer.name, port): to for balancer in balancers for port, to in balancer.targets.items()}
        for key in self._listeners.keys() - wanted.keys():
            self._call(self._listeners.pop(key).close())
        for name in self.addresses.keys() - {balancer.name for balancer in balancers}:
            fabric.ip("address", "delete", f"{self.addresses.pop(name)}/32", "dev", fabric.BRIDGE)
        for balancer in balancers:
            if balancer.name not in self.addresses:
                address = str(next(self._free))
                fabric.ip("address", "add", f"{address}/32", "dev", fabric.BRIDGE)
                self.addresses[balancer.name] = address
        for (name, port), targets in wanted.items():
            if (name, port) not in self._listeners:
                self._listeners[name, port] = listener = _Listener()
                self._call(listener.listen(self.addresses[name], port))
            self._listeners[name, port].targets = targets

    def _call(self, routine) -> None:
        asyncio.run_coroutine_threadsafe(routine, self._loop).result()


class _Listener:
    def __init__(self) -> None:
        self.targets: list[tuple[str, int]] = []
        self._turn = itertools.count()

    async def listen(self, address: str, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, address, port)

    async def close(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = await self._connect()
        if target is None:
            return writer.close()
        await asyncio.gather(_copy(reader, target[1]), _copy(target[0], writer))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """To the next machine that takes the connection: a check of its health at the last moment."""
        targets = list(self.targets)
        first = next(self._turn)
        for number in range(len(targets)):
            address, port = targets[(first + number) % len(targets)]
            try:
                return await asyncio.wait_for(asyncio.open_connection(address, port), PATIENCE)
            except (OSError, TimeoutError, asyncio.TimeoutError):
                continue
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
