#!/bin/bash
# Records sinkhole/: what a sinkhole's nginx logs of the bots that call it, in
# the column order of Shadowserver's event4_sinkhole_http and
# event6_sinkhole_http reports.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/web.sh"

v4=192.0.2.66 v6=2001:db8:ffff::66
make_network
add_address "$srv" $v4
add_address "$srv" $v6
python3 "$scenario" addresses sink4 sink6 >"$tmp/addresses"
while read -r address; do add_address "$cli" "$address"; done <"$tmp/addresses"

start_nginx UTC "src $v4:80" <<CONF
    map \$time_iso8601 \$utc {
        "~^(?<day>[0-9-]+)T(?<hms>[0-9:]+)" "\$day \$hms";
    }
    map \$host \$infection {
        ~^andr- avalanche-andromeda;
        ~^mirai- mirai;
        default "";
    }
    map \$infection \$family {
        avalanche-andromeda andromeda;
        default \$infection;
    }
    map \$infection \$tag {
        mirai "mirai,iot";
        default \$infection;
    }
    # what a client does not send is logged as nothing, not as "-"
    map \$http_user_agent \$agent {
        default \$http_user_agent;
    }
    map \$http_x_forwarded_for \$forwarded_by {
        default \$http_x_forwarded_for;
    }
    map \$http_referer \$referer {
        default \$http_referer;
    }
    map \$ssl_cipher \$cipher {
        default \$ssl_cipher;
    }
    log_format shadowserver
        '"\$utc","tcp","\$remote_addr",\$remote_port,64496,"JP",,,,,,,,,'
        '"\$server_addr",\$server_port,64500,"JP",,,"sinkhole.example.org",,,,'
        '"\$infection","\$family","\$tag",,,"\$request_id",'
        '"\$request","\$host","\$agent","\$forwarded_by","\$cipher","\$referer"';
    server {
        listen $v4:80 default_server;
        access_log logs/event4_sinkhole_http.csv shadowserver;
        return 200 "";
    }
    server {
        listen [$v6]:80 default_server;
        access_log logs/event6_sinkhole_http.csv shadowserver;
        return 200 "";
    }
CONF
play $v4 sink4
play $v6 sink6

dir=$out/sinkhole
mkdir -p "$dir"
header='"timestamp","protocol","src_ip","src_port","src_asn","src_geo","src_region","src_city","src_hostname","src_naics","src_sector","device_vendor","device_type","device_model","dst_ip","dst_port","dst_asn","dst_geo","dst_region","dst_city","dst_hostname","dst_naics","dst_sector","public_source","infection","family","tag","application","version","event_id","http_url","http_host","http_agent","forwarded_by","ssl_cipher","http_referer"'
# Five lines are in the report twice, made so here: the 3rd, 16th and 28th
# request right after themselves, the 9th and 22nd once more at the very end.
{
    echo "$header"
    awk '{ print } NR == 3 || NR == 16 || NR == 28 { print }
         NR == 9 || NR == 22 { again = again $0 "\n" } END { printf "%s", again }' \
        "$tmp/web/logs/event4_sinkhole_http.csv"
} >"$dir/event4_sinkhole_http.csv"
{ echo "$header"; cat "$tmp/web/logs/event6_sinkhole_http.csv"; } >"$dir/event6_sinkhole_http.csv"
wc -lc "$dir"/*
