"""The command."""

import argparse
import sys

from . import places, requirements


def main() -> int:
    root = argparse.ArgumentParser(prog="lab/run", description="Real machines for an emulated AWS. See lab/README.md.")
    verbs = root.add_subparsers(dest="verb", required=True)
    up_parser = verbs.add_parser("up", help="start a lab in the background")
    verbs.add_parser("down", help="end it; nothing is left")
    for verb, what in (("exec", "run a command in the lab's network"), ("on", "run a command on a machine: ID COMMAND…")):
        verbs.add_parser(verb, help=what).add_argument("command", nargs=argparse.REMAINDER)
    trial_parser = verbs.add_parser("try", help="start a lab, and in it a cluster that lives through everything")
    trial_parser.add_argument("--keep", action="store_true", help="leave the lab as it is at the end")
    for parser in (up_parser, trial_parser):
        parser.add_argument("--baked", action="store_true", help="programs of Kubernetes are in the machines' image")
    for parser in (trial_parser, verbs.add_parser("trial")):
        parser.add_argument("--masters", type=int, choices=(1, 3), default=1)
        parser.add_argument("--workers", type=int, default=2)
        parser.add_argument("--balancer", choices=("classic", "network"), help="another load balancer than `kops` chooses")
        parser.add_argument("--state-region", default=places.REGION, help="the region of the bucket with the state")
        parser.add_argument("--members", action="store_true", help="instead, one master becomes three and one again")
    verbs.add_parser("inside")
    arguments = root.parse_args()

    if arguments.verb in ("up", "try") and (lacks := requirements.missing()):
        print(f"SKIPPED: the boot lab needs {'; '.join(lacks)}", flush=True)
        return 0
    from . import inside, machine, masters, session, trial
    from .cluster import Options

    try:
        match arguments.verb:
            case "inside":
                inside.main()
            case "up":
                session.start(arguments.baked)
            case "down":
                session.stop()
            case "trial":
                life = masters.live if arguments.members else trial.live
                options = Options(arguments.masters, arguments.workers, arguments.balancer, arguments.state_region)
                trial.main(options, life)
            case "try":
                session.start(arguments.baked)
                options = ["--masters", str(arguments.masters), "--workers", str(arguments.workers)]
                options += ["--state-region", arguments.state_region]
                options += ["--balancer", arguments.balancer] if arguments.balancer else []
                options += ["--members"] if arguments.members else []
                status = session.execute([sys.executable, "-m", "bootlab", "trial", *options])
                if not arguments.keep:
                    session.stop()
                return status
            case "exec":
                return session.execute(arguments.command)
            case "on":
                name, *command = arguments.command
                if name not in machine.running():
                    raise session.Failed(f"there is no machine {name}, only: {' '.join(machine.running())}")
                return session.execute([*machine.enter(name), *command])
    except session.Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
