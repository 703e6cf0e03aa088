"""The command."""

import argparse
import sys

from . import requirements


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab/run", description="Real machines for an emulated AWS. See lab/README.md.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="start a lab in the background")
    verbs.add_parser("down", help="end it; nothing is left")
    for verb, what in (("exec", "run a command in the lab's network"), ("on", "run a command on a machine: ID COMMAND…")):
        verbs.add_parser(verb, help=what).add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("inside")
    arguments = parser.parse_args()

    if arguments.verb == "up" and (lacks := requirements.missing()):
        print(f"SKIPPED: the boot lab needs {'; '.join(lacks)}", flush=True)
        return 0
    from . import inside, machine, session

    try:
        match arguments.verb:
            case "inside":
                inside.main()
            case "up":
                session.start()
            case "down":
                session.stop()
            case "exec":
                return session.execute(arguments.command)
            case "on":
                name, *command = arguments.command
                return session.execute([*machine.enter(name), *command])
    except session.Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
