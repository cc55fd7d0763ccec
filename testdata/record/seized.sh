#!/bin/bash
# Records seized/: three logs of a seized C&C's HTTP gates, written by nginx in
# Japanese time. The clients are real curls, each bound to its own address.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/web.sh"

server=192.0.2.80
make_network
add_address "$srv" $server
python3 "$scenario" addresses gate jsonl nozone >"$tmp/addresses"
while read -r address; do add_address "$cli" "$address"; done <"$tmp/addresses"

start_nginx Asia/Tokyo "src $server:80" <<CONF
    # the path of a request; of something that is no request, all of it
    map \$request \$path {
        "~^[A-Z]+ (?<p>[^ ?]+)[? ]" \$p;
        default \$request;
    }
    map \$time_iso8601 \$no_zone {
        "~^(?<day>[0-9-]+)T(?<hms>[0-9:]+)" "\$day \$hms";
    }
    log_format gate '\$time_iso8601,\$remote_addr,\$remote_port,\$arg_id,"\$path"';
    log_format json escape=json
        '{"ts":\$msec,"ip":"\$remote_addr","sport":\$remote_port,"host":"\$host"}';
    log_format nozone '\$no_zone,\$remote_addr,\$remote_port,\$arg_id,"\$path"';
    server {
        listen $server:80 default_server;
        server_name gate.invalid;
        access_log logs/gate.csv gate;
        return 200 "ok\n";
    }
    server {
        listen $server:80;
        server_name panel.invalid;
        access_log logs/gate.jsonl json;
        return 200 "ok\n";
    }
    server {
        listen $server:80;
        server_name old.invalid;
        access_log logs/gate-nozone.csv nozone;
        return 200 "ok\n";
    }
CONF
play $server gate jsonl nozone

dir=$out/seized
mkdir -p "$dir"
header=time,client,port,bot_id,path
{ echo $header; cat "$tmp/web/logs/gate.csv"; } >"$dir/gate.csv"
{ echo $header; cat "$tmp/web/logs/gate-nozone.csv"; } >"$dir/gate-nozone.csv"
cat "$tmp/web/logs/gate.jsonl" >"$dir/gate.jsonl"

# The machine was unplugged while it wrote its last line: what is left of
# ...,198.51.100.17,... is ...,198.51.100.1 and no line end.
last=$(tail -n 1 "$dir/gate.csv")
[[ $last == *,198.51.100.17,* ]] || { echo "unexpected last line: $last" >&2; exit 1; }
kept=${last%%,198.51.100.17,*},198.51.100.1
truncate -s $(($(stat -c %s "$dir/gate.csv") - ${#last} - 1 + ${#kept})) "$dir/gate.csv"
wc -lc "$dir"/*
