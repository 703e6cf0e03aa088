"""EBS volumes: files on this box, which machines see as block devices."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

from . import places
from .aws import View
from .machine import Machine

FOLDER = places.RUN / "volumes"


class Volumes:
    """All volumes. Their data outlives machines, and ends with the volume."""

    def __init__(self) -> None:
        FOLDER.mkdir(parents=True)
        self._devices: dict[str, str] = {}
        # Who has each attached volume, as what, and since which start of the machine. A machine has it until it is gone,
        # whatever AWS says by then.
        self._holders: dict[str, tuple[str, str, int]] = {}

    def publish(self, view: View, machines: dict[str, Machine]) -> None:
        """Makes and deletes volumes, and shows them where they are attached."""
        for volume in self._devices.keys() - view.volumes.keys():
            _detach(self._devices.pop(volume))
            (FOLDER / volume).unlink()
        for volume in view.volumes.keys() - self._devices.keys():
            with (FOLDER / volume).open("wb") as disk:
                disk.truncate(view.volumes[volume] << 30)
            found = subprocess.run(
                ["losetup", "--find", "--show", FOLDER / volume], check=True, capture_output=True, text=True
            )
            self._devices[volume] = found.stdout.strip()
        wanted = {
            volume: (instance.id, device)
            for instance in view.instances.values()
            for device, volume in instance.devices.items()
        }
        for volume, (holder, device, start) in list(self._holders.items()):
            machine = machines.get(holder)
            if machine is None or machine.pid != start:
                del self._holders[volume]
            elif wanted.get(volume) != (holder, device):
                _inside(machine, device).unlink(missing_ok=True)
                del self._holders[volume]
        for volume, (holder, device) in wanted.items():
            machine = machines.get(holder)
            if machine and volume in self._devices and volume not in self._holders:
                if self._show(volume, machine, device):
                    self._holders[volume] = (holder, device, machine.pid)

    def _show(self, volume: str, machine: Machine, device: str) -> bool:
        # A machine that has just been switched on has no /dev of its own yet.
        if not _inside(machine, "/run/systemd/system").exists():
            return False
        node = os.stat(self._devices[volume]).st_rdev
        os.mknod(_inside(machine, device), stat.S_IFBLK | 0o660, node)
        return True


def _inside(machine: Machine, path: str) -> Path:
    return Path(f"/proc/{machine.pid}/root") / path.lstrip("/")


def _detach(device: str) -> None:
    subprocess.run(["losetup", "--detach", device], check=True)


def clean() -> None:
    """Removes what a lab that was killed has left."""
    listed = subprocess.run(
        ["losetup", "--noheadings", "--raw", "--output", "NAME,BACK-FILE"], check=True, capture_output=True, text=True
    )
    for line in listed.stdout.splitlines():
        device, _, file = line.partition(" ")
        if file.startswith(f"{FOLDER}/"):
            _detach(device)
    shutil.rmtree(FOLDER, ignore_errors=True)
