"""A lab from inside: the first process of its namespaces."""

import subprocess
import threading

from . import fabric, image, makers, metadata, places, session
from .aws import Aws
from .world import World, say


def main() -> None:
    """Runs until it is killed."""
    fabric.set_up()
    testbed = subprocess.Popen(
        [places.PROJECT / "target/debug/kops-testbed", f"{places.AWS}:80", places.RUN], stdout=subprocess.PIPE, text=True
    )
    # It says where it listens once it does, and then tells every call.
    if not testbed.stdout.readline():
        raise SystemExit("the emulated AWS did not start")
    threading.Thread(target=_keep, args=(testbed,), daemon=True).start()
    makers.serve()
    aws = Aws()
    world = World(aws, image.layers())
    service = metadata.server(aws, world.at)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    session.READY.touch()
    say("ready")
    world.run()


def _keep(testbed: subprocess.Popen) -> None:
    with (places.RUN / "calls").open("w", buffering=1) as calls:
        for line in testbed.stdout:
            calls.write(line)
