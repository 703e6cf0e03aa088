"""What machines start from: a Debian that knows nothing of Kubernetes, and over it what only the lab needs.

The two are layers below every machine's own disk (overlayfs), and are never written to.
"""

import hashlib
import lzma
import os
import shutil
import subprocess
from pathlib import Path

from . import makers, oci, places
from .requirements import ETCD, KUBERNETES, kubernetes_source

SUITE = "bookworm"
# docs/nodes.md, "What the image must have", and what a Debian on EC2 has by itself.
PACKAGES = (
    "systemd systemd-sysv dbus udev cloud-init ifupdown isc-dhcp-client iproute2 kmod procps mount util-linux "
    "ca-certificates curl openssl iptables conntrack e2fsprogs "
    "etcd-server etcd-client busybox-static"
).split()

# Units that would act on the kernel or on hardware, both of which are the box's own, or that nobody needs here.
MASKED = (
    "systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service "
    "systemd-sysctl.service systemd-modules-load.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount "
    "sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount "
    "systemd-logind.service dbus-org.freedesktop.login1.service getty.target systemd-timesyncd.service "
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service "
    # kops-node has a unit of this name.
    "etcd.service"
).split()

# The image of a pod's namespaces, by its names in the versions of Kubernetes.
PAUSE = [f"registry.k8s.io/pause:{tag}" for tag in ("3.2", "3.9", "3.10", "3.10.1")]
APP = "lab/app:1"


def layers() -> list[Path]:
    """The layers of machines, the uppermost first."""
    return [places.CACHE / "layer", _debian()]


def make(is_baked: bool) -> None:
    """Makes the layers, as far as they are not there; with the programs of Kubernetes, if the image is to be baked."""
    places.CACHE.mkdir(parents=True, exist_ok=True)
    if not _debian().exists():
        _make_debian()
    # Cheap, so it is made anew every time.
    layer = places.CACHE / "layer"
    _make_layer(layer)
    _unpack_programs()
    makers.make(SUITE)
    if is_baked:
        # kops-node fetches only what is not there already, or is something else (docs/nodes.md).
        shutil.copytree(places.programs(), layer / "opt/kops/bin", copy_function=os.link)


def _debian() -> Path:
    recipe = hashlib.sha256(" ".join([SUITE, *PACKAGES]).encode()).hexdigest()[:12]
    return places.CACHE / f"debian-{recipe}"


def _make_debian() -> None:
    for old in places.CACHE.glob("debian-*"):
        shutil.rmtree(old)
    print("making the root file system of machines (some minutes, once)", flush=True)
    unfinished = places.CACHE / "debian-unfinished"
    packages = f"--include={','.join(PACKAGES)}"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", packages, SUITE, str(unfinished)], check=True)
    unfinished.rename(_debian())


def _make_layer(layer: Path) -> None:
    shutil.rmtree(layer, ignore_errors=True)
    shutil.copytree(places.LAB / "image", layer)
    units = layer / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")
    wanted = units / "multi-user.target.wants"
    wanted.mkdir()
    (wanted / "lab-images.service").symlink_to("../lab-images.service")
    environment = f"[Manager]\nDefaultEnvironment=AWS_ENDPOINT_URL={places.ENDPOINT}\n"
    _write(layer / "etc/systemd/system.conf.d/lab.conf", environment)
    _write(layer / "etc/resolv.conf", f"nameserver {places.RESOLVER}\n")
    # systemd gives a machine without an id a new one.
    _write(layer / "etc/machine-id", "")
    _make_images(layer / "opt/lab/images")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _make_images(folder: Path) -> None:
    folder.mkdir(parents=True)
    busybox = {"bin/busybox": (_debian() / "bin/busybox").read_bytes()}
    oci.write_image(folder / "pause.tar", PAUSE, ["/bin/busybox", "sleep", "2147483647"], busybox)
    # Answers every request with its own name.
    serve = "/bin/busybox hostname > /index.html; exec /bin/busybox httpd -f -p 8080 -h /"
    oci.write_image(folder / "app.tar", [f"docker.io/{APP}"], ["/bin/busybox", "sh", "-c", serve], busybox)


def _unpack_programs() -> None:
    """Puts the programs of Kubernetes and etcd where they can be published from (`kops create assets`)."""
    folder = places.programs()
    # Others may be of another version, and older.
    origin = places.CACHE / "programs-from"
    if not origin.exists() or origin.read_text() != str(kubernetes_source()):
        shutil.rmtree(folder, ignore_errors=True)
        _write(origin, str(kubernetes_source()))
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*KUBERNETES, *ETCD):
        packed, plain = (kubernetes_source() / f"{name}{end}" for end in (".xz", ""))
        source = plain if plain.exists() else packed
        program = folder / name
        if not source.exists():
            # Debian's etcd goes with the oldest version of Kubernetes; it has no etcdutl.
            program.unlink(missing_ok=True)
            if (_debian() / "usr/bin" / name).exists():
                shutil.copy2(_debian() / "usr/bin" / name, folder)
            continue
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            with source.open("rb") if source is plain else lzma.open(source) as text, program.open("wb") as out:
                shutil.copyfileobj(text, out)
            program.chmod(0o755)
