"""Runs moto as an HTTP server for the testbed.

Started with `python3 -c`, with one JSON argument: {"images": [...], "corrections": "...", "machines": "folder"}, where
no corrections leave moto as it is. Prints the port it listens on, and exits as
soon as standard input closes, so that it never outlives the process that started it.
"""

import json
import os
import sys
import threading

os.environ.update(
    MOTO_ENABLE_AMI_VALIDATION="1",
    MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION="1",
    MOTO_ENABLE_KEYPAIR_VALIDATION="1",
    MOTO_IAM_LOAD_MANAGED_POLICIES="true",
)

NOT_INSTALLED = 78
SERVICES = ("ec2", "autoscaling", "elb", "elbv2", "iam", "route53", "s3", "sts")

try:
    from moto import settings
    from moto.backends import get_backend
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.core.utils import utcnow
    from moto.ec2.models import amis
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server
except ImportError as missing:
    print(missing, file=sys.stderr)
    sys.exit(NOT_INSTALLED)


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_arguments):
        pass


def seed_images(images):
    """Replaces moto's stock images, which are old and take long to load, by those that clusters use."""

    def load(backend):
        for image in images:
            backend.amis[image["ami_id"]] = amis.Ami(backend, creation_date=utcnow(), **image)

    amis.AmiBackend._load_amis = load


def exit_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    threading.Thread(target=exit_with_parent, daemon=True).start()
    config = json.loads(sys.argv[1])
    seed_images(config["images"])
    if config["corrections"]:
        corrections = {}
        exec(config["corrections"], corrections)
        corrections["correct_moto"](config["machines"])
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    print(server.port, flush=True)
    server.serve_forever()


main()
