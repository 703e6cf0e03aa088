"""A lab from outside: namespaces that hold all of it, so that all of it ends with their first process."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import control_group, image, places, volume

PID = places.RUN / "pid"
READY = places.RUN / "ready"
LOG = places.RUN / "log"
UNSHARE = "unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private".split()


class Failed(Exception):
    """The lab did not start."""


def start(is_baked: bool) -> None:
    """Starts a lab in the background; an old one ends."""
    stop()
    image.make(is_baked)
    places.CLIENT.mkdir(parents=True)
    with LOG.open("wb") as log:
        outer = subprocess.Popen(
            [*UNSHARE, sys.executable, "-m", "bootlab", "inside"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while not READY.exists():
        if outer.poll() is not None:
            raise Failed(f"the lab ended before it was ready:\n{LOG.read_text()}")
        if not PID.exists():
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            if children:
                PID.write_text(f"{children[0]} {_namespace(int(children[0]))}")
        time.sleep(0.1)


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _running() -> int | None:
    """The first process of the running lab."""
    try:
        pid, namespace = PID.read_text().split()
    except (OSError, ValueError):
        return None
    # Numbers of processes are used again.
    return int(pid) if _namespace(int(pid)) == namespace else None


def execute(command: list[str]) -> int:
    """Runs a command in the lab's network, as people would who use its AWS."""
    pid = _running()
    if pid is None:
        raise Failed("there is no lab; start one with `lab/run up`")
    enter = ["nsenter", "--target", str(pid), "--net", "--mount", "--pid"]
    status = subprocess.run([*enter, "--", *command], env={**os.environ, **places.client_environment()}).returncode
    if _running() is None:
        # Everything that ran in it has ended with it, and has nothing to say.
        last = LOG.read_text().splitlines()[-20:] if LOG.exists() else ["its log is gone, too: another lab was started or ended"]
        raise Failed("\n".join(["the lab ended meanwhile:", *last]))
    return status


def stop() -> None:
    """Ends the lab, if there is one, and removes all that it, or one that was killed, has left."""
    if pid := _running():
        os.kill(pid, signal.SIGKILL)
        # The kernel ends all of its processes before it.
        while _running():
            time.sleep(0.05)
    control_group.remove()
    volume.clean()
    shutil.rmtree(places.RUN, ignore_errors=True)
