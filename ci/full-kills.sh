#!/usr/bin/env bash
# The stage `kills` of ci/full: SIGKILL of the harness, the sandbox, the agent and the operator at seeded moments, after
# which nothing of a run may be left. Sourced by ci/full, never run.

# What a run could leave behind on this machine, one thing a line.
leavings() {
    ps -eo pid=,comm=,args= | awk '$2 ~ /^(chaos|etcd|etcd-operator)$/ {print "process", $0}' | grep -v 'full-kills' || true
    awk '{print "mount", $2}' /proc/mounts
    lsns --noheadings --output NS,TYPE | awk '{print "namespace", $1, $2}'
    ls -1 /run/netns /var/run/netns 2>/dev/null | sort -u | sed 's/^/named network namespace /'
    ip -o link | awk -F': ' '{print "link", $2}'
    nft list tables 2>/dev/null | sed 's/^/nftables /'
    ls -1A /tmp /var/tmp /run 2>/dev/null | sed 's/^/file /'
}

# descendants PID: every process below it, itself left out.
descendants() {
    local child
    for child in $(pgrep -P "$1"); do
        echo "$child"
        descendants "$child"
    done
}

# victim_of KIND HARNESS: the process to kill, or nothing while there is none.
victim_of() {
    local process arguments
    [ "$1" = harness ] && { echo "$2"; return; }
    for process in $(descendants "$2"); do
        arguments=$(tr '\0' ' ' < "/proc/$process/cmdline" 2>/dev/null || true)
        case "$1:$arguments" in
            sandbox:*' sandbox-parent '*) echo "$process"; return ;;
            agent:'/chaos agent '*) echo "$process"; return ;;
            operator:/etcd-operator*) [[ "$arguments" == *gate* ]] || { echo "$process"; return; } ;;
        esac
    done
}

# seeded_milliseconds SEED LIMIT: the same moment for the same seed.
seeded_milliseconds() { awk -v seed="$1" -v limit="$2" 'BEGIN { srand(seed); print int(rand() * limit) }'; }

# kill_once FOLDER KIND SEED: starts a run, kills, waits for the end, and says in FOLDER/verdict what came of it.
kill_once() {
    local folder=$1 kind=$2 seed=$3 harness victim='' code=0 waited
    [ -f "$folder/verdict" ] && return 0
    rm -rf "$folder" && mkdir -p "$folder"
    leavings | LC_ALL=C sort > "$folder/before"
    "$chaos" run --cluster sandbox --seed "$seed" --out "$folder/run" scenarios/quickstart.yaml >"$folder/output" 2>&1 &
    harness=$!
    sleep "$(awk -v m="$(seeded_milliseconds "$seed" 45000)" 'BEGIN { print m / 1000 }')"
    # An agent lives for moments only, so from the seeded moment on the first one that appears is taken.
    while [ -z "$victim" ] && kill -0 "$harness" 2>/dev/null; do
        victim=$(victim_of "$kind" "$harness")
        [ -n "$victim" ] || sleep 0.05
    done
    [ -n "$victim" ] && kill -KILL "$victim"
    wait "$harness" || code=$?
    # What dies with its parent needs a moment to be gone from the process table.
    for waited in $(seq 100); do
        leavings | LC_ALL=C sort > "$folder/after"
        LC_ALL=C comm -13 "$folder/before" "$folder/after" > "$folder/left"
        [ -s "$folder/left" ] || break
        sleep 0.1
    done
    kill_verdict "$folder" "$kind" "$victim" "$code" > "$folder/verdict"
}

# kill_verdict FOLDER KIND VICTIM CODE: "ok", or what was wrong. A killed harness cannot write a report; every other run must.
kill_verdict() {
    [ -n "$3" ] || { echo "no $2 was there to kill"; return; }
    [ ! -s "$1/left" ] || { echo "left behind: $(head -n 3 "$1/left" | tr '\n' ';')"; return; }
    case "$2:$4" in
        harness:137) ;;
        harness:*) echo "the harness ended with $4"; return ;;
        *:0 | *:2) [ -s "$1/run/report.html" ] || { echo "no report was written"; return; } ;;
        *) echo "the run ended with $4"; return ;;
    esac
    echo ok
}

# lasting_kill_once FOLDER KIND SEED: the same in a cluster that outlives the run: every fault must end by its own timer, and
# the operator must make the cluster whole again with nobody's help.
lasting_kill_once() {
    local folder=$1 kind=$2 seed=$3 name harness victim='' verdict=ok
    [ -f "$folder/verdict" ] && return 0
    rm -rf "$folder" && mkdir -p "$folder"
    leavings | LC_ALL=C sort > "$folder/before"
    name="kills-$kind-$seed"
    "$chaos" cluster up --name "$name" > "$folder/up" 2>&1
    "$chaos" run --name "$name" --keep --seed "$seed" --out "$folder/run" scenarios/quickstart.yaml > "$folder/output" 2>&1 &
    harness=$!
    sleep "$(awk -v m="$(seeded_milliseconds "$seed" 25000)" 'BEGIN { print 3 + m / 1000 }')"
    victim=$harness
    [ "$kind" = harness ] || victim=$(victim_in_lasting "$kind" "$name")
    [ -n "$victim" ] && kill -KILL "$victim"
    wait "$harness" 2>/dev/null || true
    becomes_healthy "$cache/clusters/$name/kubeconfig" > "$folder/health" 2>&1 || verdict='not healthy again within 120 s'
    "$chaos" cluster down --name "$name" > "$folder/down" 2>&1 || verdict='cluster down failed'
    leavings | LC_ALL=C sort > "$folder/after"
    LC_ALL=C comm -13 "$folder/before" "$folder/after" > "$folder/left"
    [ ! -s "$folder/left" ] || verdict="left behind: $(head -n 3 "$folder/left" | tr '\n' ';')"
    [ -n "$victim" ] || verdict="no $kind was there to kill"
    echo "$verdict" > "$folder/verdict"
}

# victim_in_lasting KIND NAME: the process to kill below the sandbox of that name; an agent is waited for.
victim_in_lasting() {
    local parent found='' tries
    parent=$(pgrep -f "sandbox-server .*\"name\":\"$2\"" | head -n 1)
    for tries in $(seq 400); do
        found=$(victim_of "$1" "$parent")
        [ -z "$found" ] || break
        sleep 0.05
    done
    echo "$found"
}

# becomes_healthy KUBECONFIG: every EtcdCluster says Ready, and its members answer. None at all is healthy too: the run
# was killed before it made one.
becomes_healthy() {
    local kubectl="$cache/bin/kubectl"
    [ -n "$("$kubectl" --kubeconfig "$1" get etcdclusters --all-namespaces --no-headers 2>/dev/null)" ] || return 0
    # The status promises to be no more than 10 s behind, so what it said before that proves nothing.
    sleep 11
    "$kubectl" --kubeconfig "$1" wait etcdclusters --all --all-namespaces --for=condition=Ready --timeout=120s
}

stage_kills() {
    local kind seed good failures=0 bad once where
    head_of_result kills "SIGKILL at 25 seeded moments each: nothing may be left"
    printf '| killed | clean | otherwise |\n|---|---|---|\n' >> ci/results/kills.md
    while read -r once kind; do
        good=0 bad=''
        for seed in $(seq 25); do
            out_of_time && { bad="$bad not-run:$seed"; continue; }
            "$once" "$work/kills/$once-$kind/$seed" "$kind" "$seed" < /dev/null
            if [ "$(cat "$work/kills/$once-$kind/$seed/verdict")" = ok ]; then
                good=$((good + 1))
            else
                bad="$bad seed $seed ($(cat "$work/kills/$once-$kind/$seed/verdict"))"
            fi
            echo "kills: $once $kind seed $seed: $good clean${bad:+, otherwise:$bad}"
        done
        [ "$once" = kill_once ] && where='its own sandbox' || where='a lasting sandbox'
        printf '| %s in %s | %s of 25 | %s |\n' "$kind" "$where" "$good" "${bad:-none}" >> ci/results/kills.md
        [ "$good" -eq 25 ] || failures=$((failures + 1))
    done <<'END'
kill_once harness
kill_once sandbox
kill_once agent
kill_once operator
lasting_kill_once harness
lasting_kill_once agent
lasting_kill_once operator
END
    return $((failures > 0))
}
