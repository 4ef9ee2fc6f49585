#!/usr/bin/env bash
# The stage `kills` of ci/full: SIGKILL of the harness, the sandbox, the agent and the operator at seeded moments, after
# which nothing of a run may be left. Sourced by ci/full, never run.
#
# Every case has process, mount, network, IPC and host name namespaces of its own, with empty /tmp, /var/tmp and /run: all
# that is there before and after is the case's own, whatever else this machine does, and cases can run beside each other.

# What a run could leave behind, one thing a line.
leavings() {
    ps -eo stat=,comm=,args= | awk '$1 !~ /^Z/ && $2 !~ /^(bash|ps|awk|sort|comm|sleep|unshare)$/ { $1 = ""; print "process" $0 }'
    awk '{print "mount", $2}' /proc/mounts
    lsns --noheadings --output NS,TYPE | awk '{print "namespace", $1, $2}'
    ip -o link | awk -F': ' '{print "link", $2}'
    nft list tables | sed 's/^/nftables /'
    find /tmp /var/tmp /run /dev/shm -mindepth 1 | sed 's/^/file /'
    find "$cache/clusters" -mindepth 1 -maxdepth 1 -name "kills-$name" | sed 's/^/cluster /'
}

# left_behind FOLDER: what is there now and was not before; empty when all is gone. The kernel needs a moment to end
# what dies with its parent, so it is looked at until nothing is left, for ten seconds at most.
left_behind() {
    local look
    for look in $(seq 100); do
        leavings | LC_ALL=C sort > "$1/after"
        LC_ALL=C comm -13 "$1/before" "$1/after" > "$1/left"
        [ -s "$1/left" ] || return 0
        sleep 0.1
    done
    head -n 3 "$1/left" | tr '\n' ';'
}

# victims KIND SEED: the processes of that kind that run now. The sandbox is four processes, of which the seed takes one.
victims() {
    local roles=(sandbox-parent sandbox-init sandbox-server)
    case "$1" in
        sandbox) pgrep -f "^/proc/self/exe ${roles[$2 % 3]}( |$)" | head -n 1 ;;
        agent) pgrep -f '^/chaos agent ' | head -n 1 ;;
        operator) pgrep -f '^/etcd-operator run' | head -n 1 ;;
    esac
}

# seeded_seconds SEED LIMIT: the same moment for the same seed, below LIMIT seconds.
seeded_seconds() { awk -v seed="$1" -v limit="$2" 'BEGIN { srand(seed); printf "%.3f", rand() * limit }'; }

# await_victim KIND SEED HARNESS: its process ID, or nothing if the run ends first.
await_victim() {
    local found=''
    while [ -z "$found" ] && kill -0 "$3" 2>/dev/null; do
        found=$(victims "$1" "$2" || true)
        [ -n "$found" ] || sleep 0.02
    done
    echo "$found"
}

# pick_victim KIND SEED HARNESS LIMIT: waits for the seeded moment, then says whom to kill. An agent lives for as long as
# its fault, so its moments are counted from the first agent on, and those of all others from the start.
pick_victim() {
    if [ "$1" = agent ]; then
        await_victim agent "$2" "$3" > /dev/null
        sleep "$(seeded_seconds "$2" 3)"
    else
        sleep "$(seeded_seconds "$2" "$4")"
    fi
    if [ "$1" = harness ]; then echo "$3"; else await_victim "$1" "$2" "$3"; fi
}

# kill_in_own_sandbox FOLDER KIND SEED: a run whose sandbox ends with it.
kill_in_own_sandbox() {
    local folder=$1 kind=$2 seed=$3 harness victim code=0 left
    "$chaos" run --cluster sandbox --seed "$seed" --out "$folder/run" scenarios/quickstart.yaml >"$folder/output" 2>&1 &
    harness=$!
    victim=$(pick_victim "$kind" "$seed" "$harness" 20)
    [ -n "$victim" ] || { echo "no $kind was there to kill"; return; }
    kill -KILL "$victim" 2>/dev/null || { echo "the $kind was gone before it could be killed"; return; }
    wait "$harness" || code=$?
    left=$(left_behind "$folder")
    [ -z "$left" ] || { echo "left behind: $left"; return; }
    # A killed harness cannot write a report. Every other run must, and must not call the kill a violation.
    case "$kind:$code" in
        harness:137) echo ok ;;
        harness:*) echo "the harness ended with $code" ;;
        *:0 | *:2) if [ -s "$folder/run/report.html" ]; then echo ok; else echo "no report was written"; fi ;;
        *) echo "the run ended with $code" ;;
    esac
}

# kill_in_lasting_sandbox FOLDER KIND SEED: a run in a cluster that outlives it. Every fault must end by its own timer, and
# the operator must make the cluster whole again with nobody's help.
kill_in_lasting_sandbox() {
    local folder=$1 kind=$2 seed=$3 harness victim verdict=ok left
    "$chaos" cluster up --name "kills-$name" > "$folder/up" 2>&1 || { echo "cluster up failed"; return; }
    "$chaos" run --name "kills-$name" --keep --seed "$seed" --out "$folder/run" scenarios/quickstart.yaml > "$folder/output" 2>&1 &
    harness=$!
    victim=$(pick_victim "$kind" "$seed" "$harness" 16)
    if [ -z "$victim" ]; then verdict="no $kind was there to kill"
    else kill -KILL "$victim" 2>/dev/null || verdict="the $kind was gone before it could be killed"; fi
    wait "$harness" || true
    becomes_healthy "$cache/clusters/kills-$name/kubeconfig" > "$folder/health" 2>&1 || verdict='not healthy again within 120 s'
    "$chaos" cluster down --name "kills-$name" > "$folder/down" 2>&1 || verdict='cluster down failed'
    left=$(left_behind "$folder")
    [ -z "$left" ] || verdict="left behind: $left"
    echo "$verdict"
}

# becomes_healthy KUBECONFIG: every EtcdCluster says Ready. None at all is healthy too: the run was killed before it made one.
becomes_healthy() {
    local kubectl="$cache/bin/kubectl" clusters
    clusters=$("$kubectl" --kubeconfig "$1" get etcdclusters --all-namespaces --no-headers) || return 1
    [ -n "$clusters" ] || return 0
    # The status promises to be no more than 10 s behind, so what it said before that proves nothing.
    sleep 11
    "$kubectl" --kubeconfig "$1" wait etcdclusters --all --all-namespaces --for=condition=Ready --timeout=120s
}

# kill_inside WHERE FOLDER KIND SEED: one case, as the first process of its namespaces; its outcome goes to FOLDER/verdict.
kill_inside() {
    local where=$1 folder=$2 name="$1-$3-$4" place
    for place in /tmp /var/tmp /run; do mount -t tmpfs tmpfs "$place"; done
    ip link set lo up
    leavings | LC_ALL=C sort > "$folder/before"
    "kill_in_${where}_sandbox" "$folder" "$3" "$4" > "$folder/verdict.partial"
    mv "$folder/verdict.partial" "$folder/verdict"
}

# kill_once WHERE KIND SEED: one case, unless this commit has its verdict.
kill_once() {
    local folder="$work/kills/$1-$2/$3"
    [ -f "$folder/verdict" ] && return 0
    rm -rf "$folder" && mkdir -p "$folder"
    repository=$repository cache=$cache chaos=$chaos unshare --pid --mount --net --ipc --uts --fork --kill-child --mount-proc \
        bash -c 'set -euo pipefail; cd "$repository"; source ci/full-kills.sh; kill_inside "$@"' kill_inside \
        "$1" "$folder" "$2" "$3" > "$folder/errors" 2>&1 < /dev/null || true
    [ -f "$folder/verdict" ] || echo "the case itself failed: $(tail -n 1 "$folder/errors")" > "$folder/verdict"
}

kill_kinds() { printf '%s\n' 'own harness' 'own sandbox' 'own agent' 'own operator' 'lasting harness' 'lasting agent' 'lasting operator'; }

# kill_all: every case that is still to be made, $parallel at a time, seed by seed.
kill_all() {
    local seed where kind
    for seed in $(seq "$kills"); do
        while read -r where kind; do
            out_of_time && break 2
            while [ "$(jobs -rp | wc -l)" -ge "$parallel" ]; do wait -n || true; done
            { kill_once "$where" "$kind" "$seed"
              echo "kills: $kind in $where sandbox, seed $seed: $(cat "$work/kills/$where-$kind/$seed/verdict")"; } &
        done < <(kill_kinds)
    done
    wait
}

stage_kills() {
    local seed where kind good bad said failures=0
    kill_all
    head_of_result kills "SIGKILL at $kills seeded moments each: nothing may be left, and a lasting cluster heals"
    printf '| killed | clean | otherwise |\n|---|---|---|\n' >> ci/results/kills.md
    while read -r where kind; do
        good=0 bad=''
        for seed in $(seq "$kills"); do
            said=$(cat "$work/kills/$where-$kind/$seed/verdict" 2>/dev/null || echo not run)
            if [ "$said" = ok ]; then good=$((good + 1)); else bad="$bad seed $seed ($said)"; fi
        done
        printf '| %s, %s sandbox | %s of %s | %s |\n' "$kind" "$where" "$good" "$kills" "${bad:-none}" >> ci/results/kills.md
        [ "$good" -eq "$kills" ] || failures=$((failures + 1))
    done < <(kill_kinds)
    cat ci/results/kills.md
    return $((failures > 0))
}
