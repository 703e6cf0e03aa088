"""Images of containers, made from files: the lab has no registry."""

import hashlib
import io
import json
import tarfile
from pathlib import Path


def _tar(entries: dict[str, tuple[bytes | str, int]]) -> bytes:
    """A tar archive. Text stands for a symbolic link to it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, (content, mode) in entries.items():
            info = tarfile.TarInfo(name)
            info.mode = mode
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def write_image(path: Path, names: list[str], command: list[str], files: dict[str, bytes | str]) -> None:
    """Writes an image of one layer, in the layout that `ctr images import` reads.

    https://github.com/opencontainers/image-spec/blob/main/image-layout.md
    """
    blobs: dict[str, bytes] = {}

    def store(content: bytes | dict, media_type: str) -> dict:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    kind = "application/vnd.oci.image"
    layer = store(_tar({name: (content, 0o755) for name, content in files.items()}), f"{kind}.layer.v1.tar")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": command, "Env": ["PATH=/bin"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    config = store(config, f"{kind}.config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": config, "layers": [layer]}
    manifest = store(manifest, f"{kind}.manifest.v1+json")
    named = [{**manifest, "annotations": {"io.containerd.image.name": name}} for name in names]
    entries = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": named}).encode(),
        **{f"blobs/sha256/{digest}": data for digest, data in blobs.items()},
    }
    path.write_bytes(_tar({name: (content, 0o644) for name, content in entries.items()}))
