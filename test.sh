#!/usr/bin/env bash
# All tests. Installs the AWS emulator (PyPI: moto) if it is not there.
set -euo pipefail
cd "$(dirname "$0")"

if ! python3 -c 'import moto.server' 2>/dev/null; then
    python3 -m venv target/moto
    target/moto/bin/pip install --quiet 'moto[server,ec2,s3,autoscaling,elb,elbv2,iam,route53,ssm,sts]>=5.2.1,<6'
    export PATH="$PWD/target/moto/bin:$PATH"
fi
cargo test --workspace --locked "$@"
