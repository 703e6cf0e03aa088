"""The health checks of load balancers, as they are configured on AWS.

https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-healthchecks.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
"""

import asyncio
import ssl
import time
from typing import Callable

from .aws import Check, Pool, Target


class Prober:
    """Checks one machine again and again. It is healthy after so many successes in a row, and no longer after so many
    failures."""

    def __init__(self, target: Target, check: Check, say: Callable[[str], None]) -> None:
        self._target = target
        # Another check begins with the verdict of the one before.
        self.check = check
        self._say = say
        self._streak = 0
        self._fault: str | None = None
        # None until the first verdict.
        self._verdict: bool | None = None

    @property
    def is_healthy(self) -> bool:
        return self._verdict is True

    def state(self, pool: Pool) -> tuple[str, str, str]:
        """State, reason and description, in the words of the pool's kind of load balancer."""
        if pool.is_classic:
            return ("InService" if self.is_healthy else "OutOfService", "", "")
        match self._verdict:
            case True:
                return ("healthy", "", "")
            case False:
                return ("unhealthy", "Target.FailedHealthChecks", f"Health checks failed: {self._fault}")
            case None:
                return ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                await asyncio.wait_for(self._probe(), self.check.timeout)
                self._count(None)
            except (TimeoutError, asyncio.TimeoutError):
                self._count("no answer in time")
            # ValueError: an answer that is none.
            except (OSError, ValueError) as error:
                self._count(str(error) or type(error).__name__)
            await asyncio.sleep(max(0.0, self.check.interval - (time.monotonic() - begun)))

    def _count(self, fault: str | None) -> None:
        is_like_before = self._streak and (fault is None) == (self._fault is None)
        self._streak = self._streak + 1 if is_like_before else 1
        self._fault = fault
        enough = self.check.unhealthy if fault else self.check.healthy
        if self._streak >= enough and self._verdict is not (fault is None):
            self._verdict = fault is None
            what = f"fails ({fault})" if fault else "passes"
            self._say(f"{self._target.instance} {what} the check {self.check}")

    async def _probe(self) -> None:
        check = self.check
        port = check.port or self._target.port
        match check.protocol:
            case "TCP":
                security = None
            case "HTTP":
                security = None
            case _:
                security = _rsa_only() if check.is_classic else _any()
        reader, writer = await asyncio.open_connection(self._target.address, port, ssl=security)
        try:
            if check.protocol in ("HTTP", "HTTPS"):
                request = f"GET {check.path} HTTP/1.1\r\nHost: {self._target.address}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                status = (await reader.readline()).split()
                if len(status) < 2 or int(status[1]) not in check.codes:
                    raise ValueError(f"it answered {b' '.join(status).decode(errors='replace') or 'nothing'}")
        finally:
            writer.transport.abort()


def _any() -> ssl.SSLContext:
    """Certificates are not looked at."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _rsa_only() -> ssl.SSLContext:
    """The handshake of a classic load balancer's check: TLS 1.2 at most, and keys are exchanged by RSA alone."""
    context = _any()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("kRSA:@SECLEVEL=0")
    return context
