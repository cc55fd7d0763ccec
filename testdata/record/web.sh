# Sourced by seized.sh and sinkhole.sh: an nginx on the fake clock, and clients.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need nginx nginx-light curl curl ip iproute2 ss iproute2 python3 python3 \
    "$faketime_lib" libfaketime /usr/share/zoneinfo/Asia/Tokyo tzdata

# start_nginx ZONE SS-FILTER - with the `http` part read from standard input
start_nginx() {
    mkdir -p "$tmp/web/logs"
    {
        cat <<CONF
daemon off;
master_process off;
worker_processes 1;
pid $tmp/web/pid;
error_log $tmp/nginx.log warn;
env LD_PRELOAD;
env FAKETIME_TIMESTAMP_FILE;
env FAKETIME_NO_CACHE;
env FAKETIME_DONT_FAKE_MONOTONIC;
events {
    worker_connections 64;
}
http {
    client_body_temp_path $tmp/web/t1;
    proxy_temp_path $tmp/web/t2;
    fastcgi_temp_path $tmp/web/t3;
    uwsgi_temp_path $tmp/web/t4;
    scgi_temp_path $tmp/web/t5;
    default_type text/plain;
CONF
        cat
        echo "}"
    } >"$tmp/web/nginx.conf"
    in_the_past "$1" nginx -p "$tmp/web" -c "$tmp/web/nginx.conf" &
    pids+=($!)
    wait_for -lt "$2"
}

# call KIND FROM TO HOST URL AGENT
call() {
    local to=$3
    case $to in *:*) to="[$to]" ;; esac
    case $1 in
    http)
        local agent=(-A "$6")
        [ "$6" = none ] && agent=(-H "User-Agent:")
        ip netns exec "$cli" curl -sS -o "$tmp/answer" -m 5 --noproxy '*' --interface "$2" \
            "${agent[@]}" -H "Host: $4" "http://$to$5"
        ;;
    tls) # a TLS hello where plain HTTP is spoken: curl fails, as it must
        ! ip netns exec "$cli" curl -sk -o "$tmp/answer" -m 5 --noproxy '*' --interface "$2" \
            "https://$to:80/"
        ;;
    rdp) # the first packet of the scanners that look for RDP on every port
        printf '\003\000\000/*\340\000\000\000\000\000Cookie: mstshash=Administr\r\n\001\000\010\000\003\000\000\000' |
            ip netns exec "$cli" curl -s -o "$tmp/answer" -m 1 --interface "$2" "telnet://$to:80" || true
        ;;
    esac
}

# play SERVER LOG... - the requests of scenario.py, each at its time
play() {
    local server=$1 at kind from host url agent before after
    shift
    python3 "$scenario" hits "$@" >"$tmp/hits"
    while IFS=$'\t' read -r at kind from host url agent; do
        before=$(cat "$tmp"/web/logs/* | wc -l)
        set_clock "$at"
        call "$kind" "$from" "$server" "$host" "$url" "$agent" </dev/null
        for _ in $(seq 20); do # the line is written when the connection is done with
            after=$(cat "$tmp"/web/logs/* | wc -l)
            [ "$after" -gt "$before" ] && break
            sleep 0.05
        done
        [ "$after" = $((before + 1)) ] ||
            { echo "request at $at from $from: not logged once" >&2; exit 1; }
    done <"$tmp/hits"
}
