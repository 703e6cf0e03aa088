
# Another service, named as the SDKs read it: buckets are parts of the path there.
endpoint=${AWS_ENDPOINT_URL_S3:-${AWS_ENDPOINT_URL:-}}
if [ -n "$endpoint" ]; then
    host=${endpoint#*://}
    root=/$bucket
else
    endpoint=https://$host
fi

say() { echo "kops: $*"; }
stop() { say "$*"; say "this machine will not become a node"; exit 1; }

# The metadata service, version 2: every answer needs a token.
metadata() {
    token=$(curl -sSf --retry 9 --retry-delay 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
        http://169.254.169.254/latest/api/token) || return 1
    curl -sSf --retry 9 --retry-delay 2 -H "X-aws-ec2-metadata-token: $token" \
        "http://169.254.169.254/latest/meta-data/$1"
}

field() { printf '%s' "$credentials" | tr -d '\n' | sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p'; }
sha256() { openssl dgst -sha256 "$@" | sed 's/.* //'; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
hmac() { printf '%s' "$2" | sha256 -mac HMAC -macopt "hexkey:$1"; }

# fetch PATH FILE: an object of the state store, with a request signed as SigV4 wants it. curl signs by itself only
# since 7.75, and the token of a role's credentials only since 7.86.
fetch() {
    role=$(metadata iam/security-credentials/) || return 1
    credentials=$(metadata "iam/security-credentials/$role") || return 1
    session=$(field Token)
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
    # Headers go through a pipe: arguments can be seen by every process.
    printf 'header = "%s"\n' \
        "Authorization: AWS4-HMAC-SHA256 Credential=$(field AccessKeyId)/$scope, SignedHeaders=$signed, Signature=$(hmac "$key" "$text")" \
        "x-amz-content-sha256: $empty" "x-amz-date: $now" "x-amz-security-token: $session" |
        curl -sSf --config - -o "$2" "$endpoint$root$1"
}

# get WHAT PATH SHA256 FILE: fetches until it is there, and takes nothing but what was meant.
get() {
    tries=0
    until fetch "$2" "$4.part"; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || stop "cannot fetch $1 from $endpoint$root$2"
        sleep 5
    done
    found=$(sha256 "$4.part")
    [ "$found" = "$3" ] || stop "$1 from $endpoint$root$2 has SHA-256 $found, expected $3"
    mv "$4.part" "$4"
}

command -v curl >/dev/null && command -v openssl >/dev/null || stop "curl and openssl are needed; this image lacks one"
umask 077
mkdir -p /opt/kops/bin /opt/kops/conf
get "the node configuration" "$config_path" "$config_sha256" /opt/kops/conf/node.yaml
[ -n "$program_sha256" ] || stop "no kops-node program was published to the state store when this machine's group was updated"
get "the kops-node program" "$program_path" "$program_sha256" /opt/kops/bin/kops-node
chmod 0755 /opt/kops/bin/kops-node
exec /opt/kops/bin/kops-node --config /opt/kops/conf/node.yaml
