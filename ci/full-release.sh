#!/usr/bin/env bash
# The stage `release` of ci/full: all that the hosted workflow does for a tag but signing, on this machine's kind of processor and
# with a registry of its own on the loopback interface. Sourced by ci/full, never run.

# start_registry FOLDER: leaves its port in $registry_port and its process in $registry_process.
start_registry() {
    mkdir -p "$1"
    "$crane" registry serve --address 127.0.0.1:0 --disk "$1" > "$work/release/registry.log" 2>&1 &
    registry_process=$!
    registry_port=''
    while [ -z "$registry_port" ]; do
        kill -0 "$registry_process" 2>/dev/null || fail "the registry did not start: $(tail -n 1 "$work/release/registry.log")"
        registry_port=$(sed -n 's/.*serving on port \([0-9]*\).*/\1/p' "$work/release/registry.log")
        sleep 0.1
    done
}

# wrong_in_release REGISTRY: prints what is not as it must be.
wrong_in_release() {
    local files="$target_directory/release-files" unpacked="$work/release/unpacked" program image built
    built=$(built_programs release)
    (cd "$files" && sha256sum --check --quiet SHA256SUMS) || echo "A checksum differs."
    image="$1/etcd-operator@$("$crane" digest "$1/etcd-operator:$(release_tag)")"
    [ "$(grep -c "$image" "$files/install.yaml")" -eq 2 ] || echo "The manifest does not name the image that was pushed."
    mkdir -p "$unpacked"
    for program in etcd-operator chaos; do
        image=$(grep "/$program@" "$files/images.txt")
        "$crane" export --platform "linux/$(image_architecture)" "$image" - | tar -C "$unpacked" -xf -
        cmp -s "$unpacked/$program" "$built/$program" || echo "The image of $program holds another program than was built."
    done
}

stage_release() {
    local registry wrong
    need_crane
    ci/image
    rm -rf "$work/release" "$target_directory/release-files" && mkdir -p "$work/release"
    start_registry "$work/release/registry"
    registry="127.0.0.1:$registry_port/team"
    ci/release push "$registry" && ci/release publish "$registry" "$(image_architecture)"
    wrong=$(wrong_in_release "$registry")
    kill "$registry_process"
    head_of_result release "A release, pushed to a registry of its own and pulled from there"
    { printf '```\n'; cat "$target_directory/release-files/SHA256SUMS"; printf '```\n\n%s\n' "${wrong:-All as it must be.}"; } >> ci/results/release.md
    cat ci/results/release.md
    [ -z "$wrong" ]
}
