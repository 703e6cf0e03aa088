"""One machine: namespaces of its own over the layers of the image, with systemd as its first process."""

import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import control_group, fabric, places

POWER_ON = Path(__file__).with_name("power-on.sh")
UNSHARE = "unshare --mount --uts --ipc --pid --cgroup --fork --kill-child --propagation private".split()


class Machine:
    """A machine that is switched on when it is made."""

    def __init__(self, name: str, address: str, mac: str, layers: list[Path]) -> None:
        self.name = name
        self.address = address
        self.data = places.RUN / "machines" / name
        self.root = self.data / "root"
        for folder in ("root", "upper", "work"):
            (self.data / folder).mkdir(parents=True, exist_ok=True)
        (self.data / "console.log").touch()
        fabric.plug_in(name, mac)
        below = ":".join(str(layer) for layer in layers)
        options = f"lowerdir={below},upperdir={self.data / 'upper'},workdir={self.data / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        self._start()

    def _start(self) -> None:
        groups = control_group.make(self.name)
        inside = ["nsenter", f"--net=/run/netns/{self.name}", *UNSHARE, str(POWER_ON), str(self.root), str(self.data)]
        with (self.data / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                inside,
                stdin=subprocess.PIPE,
                stdout=console,
                stderr=console,
                start_new_session=True,
                preexec_fn=lambda: control_group.enter(groups),
            )
        self._process.stdin.write("".join(hierarchy.line for hierarchy in control_group.hierarchies()).encode())
        self._process.stdin.close()
        # The first process of the machine, as the lab numbers it.
        self.pid = _only_child(self._process)
        (self.data / "pid").write_text(str(self.pid))

    def is_on(self) -> bool:
        """Whether it runs. A machine that asked for a restart is started again, with its disk as it is."""
        ended = self._process.poll()
        if ended == -signal.SIGHUP:  # reboot(2), "Behavior inside PID namespaces"
            self._start()
            return True
        return ended is None

    def power_off(self) -> None:
        """Takes the power away, and throws the machine's disk away."""
        self._process.kill()
        self._process.wait()
        control_group.remove(self.name)
        subprocess.run(["umount", "--lazy", self.root], check=True)
        fabric.unplug(self.name)
        shutil.rmtree(self.data)


def _only_child(process: subprocess.Popen) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        if child := children.read_text():
            return int(child)
        time.sleep(0.01)
    raise RuntimeError(f"{shlex.join(process.args)} ended with {process.returncode}")


def running() -> list[str]:
    """The names of all machines."""
    return sorted(pid.parent.name for pid in (places.RUN / "machines").glob("*/pid"))


def enter(name: str) -> list[str]:
    """What runs a command on a machine, with the command after it."""
    pid = (places.RUN / "machines" / name / "pid").read_text()
    return ["nsenter", "--target", pid, "--all", "--root", "--wdns=/", "--"]
