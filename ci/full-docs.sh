#!/usr/bin/env bash
# The stage `docs` of ci/full: every command of the README's three ways in, of operator/docs and of scenarios/README.md is run as it is
# written; but for the one of the workflow, on kind in an engine of its own, with a registry that answers at registry.example.com.
# Sourced by ci/full, never run.

# commands_of PAGE: what its blocks say to run, in order; of blocks that show a prompt, what comes after it.
commands_of() {
    awk '/^```(sh|console)$/ { on = 1; console = /console/; next } /^```/ { on = 0 }
        on && !console { print } on && console && sub(/^\$ /, "") { print }' "$1"
}

# way_in FIRST NEXT: the README from the line that begins with FIRST to the one that begins with NEXT.
way_in() { awk -v first="**$1" -v next_one="**$2" 'index($0, first) == 1 { on = 1 } index($0, next_one) == 1 { on = 0 } on' README.md; }

# page TITLE: writes the standard input down, for functions that read pages by name.
page() { cat > "$work/docs/$1.md"; echo "$work/docs/$1.md"; }

# follow TITLE: runs the commands of the standard input one after the other, in one shell, as a reader does. What watches until it is
# stopped is stopped after a while.
follow() {
    local script="$work/docs/$1.sh" log="$work/docs/$1.log" code=0
    { echo 'set -euo pipefail'; sed -E 's/^(.* -w)$/timeout 20 \1 || [ $? -eq 124 ]/'; } > "$script"
    [ "$(wc -l < "$script")" -gt 1 ] || fail "$1 has no commands where they are looked for: see ci/full-docs.sh"
    # The first failure ends the page. Each command is printed before it runs.
    PATH="$work/docs/bin:$PATH" bash -v "$script" > "$log" 2>&1 < /dev/null || code=$?
    printf '| %s | %s | %s |\n' "$1" "$(tail -n +2 "$script" | grep -c .)" \
        "$([ "$code" -eq 0 ] && echo "all ran" || tail -n 1 "$log" | tr '|' '/')" >> ci/results/docs.md
    [ "$code" -eq 0 ] || tail -n 15 "$log"
    return "$code"
}

stage_docs() {
    need_debian_packages skopeo docker-registry openssl
    # Both builds need the network, which is not there in the engine.
    ci/image
    [ ! -e example.yaml ] && [ ! -e junit.xml ] || fail "example.yaml or junit.xml is in the way: the pages make their own"
    in_engine docs_in_engine
    # The workflow's own command, without what only a hosted machine needs.
    way_in 'I want a verdict' 'Not yet' | sed -n 's/^ *- run: sudo env "PATH=$PATH" "HOME=$HOME" //p' | follow README-in-CI
    rm -f junit.xml
    cat ci/results/docs.md
}

# start_example_registry FOLDER: answers at registry.example.com, which this namespace and every node then know and trust.
start_example_registry() {
    local node
    mkdir -p "$1"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry.example.com -addext subjectAltName=DNS:registry.example.com \
        -keyout "$1/key.pem" -out "$1/certificate.pem" 2>/dev/null
    cat > "$1/config.yaml" <<END
version: 0.1
storage: { filesystem: { rootdirectory: $1/images } }
http: { addr: "$engine_address:443", tls: { certificate: $1/certificate.pem, key: $1/key.pem } }
END
    docker-registry serve "$1/config.yaml" > "$1/log" 2>&1 &
    { cat /etc/hosts; echo "$engine_address registry.example.com"; } > "$1/hosts"
    mount --bind "$1/hosts" /etc/hosts
    export SSL_CERT_FILE="$1/certificate.pem"
    for node in $(kind get nodes --quiet --name "$2"); do
        docker exec -i "$node" sh -c 'cat >> /etc/ssl/certs/ca-certificates.crt' < "$1/certificate.pem"
        docker exec "$node" sh -c "echo $engine_address registry.example.com >> /etc/hosts && systemctl restart containerd"
    done
}

stage_docs_in_engine() {
    local name="docs-$$" failures=0
    need_engine
    rm -rf "$work/docs" && mkdir -p "$work/docs/bin"
    ln -sfn "$cache/bin/kubectl" "$work/docs/bin/kubectl" && ln -sfn "$chaos" "$work/docs/bin/chaos"
    trap 'rm -f example.yaml; "$chaos" cluster down --cluster kind --name "docs-$$"' EXIT
    KUBECONFIG=$("$chaos" cluster up --cluster kind --name "$name")
    export KUBECONFIG
    start_example_registry "$work/docs/registry" "chaos-$name"
    "$cache/bin/kubectl" create namespace team-a >/dev/null
    head_of_result docs "Every command of the pages, run as it is written on a kind cluster"
    printf '| page | lines | result |\n|---|---|---|\n' >> ci/results/docs.md
    example_of operator/docs/install.md > example.yaml
    commands_of "$(way_in 'I have a cluster' 'I use kind' | page first)" | follow README-cluster || failures=1
    # While the cluster of the page exists.
    { commands_of "$(sed '/^## Uninstall/,$d' operator/docs/install.md | page install)"; commands_of operator/docs/reasons.md; } |
        follow install || failures=1
    commands_of "$(sed -n '/^## Uninstall/,$p' operator/docs/install.md | page uninstall)" | follow uninstall || failures=1
    # A reader of this path has no cluster yet, and two beside each other are more than two cores start in time.
    "$chaos" cluster down --cluster kind --name "$name"
    commands_of "$(way_in 'I use kind' 'I want a verdict' | page second)" | follow README-kind || failures=1
    commands_of scenarios/README.md | follow scenarios || failures=1
    return $failures
}
