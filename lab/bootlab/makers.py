"""What the makers of programs publish, on a server of the lab: files of their names and layout, made from Debian's packages."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from . import places

# Of no maker: a hash that kops knows would not be theirs.
CONTAINERD, RUNC = "1.6.20-lab", "1.1.5-lab"
PACKAGES = "containerd,runc,containernetworking-plugins"


def make(suite: str) -> None:
    """Makes the files, once."""
    if places.MAKERS.exists():
        return
    root = places.CACHE / "makers-root"
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["mmdebstrap", "--quiet", "--variant=extract", f"--include={PACKAGES}", suite, str(root)], check=True)
    unfinished = places.CACHE / "makers-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    containerd = unfinished / f"containerd/containerd/releases/download/v{CONTAINERD}/containerd-{CONTAINERD}-linux-amd64.tar.gz"
    names = ("containerd", "containerd-shim-runc-v2", "ctr")
    _write(containerd, _archive({f"bin/{name}": root / "usr/bin" / name for name in names}), f"{containerd.name}.sha256sum")
    runc = unfinished / f"opencontainers/runc/releases/download/v{RUNC}/runc.amd64"
    _write(runc, (root / "usr/sbin/runc").read_bytes(), "runc.sha256sum")
    # Its version follows from that of Kubernetes, and its hash is known: this one is published in the state store.
    plugins = unfinished / "cni-plugins-linux-amd64-lab.tgz"
    _write(plugins, _archive({f"./{file.name}": file for file in (root / "usr/lib/cni").iterdir()}), f"{plugins.name}.sha256")
    shutil.rmtree(root)
    unfinished.rename(places.MAKERS)


def plugins() -> Path:
    """The archive of the network plugins."""
    return places.MAKERS / "cni-plugins-linux-amd64-lab.tgz"


def serve() -> subprocess.Popen:
    """Serves them to the lab's network."""
    command = [sys.executable, "-m", "http.server", "--bind", str(places.AWS), str(places.MAKERS_PORT)]
    with (places.RUN / "makers.log").open("wb") as log:
        return subprocess.Popen([*command, "--directory", str(places.MAKERS)], stdout=log, stderr=log)


def _archive(files: dict[str, Path]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, file in files.items():
            archive.add(file, arcname=name)
    return packed.getvalue()


def _write(file: Path, contents: bytes, checksum: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(contents)
    (file.parent / checksum).write_text(f"{hashlib.sha256(contents).hexdigest()}  {file.name}\n")
