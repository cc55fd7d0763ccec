#!/bin/bash
# Records radius/detail-*.txt: the accounting of scenario.py, sent by radclient
# from the addresses of three NASes, written by FreeRADIUS's `detail` module.
# What NAS 192.0.2.3 sends goes to a second FreeRADIUS too, which proxies it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

raddb=/etc/freeradius/3.0
need freeradius freeradius radclient freeradius-utils ip iproute2 ss iproute2 \
    python3 python3 "$faketime_lib" libfaketime

make_network
for address in 192.0.2.10 192.0.2.11; do add_address "$srv" $address; done
for address in 192.0.2.1 192.0.2.2 192.0.2.3; do add_address "$cli" $address; done

# configure NAME ADDRESS PROXY? - a FreeRADIUS that only does accounting
configure() {
    local dir=$tmp/$1
    mkdir -m 700 "$dir"
    cat >"$dir/radiusd.conf" <<CONF
prefix = /usr
exec_prefix = /usr
raddbdir = $raddb
name = $1
logdir = $dir
radacctdir = $dir/acct
run_dir = $dir
libdir = /usr/lib/freeradius
pidfile = $dir/pid
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
hostname_lookups = no
log {
    destination = files
    file = $tmp/$1.log
}
security {
    allow_core_dumps = no
    max_attributes = 200
    reject_delay = 0
    status_server = no
}
client ours {
    ipaddr = 192.0.2.0/24
    proto = udp
    secret = example
}
modules {
    \$INCLUDE $raddb/mods-available/expr
    detail {
        filename = "\${radacctdir}/detail-%Y%m%d.txt"
        escape_filenames = no
        permissions = 0600
        header = "%t"
    }
}
policy {
    \$INCLUDE $raddb/policy.d/accounting
}
CONF
    if [ "$3" = yes ]; then
        cat >>"$dir/radiusd.conf" <<CONF
proxy_requests = yes
proxy server {
}
home_server isp {
    type = acct
    ipaddr = 192.0.2.10
    port = 1813
    proto = udp
    secret = example
    src_ipaddr = $2
    response_window = 10
}
home_server_pool isp {
    type = fail-over
    home_server = isp
}
realm isp {
    acct_pool = isp
    nostrip
}
CONF
    else
        echo "proxy_requests = no" >>"$dir/radiusd.conf"
    fi
    cat >>"$dir/radiusd.conf" <<CONF
server default {
    listen {
        type = acct
        ipaddr = $2
        port = 1813
    }
    preacct {
        $([ "$3" = yes ] && echo 'update control { &Proxy-To-Realm := "isp" }' || echo acct_unique)
    }
    accounting {
        $([ "$3" = yes ] && echo ok || echo detail)
    }
}
CONF
    [ "$3" = no ] || sed -i '/^modules {/a always ok {\nrcode = ok\n}' "$dir/radiusd.conf"
    in_the_past UTC freeradius -fs -d "$dir" -n radiusd &
    pids+=($!)
    wait_for -lu "src $2:1813"
}

set_clock 1795014000
configure isp 192.0.2.10 no
configure partner 192.0.2.11 yes

python3 "$scenario" packets >"$tmp/packets"
while IFS=$'\t' read -r at src dst line; do
    set_clock "$at"
    TZ=UTC ip netns exec "$cli" radclient -q -r 1 -t 5 "$dst:1813" acct example \
        <<<"Packet-Src-IP-Address = $src, $line" ||
        { echo "no answer for: $line" >&2; cat "$tmp"/*.log >&2; exit 1; }
done <"$tmp/packets"

mkdir -p "$out/radius"
rm -f "$out"/radius/detail-*.txt
install -m 644 "$tmp"/isp/acct/detail-*.txt "$out/radius/"
python3 "$scenario" directory >"$out/directory.csv"
wc -lc "$out"/radius/detail-*.txt
