#!/usr/bin/env python3
"""Does truth.csv follow from the recordings by the rule in README.md?

Reads only what was recorded (radius/detail-*.txt and the four logs), knows
nothing of scenario.py, works every verdict out again and compares. Also says
how many lines a careless reader would get wrong. Exits 1 on any difference.
"""
import collections
import csv
import datetime as dt
import glob
import ipaddress
import json
import os
import sys

UTC, JST = dt.timezone.utc, dt.timezone(dt.timedelta(hours=9))
CGNAT = ipaddress.ip_address("203.0.113.200")
BORDER = 5
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = ["seized/gate.csv", "seized/gate.jsonl", "seized/gate-nozone.csv",
        "sinkhole/event4_sinkhole_http.csv", "sinkhole/event6_sinkhole_http.csv"]


def path(name):
    return os.path.join(ROOT, name)


def records():
    for name in sorted(glob.glob(path("radius/detail-*.txt"))):
        with open(name, encoding="utf-8") as f:
            for block in f.read().strip().split("\n\n"):
                yield dict(line.strip().split(" = ", 1) for line in block.split("\n")[1:])


def sessions(clock):
    """Per address or prefix: sessions as [start, last record, stop or None, user]."""
    found = collections.defaultdict(lambda: {"times": {}, "places": set(), "user": None, "stop": None})
    for r in records():
        if r["Acct-Status-Type"] == "Accounting-On":
            continue
        s = found[r["Acct-Unique-Session-Id"]]
        s["user"] = r["User-Name"].strip('"')
        for attr in ("Framed-IP-Address", "Delegated-IPv6-Prefix"):
            if attr in r:
                s["places"].add(ipaddress.ip_network(r[attr]))
        when = clock(r)
        # copies of one packet share status and session time: the earliest counts
        key = (r["Acct-Status-Type"], r.get("Acct-Session-Time", "0"))
        s["times"][key] = min(when, s["times"].get(key, when))
    out = collections.defaultdict(list)
    for s in found.values():
        times = s["times"]
        start = times["Start", "0"]
        stops = [w for (status, _), w in times.items() if status == "Stop"]
        assert len(stops) <= 1
        for place in s["places"]:
            out[place].append((start, max(times.values()), stops[0] if stops else None, s["user"]))
    return out


def received(r):
    return int(r["Timestamp"]) - int(r["Acct-Delay-Time"])


def of_the_nas(r):
    text = r["Event-Timestamp"].strip('"')
    return int(dt.datetime.strptime(text, "%b %d %Y %H:%M:%S UTC").replace(tzinfo=UTC).timestamp())


def judge(known, address, when):
    address = ipaddress.ip_address(address)
    if any(address in ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")):
        return "filtered", ""
    if address == CGNAT:
        return "ambiguous", ""
    there = [s for place, list_ in known.items() if address in place for s in list_]
    if any(abs(when - border) <= BORDER for s in there for border in (s[0], s[2]) if border is not None):
        return "ambiguous", ""
    users = {s[3] for s in there if s[0] <= when <= s[1]}
    if users:
        return ("one", users.pop()) if len(users) == 1 else ("ambiguous", "")
    before = [s for s in there if s[0] <= when]
    if before and max(before)[2] is None:
        return "ambiguous", ""
    return "none", ""


def log_lines(name):
    """(line number, address, aware or naive datetime), or (line number, None, None)."""
    with open(path(name), encoding="utf-8", newline="") as f:
        text = f.read().split("\n")
    if text[-1] == "":
        text.pop()
    if name.endswith(".jsonl"):
        for number, line in enumerate(text, 1):
            row = json.loads(line)
            yield number, row["ip"], dt.datetime.fromtimestamp(int(row["ts"]), UTC)
        return
    header = next(csv.reader([text[0]]))
    for number, line in enumerate(text[1:], 2):
        fields = next(csv.reader([line]))
        if len(fields) != len(header):
            yield number, None, None
            continue
        row = dict(zip(header, fields))
        if "timestamp" in row:
            yield number, row["src_ip"], dt.datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
        else:
            yield number, row["client"], dt.datetime.fromisoformat(row["time"])


def table(name):
    with open(path(name), newline="") as f:
        return {(r["file"], int(r["line"])): (r["address"], r["time"], r["contract"], r["verdict"])
                for r in csv.DictReader(f)}


def main():
    with open(path("directory.csv"), newline="", encoding="utf-8") as f:
        contracts = {r["user_name"]: r["contract"] for r in csv.DictReader(f)}
    known, trusting = sessions(received), sessions(of_the_nas)
    bad = 0

    for r in records():           # the clocks are as README.md says they are
        if r["Acct-Status-Type"] == "Accounting-On":
            continue
        ahead = 9 * 3600 if r["NAS-IP-Address"] == "192.0.2.2" else 0
        lag = received(r) - (of_the_nas(r) - ahead)
        if lag and not ("Proxy-State" in r and 0 < lag <= 4):
            bad += 1
            print("clock:", r)

    truth, nozone = table("truth.csv"), table("truth-nozone.csv")
    made, made_nozone = {}, {}
    counts, wrong = collections.Counter(), collections.Counter()
    for name in LOGS:
        for number, address, when in log_lines(name):
            if address is None:
                made[name, number] = ("", "", "", "quarantined")
                continue
            zoned = when.tzinfo is not None
            epoch = int((when if zoned else when.replace(tzinfo=JST)).timestamp())
            verdict, user = judge(known, address, epoch)
            text = dt.datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            row = (address, text, contracts.get(user, ""), verdict)
            if zoned:
                made[name, number] = row
            else:
                made[name, number] = (address, "", "", "quarantined")
                made_nozone[name, number] = row
            shifted = epoch if "gate.jsonl" in name or "sinkhole" in name else epoch + 9 * 3600
            for label, (v, u) in (("trusts the NAS clocks", judge(trusting, address, epoch)),
                                  ("takes JST for UTC", judge(known, address, shifted))):
                if v == "one" and u != user:
                    wrong[label, name] += 1
    for (got, stated, what) in ((made, truth, "truth.csv"), (made_nozone, nozone, "truth-nozone.csv")):
        for key in sorted(set(got) | set(stated)):
            if got.get(key) != stated.get(key):
                bad += 1
                print(what, *key, "stated", stated.get(key), "worked out", got.get(key))
        for (name, _), row in stated.items():
            counts[what, name, row[3]] += 1
    for (what, name, verdict), n in sorted(counts.items()):
        print("%-16s %-34s %-12s %3d" % (what, name, verdict, n))
    for (label, name), n in sorted(wrong.items()):
        print("a reader who %s names a wrong subscriber on %d lines of %s" % (label, n, name))
    print("differences: %d" % bad)
    sys.exit(1 if bad else 0)


main()
