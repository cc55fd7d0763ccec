# Sourced by the recording scripts; not run by itself.
# shellcheck shell=bash
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
    echo "run me as root: I make network namespaces" >&2
    exit 1
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(dirname "$here")
scenario=$here/scenario.py
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

tmp=$(mktemp -d)
srv=noroshi-srv-$$
cli=noroshi-cli-$$
pids=()

clean_up() {
    local pid ns
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    for ns in "$srv" "$cli"; do
        ip netns del "$ns" 2>/dev/null || true
    done
    rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# need PROGRAM PACKAGE ... - install by apt what is not there, without letting
# Debian start the servers it installs.
need() {
    local missing=() guard=/usr/sbin/policy-rc.d made=
    while [ $# -gt 0 ]; do
        if [ ! -e "$1" ] && ! command -v "$1" >/dev/null; then
            missing+=("$2")
        fi
        shift 2
    done
    [ ${#missing[@]} = 0 ] && return
    if [ ! -e $guard ]; then
        printf '#!/bin/sh\nexit 101\n' >$guard
        chmod 755 $guard
        made=yes
    fi
    apt-get install -y --no-install-recommends "${missing[@]}" >"$tmp/apt.log" 2>&1 ||
        { cat "$tmp/apt.log" >&2; [ -z "$made" ] || rm -f $guard; exit 1; }
    [ -z "$made" ] || rm -f $guard
}

# Two namespaces and one cable. Nothing in them has a way out.
make_network() {
    ip netns add "$srv"
    ip netns add "$cli"
    ip -n "$srv" link add wire type veth peer name wire netns "$cli"
    local ns
    for ns in "$srv" "$cli"; do
        ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.wire.accept_dad=0
        ip -n "$ns" link set lo up
        ip -n "$ns" link set wire up
    done
}

# add_address NAMESPACE ADDRESS - the other side is told to find it on the cable
add_address() {
    local other=$srv
    [ "$1" = "$srv" ] && other=$cli
    case $2 in
    *:*)
        ip -n "$1" addr add "$2/128" dev wire nodad
        ip -n "$other" -6 route add "$2/128" dev wire
        ;;
    *)
        ip -n "$1" addr add "$2/32" dev wire
        ip -n "$other" route add "$2/32" dev wire
        ;;
    esac
}

# The fake clock: libfaketime reads its distance from the real clock out of a
# file at every look at the time, so the clock can be set while servers run.
clock=$tmp/clock
faketime_lib=/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1

set_clock() { # EPOCH; the servers' clock then runs on from EPOCH + 0.1 s
    local sign=+ off=$(($1 * 1000000 + 100000 - ${EPOCHREALTIME/./}))
    if [ "$off" -lt 0 ]; then
        sign=-
        off=$((-off))
    fi
    printf '%s%d.%06d\n' $sign $((off / 1000000)) $((off % 1000000)) >"$clock.new"
    mv "$clock.new" "$clock"
}

# in_the_past ZONE PROGRAM ARGS... - in the server namespace, on the fake clock
in_the_past() {
    local zone=$1
    shift
    exec ip netns exec "$srv" env -i PATH="$PATH" TZ="$zone" \
        LD_PRELOAD="$faketime_lib" FAKETIME_TIMESTAMP_FILE="$clock" \
        FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 "$@"
}

# wait_for SS-FLAGS FILTER - until somebody in the server namespace listens
wait_for() {
    local i
    for i in $(seq 100); do
        [ -n "$(ip netns exec "$srv" ss -Hn "$1" "$2")" ] && return
        sleep 0.1
    done
    echo "no server came up" >&2
    cat "$tmp"/*.log >&2 || true
    exit 1
}
