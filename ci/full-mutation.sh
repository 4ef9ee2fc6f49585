#!/usr/bin/env bash
# Mutation testing of the deciding code, a stage of ci/full: each small change of a rule must be noticed by a test.
# Sourced, never run.

# What is mutated: where rules are decided. Tests of the whole crate judge.
mutated=('operator/core/src/cluster/plan/**' 'operator/core/src/gate/**' 'operator/core/src/cluster/world/**' operator/core/src/quorum.rs
    'operator/core/src/cluster/status/**')

# need_cargo_mutants: built once into the cache and put first in PATH.
need_cargo_mutants() {
    local version=27.1.0 root="$cache/tools/cargo-mutants"
    [ -x "$root/bin/cargo-mutants" ] ||
        cargo install --quiet --locked --root "$root" --target-dir "$root/build" "cargo-mutants@$version"
    PATH="$root/bin:$PATH"
}

# need_cargo_nextest: ends at the first test that fails, where cargo test runs all of them. Of a change that is noticed nothing more is asked.
need_cargo_nextest() {
    local version=0.9.140 root="$cache/tools/cargo-nextest"
    [ -x "$root/bin/cargo-nextest" ] ||
        cargo install --quiet --locked --root "$root" --target-dir "$root/build" "cargo-nextest@$version"
    PATH="$root/bin:$PATH"
}

# count FILE: its lines; none if it is not there.
count() { if [ -f "$1" ]; then wc -l < "$1"; else echo 0; fi; }

# Resumes over commits: what was caught once is not tried again (--iterate), until target/ is removed. In a chance order, so that a night that
# is too short has tried something of each rule.
stage_mutation() {
    local found="$target_directory/mutation" code=0 file files=() minutes=()
    need_cargo_mutants
    need_cargo_nextest
    for file in "${mutated[@]}"; do files+=(--file "$file"); done
    [ "$deadline" -eq 0 ] || minutes=(timeout --signal INT $((deadline - SECONDS)))
    "${minutes[@]}" cargo mutants --package etcd-operator-core "${files[@]}" --output "$found" --iterate --timeout 600 \
        --test-tool nextest --baseline skip --shuffle --colors never --cargo-arg=--locked || code=$?
    write_mutation_result "$found/mutants.out"
    # 0: all were noticed; 2: some were not; 3: some ran out of time; others: cargo mutants itself failed or was told to end.
    [ "$code" -eq 0 ]
}

# write_mutation_result FOLDER: counts, and each survivor with its place. Why a survivor changes nothing is written by hand, in
# ci/mutation-survivors, one line for each, and printed beside it.
write_mutation_result() {
    local out=$1 line reason
    head_of_result mutation "Changes of single rules in the deciding code, and whether a test noticed"
    {
        printf '| noticed | not noticed | out of time | did not compile |\n|---|---|---|---|\n'
        printf '| %s | %s | %s | %s |\n' "$(count "$out/caught.txt")" "$(count "$out/missed.txt")" \
            "$(count "$out/timeout.txt")" "$(count "$out/unviable.txt")"
        [ ! -s "$out/missed.txt" ] || printf '\nNot noticed:\n\n'
        while read -r line; do
            reason=$(sed -n "s/^$(sed 's/[]\\/$*.^[]/\\&/g' <<<"${line#*: }")|//p" ci/mutation-survivors | head -n 1)
            printf -- '- `%s`: %s\n' "$line" "${reason:-no test names the rule yet}"
        done < <(cat "$out/missed.txt" 2>/dev/null)
    } >> ci/results/mutation.md
    cat ci/results/mutation.md
}
