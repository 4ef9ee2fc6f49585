#!/usr/bin/env bash
# What every script of this folder shares: where the cache is, how a step is announced, how a missing tool is installed.
# Sourced, never run. It changes nothing by itself.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${CHAOS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/etcd-chaos}
target_directory=${CARGO_TARGET_DIR:-$repository/target}

# Incremental builds help nobody here, and rustc 1.95 has crashed on them now and then.
export CARGO_INCREMENTAL=0

# say TEXT: one line of progress that stands out from the output of tools.
# scenario_files [CLUSTER]: the bundled scenarios that can run on this kind of cluster. kind's one storage class cannot let volumes grow, and
# it has no second one.
scenario_files() {
    if [ "${1:-sandbox}" = kind ]; then grep -L 'storageClassName: fast' scenarios/*.yaml; else printf '%s\n' scenarios/*.yaml; fi
}

# encrypted_scenarios FOLDER: the scenarios with TLS, each with every minor, written there; a line each with the file.
encrypted_scenarios() {
    local file minor name
    mkdir -p "$1"
    for file in scenarios/writes-encrypted*.yaml; do
        for minor in 3.5.35 3.6.16 3.7.3; do
            name="$(basename "$file" .yaml)-${minor//./-}"
            sed "s/^name: .*/name: $name/; s/version: 3[.]6[.]16/version: $minor/" "$file" > "$1/$name.yaml"
            echo "$1/$name.yaml"
        done
    done
}

say() { printf '\n== %s\n' "$*"; }

# fail TEXT: what is wrong and what to do about it; exit code 2, as for every error of ours.
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }

# need_debian_packages NAME…: installs the ones that are missing, and says which.
need_debian_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    [ "$(id -u)" -eq 0 ] || fail "missing Debian packages: ${missing[*]}; run this as root, or install them yourself"
    say "installing from Debian: ${missing[*]}"
    # One at a time: who waits for dpkg's lock must not find the policy of another, who takes it away.
    mkdir -p "$cache"
    ( flock 7 && install_without_services "${missing[@]}" ) 7> "$cache/packages.lock" \
        || fail "failed to install ${missing[*]}: is the Debian mirror reachable?"
}

# install_without_services NAME…: what we install is started by us alone, so no service of it runs, now or after the next boot.
install_without_services() {
    local policy=/usr/sbin/policy-rc.d mark='# made by ci/lib.sh' before
    # One with our mark is left from an installation that was killed.
    if [ ! -e "$policy" ] || grep -qxF "$mark" "$policy"; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\n%s\nexit 101\n' "$mark" > "$policy"
        chmod 755 "$policy"
    fi
    before=$(enabled_services)
    install_debian_packages "$@" || return
    comm -13 <(echo "$before") <(enabled_services) | xargs --no-run-if-empty rm -f
}

# enabled_services: what systemd would start by itself.
enabled_services() { find /etc/systemd/system -path '*.wants/*' -type l 2>/dev/null | LC_ALL=C sort; }

# install_debian_packages NAME…: with the lists that are there, or else with new ones.
install_debian_packages() {
    local apt=(apt-get -o DPkg::Lock::Timeout=300 -qq)
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 && return 0
    "${apt[@]}" update >/dev/null
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
}

# need_command NAME HINT: refuses to go on without a tool that we do not install ourselves.
need_command() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

# need_build_tools: what `cargo build` needs beside Rust: the etcd client compiles protocol definitions.
need_build_tools() {
    need_command cargo "install Rust 1.95 or newer (https://rustup.rs)"
    need_command cc "install a C compiler (Debian: gcc libc6-dev)"
    need_debian_packages protobuf-compiler libprotobuf-dev
}

# need_bare_packages: what bare clusters take from the distribution.
need_bare_packages() { need_debian_packages containerd runc containernetworking-plugins catatonit nftables mount; }

# need_kind_packages: what a container engine and our node image take from the distribution. An engine that is there is kept.
need_kind_packages() {
    need_bare_packages
    need_debian_packages mmdebstrap debian-archive-keyring busybox-static jq iptables iproute2 procps util-linux
    command -v dockerd >/dev/null || need_debian_packages docker.io
}

# need_cargo_deny: the checker of dependencies, built once into the cache; its path is $cargo_deny then.
need_cargo_deny() {
    local root="$cache/tools/cargo-deny-0.20.2"
    cargo_deny="$root/bin/cargo-deny"
    [ -x "$cargo_deny" ] && return 0
    cargo install --quiet --locked --root "$root" --target-dir "$root/build" cargo-deny@0.20.2
    rm -rf "$root/build"
}

# The version of the `kind` program, and of the sources that our node image is made from.
kind_version=v0.33.0

# need_kind: the program that makes clusters in Docker, built once into the cache and put first in PATH, unless one is there.
need_kind() {
    local tools="$cache/tools/kind-$kind_version"
    command -v kind >/dev/null && return 0
    if [ ! -x "$tools/kind" ]; then
        need_command go "install Go 1.26 or newer (https://go.dev/dl)"
        GOBIN="$tools" CGO_ENABLED=0 go install -trimpath "sigs.k8s.io/kind@$kind_version"
    fi
    PATH="$tools:$PATH"
}

# need_crane: what talks to registries, built once into the cache; its path is $crane then.
need_crane() {
    local version=v0.20.6
    crane="$cache/tools/crane-$version/crane"
    [ -x "$crane" ] && return 0
    need_command go "install Go 1.26 or newer (https://go.dev/dl)"
    GOBIN="$(dirname "$crane")" CGO_ENABLED=0 go install -trimpath "github.com/google/go-containerregistry/cmd/crane@$version"
}

# release_tag: the version of the workspace, as the tag of its images.
release_tag() { sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/v\1/p' "$repository/Cargo.toml"; }

# image_architecture: this machine's processor, as images call it.
image_architecture() {
    case "$(uname -m)" in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) fail "no image is made for $(uname -m)" ;;
    esac
}

# built_programs PROFILE: the folder into which cargo puts programs: `debug` or `release`.
built_programs() { echo "$target_directory/$(rustc -vV | sed -n 's/^host: //p')/$1"; }

# example_of PAGE: the EtcdCluster that it shows.
example_of() { awk '/^```yaml$/ { on = 1; next } /^```/ { on = 0 } on' "$1"; }

# Where the engine of ci/engine answers in its own namespace.
engine_address=172.17.0.1

# seconds_since START: whole seconds since a value of $SECONDS.
seconds_since() { echo $((SECONDS - $1)); }
