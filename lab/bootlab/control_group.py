"""A subtree of every hierarchy of control groups for each machine, which it takes for the whole."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/sys/fs/cgroup")
NAME = "kops-lab"


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy."""

    kind: str
    options: str
    root: Path

    @property
    def line(self) -> str:
        """How it is mounted in a machine: type, options, place below /sys/fs/cgroup."""
        return f"{self.kind} {self.options} {self.root.relative_to(MOUNTS)}\n"


def hierarchies() -> list[Hierarchy]:
    """Those of this box."""
    controllers = {line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()[1:]}
    found = []
    for mount in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = mount.split()
        if kind == "cgroup2":
            found.append(Hierarchy(kind, "rw", Path(place)))
        elif kind == "cgroup":
            own = [option for option in options.split(",") if option in controllers or option.startswith("name=")]
            # A hierarchy without a controller has to be asked for as such.
            none = ["none"] if own[0].startswith("name=") else []
            found.append(Hierarchy(kind, ",".join(none + own), Path(place)))
    return found


def make(machine: str) -> list[Path]:
    """The groups of a machine."""
    groups = []
    for hierarchy in hierarchies():
        group = hierarchy.root / NAME
        group.mkdir(exist_ok=True)
        if (hierarchy.root / "cpuset.cpus").exists():
            # A new group of this controller may use no processor at all, unless its parent says otherwise.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                (group / setting).write_text((hierarchy.root / setting).read_text())
            (group / "cgroup.clone_children").write_text("1")
        groups.append(group / machine)
        groups[-1].mkdir(exist_ok=True)
    return groups


def enter(groups: list[Path]) -> None:
    """Moves this process, and the children it will have."""
    for group in groups:
        (group / "cgroup.procs").write_text("0")


def remove(machine: str = "") -> None:
    """Removes the groups of a machine, or of all. They are busy for a moment after the last process has ended."""
    for hierarchy in hierarchies():
        group = hierarchy.root / NAME / machine
        for _ in range(50):
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
            if not group.exists():
                break
            time.sleep(0.1)
