
# Another service, named as the SDKs read it: buckets are parts of the path there.
endpoint=${AWS_ENDPOINT_URL_S3:-${AWS_ENDPOINT_URL:-}}
if [ -n "$endpoint" ]; then
    host=${endpoint#*://}
    root=/$bucket
else
    endpoint=https://$host
fi

# The console is what people see who cannot get onto the machine.
say() {
    echo "kops: $*"
    { echo "kops: $*" >>/dev/console; } 2>/dev/null || :
}
# For what cannot be mended by trying again: the service is not started again.
stop() { say "this machine will not become a node: $*"; exit 78; }

# cloud-init runs this once in a machine's life, and other scripts wait for its end. A service goes on after a restart.
if [ "${1:-}" != run ]; then
    mkdir -p /opt/kops/bin
    cp "$0" /opt/kops/bin/bootstrap
    cat >/etc/systemd/system/kops-bootstrap.service <<'UNIT'
[Unit]
Description=Fetches the program that makes this machine a Kubernetes node
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0
# The program has a service of its own.
ConditionPathExists=!/etc/systemd/system/multi-user.target.wants/kops-node.service

[Service]
ExecStart=/bin/sh /opt/kops/bin/bootstrap run
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=78

[Install]
WantedBy=multi-user.target
UNIT
    # A machine that loses its power has all of it, or nothing.
    sync
    systemctl daemon-reload
    systemctl enable --quiet kops-bootstrap.service
    systemctl start --no-block kops-bootstrap.service
    exit
fi

# The metadata service, version 2: every answer needs a token. It is on the same host, behind no proxy.
imds() { curl -q -sSf --noproxy '*' --connect-timeout 2 --max-time 5 "$@"; }
metadata() { imds -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"; }

field() { printf '%s' "$credentials" | tr -d '\n' | sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p'; }
element() { tr -d '\n' <"$2" | sed -n 's/.*<'"$1"'>\([^<]*\)<.*/\1/p'; }
sha256() { openssl dgst -sha256 "$@" | sed 's/.* //'; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
hmac() { printf '%s' "$2" | sha256 -mac HMAC -macopt "hexkey:$1"; }

# fetch PATH FILE: an object of the state store, with a request signed as SigV4 wants it; $reason is why not. curl signs
# by itself only since 7.75, and the token of a role's credentials only since 7.86.
fetch() {
    reason='the metadata service (IMDSv2) gives no token; it must be enabled for this instance'
    token=$(imds -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token) ||
        return 1
    reason='the metadata service names no role of this instance'
    role=$(metadata iam/security-credentials/) && [ -n "$role" ] || return 1
    reason="the metadata service has no credentials of the role $role"
    credentials=$(metadata "iam/security-credentials/$role") || return 1
    session=$(field Token)
    [ -n "$session" ] || { reason="$reason: $(field Code)"; return 1; }
    now=$(date -u +%Y%m%dT%H%M%SZ)
    day=${now%%T*}
    scope="$day/$region/s3/aws4_request"
    signed='host;x-amz-content-sha256;x-amz-date;x-amz-security-token'
    empty=$(printf '' | sha256)
    request=$(printf 'GET\n%s\n\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\nx-amz-security-token:%s\n\n%s\n%s' \
        "$root$1" "$host" "$empty" "$now" "$session" "$signed" "$empty")
    text=$(printf 'AWS4-HMAC-SHA256\n%s\n%s\n%s' "$now" "$scope" "$(printf '%s' "$request" | sha256)")
    key=$(printf 'AWS4%s' "$(field SecretAccessKey)" | hex)
    for part in "$day" "$region" s3 aws4_request; do key=$(hmac "$key" "$part"); done
    # Headers go through a pipe: arguments can be seen by every process. A transfer may be slow, but not stand still.
    status=$(printf 'header = "%s"\n' \
        "Authorization: AWS4-HMAC-SHA256 Credential=$(field AccessKeyId)/$scope, SignedHeaders=$signed, Signature=$(hmac "$key" "$text")" \
        "x-amz-content-sha256: $empty" "x-amz-date: $now" "x-amz-security-token: $session" |
        curl -q -sS --connect-timeout 10 --speed-limit 1000 --speed-time 60 --config - \
            -o "$2" -w '%{http_code}' "$endpoint$root$1" 2>"$2.error") ||
        { reason=$(tail -n 1 "$2.error"); return 1; }
    [ "$status" != 200 ] || return 0
    code=$(element Code "$2")
    reason="S3 answers $status $code: $(element Message "$2")"
    case $code in
        # S3 does not tell that an object is missing unless the role may list the bucket.
        AccessDenied) reason="it is not there yet, or the role $role may not read it ($status $code)" ;;
        NoSuchKey) reason="it is not there yet ($status $code)" ;;
        RequestTimeTooSkewed) reason="this machine's clock is wrong: it says $now ($status $code)" ;;
        PermanentRedirect | IllegalLocationConstraintException | AuthorizationHeaderMalformed)
            reason="the bucket $bucket is not in $region ($status $code)" ;;
    esac
    return 1
}

# get WHAT PATH SHA256 FILE: fetches until it is there, less and less often, and takes nothing but what was meant.
get() {
    [ ! -e "$4" ] || [ "$(sha256 "$4")" != "$3" ] || return 0
    pause=2
    while :; do
        if fetch "$2" "$4.part"; then
            found=$(sha256 "$4.part")
            [ "$found" != "$3" ] || break
            reason="it has SHA-256 $found, expected $3"
        fi
        say "cannot fetch $1 from $endpoint$root$2: $reason; trying again in $pause s"
        sleep "$pause"
        pause=$((pause * 2))
        [ "$pause" -le 120 ] || pause=120
    done
    mv "$4.part" "$4"
}

command -v curl >/dev/null && command -v openssl >/dev/null || stop "curl and openssl are needed; this image lacks one"
umask 077
mkdir -p /opt/kops/bin /opt/kops/conf
get "the node configuration" "$config_path" "$config_sha256" /opt/kops/conf/node.yaml
[ -n "$program_sha256" ] || stop "no kops-node program was published to the state store when its group was updated"
get "the kops-node program" "$program_path" "$program_sha256" /opt/kops/bin/kops-node
chmod 0755 /opt/kops/bin/kops-node
/opt/kops/bin/kops-node --config /opt/kops/conf/node.yaml || { say "kops-node ended with exit status $?"; exit 1; }
