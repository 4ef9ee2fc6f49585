#!/usr/bin/env bash
# The stages `fleet` and `speed` of ci/full: what 10, 100 and 1,000 clusters cost the operator, as the release build; and how fast a
# cluster starts and heals on real Kubernetes. Sourced by ci/full, never run.

stage_fleet() {
    local code=0 log="$work/fleet"
    say "building the operator for release"
    cargo build --locked --release --package etcd-operator
    FLEET_CLUSTERS=${FLEET_CLUSTERS:-10 100 1000} FLEET_OPERATOR="$(built_programs release)/etcd-operator" \
        cargo test --locked --workspace --test it -- --ignored --nocapture what_a_fleet_costs > "$log" 2>&1 || code=$?
    head_of_result fleet "What a fleet costs the operator (release build), in one run"
    { sed -n '/^|/p; /^$/p; /^From /p' "$log" | cat -s | sed '1{/^$/d}'
      printf '\n%s\n' "$([ "$code" -eq 0 ] && echo "All within the limits of operator/tests/it/fleet/cost.rs." || grep -m 1 'lists at rest\|a second at rest\|of a core\|MiB$\|repairs took\|a dead member showed' "$log" || echo "Failed.")"
    } >> ci/results/fleet.md
    cat ci/results/fleet.md
    return $code
}

stage_speed() {
    local code=0 log="$work/speed"
    need_bare_packages
    CHAOS_TEST_CLUSTER=bare cargo test --locked --workspace --test it -- --ignored --nocapture --test-threads 1 how_fast > "$log" 2>&1 || code=$?
    head_of_result speed "How fast a cluster starts, heals and comes to another version on a bare cluster, beside a plain StatefulSet of the same etcd"
    # Tables, each after a line of its own.
    sed -n '/^|/p;/^$/p' "$log" | cat -s >> ci/results/speed.md
    [ "$code" -eq 0 ] || echo "Failed." >> ci/results/speed.md
    cat ci/results/speed.md
    return $code
}
