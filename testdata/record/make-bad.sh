#!/bin/bash
# Makes bad/: small hostile inputs, the same bytes every time.
#   make-bad.sh            writes bad/ next to this directory
#   make-bad.sh --big DIR  writes the ones too big to keep into DIR
# Needs no root. iconv is in libc-bin, openssl in openssl.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
header='time,client,port,bot_id,path'
good1='2026-11-19T05:10:00+09:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"'
good2='2026-11-19T07:10:00+09:00,198.51.100.18,40002,9f1c2ab04477de10,"/gate.php"'

noise() { # BYTES
    head -c "$1" /dev/zero |
        openssl enc -aes-128-ctr -K 00000000000000000000000000000001 -iv 00000000000000000000000000000000
}
repeat() { # CHARACTER TIMES; no newline
    head -c "$2" /dev/zero | tr '\0' "$1"
}

if [ "${1:-}" = --big ]; then
    out=${2:?--big needs a directory}
    mkdir -p "$out"
    # one field of 3 MiB between two good lines
    {
        printf '%s\n%s\n' "$header" "$good1"
        printf '2026-11-19T05:11:00+09:00,198.51.100.17,40003,ffffffffffffffff,"/'
        repeat A $((3 * 1024 * 1024))
        printf '"\n%s\n' "$good2"
    } >"$out/line-3mib.csv"
    # 8 MiB without a single line end
    repeat B $((8 * 1024 * 1024)) >"$out/no-newline.csv"
    # a quote opened on line 2 that nobody closes, and 8 MiB after it
    {
        printf '%s\n2026-11-19T05:10:00+09:00,198.51.100.17,40001,"6f83\n' "$header"
        yes "$good1" | head -c $((8 * 1024 * 1024)) | tr -d '"'
    } >"$out/open-quote.csv" || true
    # an accounting record with 200,000 attributes
    {
        printf 'Wed Nov 18 15:10:00 2026\n\tUser-Name = "sub000101@example.ne.jp"\n'
        yes '	Reply-Message = "again"' | head -n 200000
        printf '\tTimestamp = 1795014600\n\n'
    } >"$out/detail-many-attributes.txt" || true
    exit
fi

out=$(dirname "$here")/bad
mkdir -p "$out"
rm -f "$out"/*

# encodings
{ printf '\xef\xbb\xbf'; printf '%s\r\n' "$header" "$good1" "$good2"; } >"$out/bom-crlf.csv"
{
    printf '%s,memo\n' "$header"
    printf '%s,メモ:表示ソ連能力\n' "$good1" | iconv -f UTF-8 -t SHIFT_JIS
    printf '%s,利用者の端末\n' "$good2" | iconv -f UTF-8 -t SHIFT_JIS
} >"$out/shift-jis.csv"
{ printf '\xff\xfe'; printf '%s\n' "$header" "$good1" | iconv -f UTF-8 -t UTF-16LE; } >"$out/utf-16le.csv"
{ printf '\xfe\xff'; printf '%s\n' "$header" "$good1" | iconv -f UTF-8 -t UTF-16BE; } >"$out/utf-16be.csv"
{ printf '%s\n%s\n' "$header" "$good1"
  printf '2026-11-19T05:12:00+09:00,198.51.100.17,40004,\xff\xfe\xc0\xaf,"/\xed\xa0\x80"\n%s\n' "$good2"; } >"$out/not-utf-8.csv"

# no text at all
noise 4096 >"$out/noise.bin"
{ printf '%s\n' "$header"; noise 2048; printf '\n%s\n' "$good1"; } >"$out/noise-inside.csv"
{ printf '%s\n%s\n' "$header" "$good1"; head -c 512 /dev/zero; printf '\n'
  printf '2026-11-19T05:12:00+09:00,198.51.100.17\0,40005,dead\0beef,"/gate.php"\n%s\n' "$good2"; } >"$out/nul.csv"
head -c 4096 /dev/zero >"$out/only-nul.csv"
noise 3000 | gzip -n >"$out/really-gzip.csv"

# shape
: >"$out/empty.csv"
printf '%s\n' "$header" >"$out/header-only.csv"
printf '%s' "$header" >"$out/header-no-newline.csv"
printf '\n\n\n' >"$out/only-newlines.csv"
printf '%s\n' "$good1" "$good2" >"$out/no-header.csv"
printf '%s\n' "$header" "$good1" \
    '2026-11-19T05:12:00+09:00,198.51.100.17,40006,6f83425da9fbb2dd,"/a
b/gate.php"' "$good2" >"$out/quoted-newline.csv"
printf '%s\n' "$header" "$good1" \
    '2026-11-19T05:12:00+09:00,198.51.100.17,40007,6f83425da9fbb2dd,"/gate.php' \
    "$good2" >"$out/unbalanced-quote.csv"
printf '%s\n' "$header" '2026-11-19T05:12:00+09:00' '2026-11-19T05:12:00+09:00,198.51.100.17' \
    ',,,,' "$good1,one,two,many" "$good2" >"$out/ragged.csv"
printf '%s\n' 'time,time,client,client,port' \
    '2026-11-19T05:10:00+09:00,2026-11-19T14:10:00+09:00,198.51.100.17,198.51.100.18,40001' \
    >"$out/columns-twice.csv"
{ printf '%s\n' "$header"; printf '2026-11-19T05:12:00+09:00,198.51.100.17,40008,6f83425da9fbb2dd,"/'
  repeat A 70000; printf '"\n%s\n' "$good1"; } >"$out/line-70k.csv"

# times
printf '%s\n' "$header" \
    '2026-11-19 05:10:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026/11/19 05:10:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026-11-19T05:10:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' >"$out/no-zone.csv"
printf '%s\n' "$header" \
    '2099-01-01T00:00:00+09:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '9999-12-31T23:59:59Z,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '+10000-01-01T00:00:00Z,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' >"$out/future.csv"
printf '%s\n' "$header" \
    '1970-01-01T00:00:00Z,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '0000-00-00T00:00:00Z,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026-02-30T12:00:00+09:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026-11-19T24:00:00+09:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026-11-19T05:10:60+09:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026-11-19T05:10:00+99:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026-11-19T05:10:00-00:00,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' \
    '１２月,198.51.100.17,40001,6f83425da9fbb2dd,"/gate.php"' >"$out/odd-times.csv"

# addresses
printf '%s\n' "$header" \
    '2026-11-19T05:10:00+09:00,::ffff:198.51.100.7,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026-11-19T05:10:00+09:00,::FFFF:C633:6407,40001,6f83425da9fbb2dd,"/gate.php"' \
    '2026-11-19T05:10:00+09:00,64:ff9b::198.51.100.7,40001,6f83425da9fbb2dd,"/gate.php"' >"$out/mapped.csv"
{
    printf '%s\n' "$header"
    for address in 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 127.0.0.1 \
        169.254.1.1 0.0.0.0 255.255.255.255 224.0.0.1 ::1 :: fe80::1 fe80::1%eth0 fd00::1 ff02::1 \
        ::ffff:10.1.2.3; do
        printf '2026-11-19T05:10:00+09:00,%s,40001,6f83425da9fbb2dd,"/gate.php"\n' "$address"
    done
} >"$out/private.csv"
{
    printf '%s\n' "$header"
    for address in 198.51.100.256 198.051.100.017 198.51.100 198.51.100.17.1 3325256721 0xc6336411 \
        198.51.100.17:40001 '[2001:db8:12:100::1]' 2001:db8:12:100::1::2 ' 198.51.100.17 ' \
        198.51.100.0/24 example.net - '１９８.51.100.17'; do
        printf '2026-11-19T05:10:00+09:00,%s,40001,6f83425da9fbb2dd,"/gate.php"\n' "$address"
    done
} >"$out/odd-addresses.csv"
{
    printf '%s\n' "$header"
    for port in 0 65535 65536 -1 1e3 99999999999999999999 '' abc; do
        printf '2026-11-19T05:10:00+09:00,198.51.100.17,%s,6f83425da9fbb2dd,"/gate.php"\n' "$port"
    done
} >"$out/odd-ports.csv"

# text that means something to whoever shows it: spreadsheet, terminal, browser
printf '%s\n' "$header" \
    '2026-11-19T05:10:00+09:00,198.51.100.17,40001,"=HYPERLINK(""http://example.com/"")","/gate.php"' \
    $'2026-11-19T05:10:00+09:00,198.51.100.17,40001,\e[2J\e]0;owned\a,"/gate.php"' \
    '2026-11-19T05:10:00+09:00,198.51.100.17,40001,"<script>alert(1)</script>","/gate.php"' \
    $'2026-11-19T05:10:00+09:00,198.51.100.17,40001,\xe2\x80\xaegnp.exe,"/gate.php"' \
    '2026-11-19T05:10:00+09:00,198.51.100.17,40001,"x'"'"'; DROP TABLE sessions; --","/../../etc/passwd"' \
    >"$out/shown.csv"

# JSON lines
{
    printf '%s\n' '{"ts":1795032767.118,"ip":"198.51.100.17","sport":39370,"host":"panel.invalid"}' \
        '{"ts":1795032767.118,"ip":"198.51.100.17","sport":39370,"host":' \
        '{"ts":1795032767.118,"ts":1,"ip":"198.51.100.17","ip":"198.51.100.18","sport":1,"host":""}' \
        '{"ts":1e308,"ip":"198.51.100.17","sport":1,"host":""}' \
        '{"ts":-1,"ip":"198.51.100.17","sport":1,"host":""}' \
        '{"ts":NaN,"ip":"198.51.100.17","sport":1,"host":""}' \
        '{"ts":"1795032767","ip":"198.51.100.17","sport":"1","host":null}' \
        '{"ts":1795032767118,"ip":"198.51.100.17","sport":1,"host":"milliseconds"}' \
        '{"ip":"198.51.100.17"}' '[]' 'null' '42' '"198.51.100.17"' '' \
        '{"ts":1795032767.118,"ip":"198.51.100.17","sport":39370,"host":"\ud800"}'
    repeat '[' 5000
    printf '\n'
} >"$out/bad.jsonl"

# accounting
cat >"$out/detail-truncated.txt" <<'DETAIL'
Wed Nov 18 15:10:00 2026
	User-Name = "sub000101@example.ne.jp"
	Acct-Status-Type = Start
	Acct-Session-Id = "00004A21"
	NAS-IP-Address = 192.0.2.1
	Framed-IP-Address = 198.51.100.17
	Event-Timestamp = "Nov 18 2026 15:10:00 UTC"
	Acct-Delay-Time = 0
	Timestamp = 1795014600

Wed Nov 18 20:25:12 2026
	User-Name = "sub000101@example.ne.jp"
	Acct-Status-Type = Stop
	Acct-Session-Id = "00004A21"
	NAS-IP-Address = 192.0.2.1
DETAIL
printf '\tFramed-IP-Address = 198.51.100.1' >>"$out/detail-truncated.txt"
cat >"$out/detail-odd.txt" <<'DETAIL'
	User-Name = "no header line"
	Timestamp = 1795014600

Wed Nov 18 15:10:00 2026
	User-Name = "no timestamp"
	Acct-Status-Type = Start
	Framed-IP-Address = 198.51.100.17

Wed Nov 18 15:10:00 2026
	User-Name = "a \"quote\", a \\ and a \n in it"
	Acct-Status-Type = 99
	Framed-IP-Address = 198.51.100.300
	Delegated-IPv6-Prefix = 2001:db8:12:100::/129
	Acct-Delay-Time = 4294967295
	Event-Timestamp = "Feb 30 2026 15:10:00 JST"
	Timestamp = 1795014600

Wed Nov 18 15:10:00 2026
	User-Name = "twice"
	User-Name = "and otherwise"
	Acct-Status-Type = Start
	Acct-Status-Type = Stop
	Framed-IP-Address = 198.51.100.17
	Framed-IP-Address = 198.51.100.18
	Attr-26.9.1 = 0x00
	Unknown-Attribute
	= 
	Timestamp = 99999999999999999999

Sat Jan 17 15:10:00 2099
	User-Name = "sub000101@example.ne.jp"
	Acct-Status-Type = Start
	Acct-Session-Id = "from the future"
	Framed-IP-Address = 198.51.100.17
	Timestamp = 4072345800

Wed Nov 18 15:10:00 2026
Wed Nov 18 15:10:01 2026
DETAIL
{ printf 'Wed Nov 18 15:10:00 2026\n\tUser-Name = "'; noise 1024 | tr -d '\n"'
  printf '"\n\tAcct-Status-Type = Start\n\tFramed-IP-Address = 198.51.100.17\n\tTimestamp = 1795014600\n\n'; } \
    >"$out/detail-noise.txt"
du -sb "$out"
