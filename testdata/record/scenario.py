#!/usr/bin/env python3
"""The scenario that the recordings play. Everything in it is made up.

This file is the only place where the scenario is written down: who had which
address when, which accounting packets get lost, doubled or reordered, and
which infected clients call which server at which time. The shell scripts next
to it ask it what to send and let real programs (FreeRADIUS, radclient, nginx,
curl) do the sending, receiving and logging.

  scenario.py packets            accounting packets, by time of arrival
  scenario.py hits LOG...        requests for the named logs, by time
  scenario.py addresses LOG...   the client addresses these logs need
  scenario.py directory          directory.csv
  scenario.py truth TESTDATA     truth.csv and truth-nozone.csv, for the
                                 recordings found in TESTDATA

The verdicts in `hits` are what the author meant, said by hand. They are not
computed from the sessions: check-truth.py does that, from the recorded files
alone, and the two must agree.
"""
import csv
import datetime as dt
import hashlib
import json
import os
import random
import sys

UTC = dt.timezone.utc
MONTH = "2026-11-"
BEGIN, END = "18T15:00:00", "20T15:00:00"
INTERIM = 1800
NAS2_AHEAD = 9 * 3600
CGNAT = "203.0.113.200"
UNKNOWN = "198.51.100.251"
SERVER, PARTNER = "192.0.2.10", "192.0.2.11"
NAS3_REBOOT = "19T09:26:40"
NAS3_CRASH = "19T09:18:00"


def t(text):
    """`19T03:12:09` (November 2026, UTC) as epoch seconds."""
    if text.count(":") == 1:
        text += ":00"
    return int(dt.datetime.fromisoformat(MONTH + text).replace(tzinfo=UTC).timestamp())


def rfc3339(epoch):
    return dt.datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- who was connected -------------------------------------------------------
# name: (subscriber, NAS, IPv4 or None, IPv6 prefix or None, start, end, how)
# `how` is what the NAS managed to say at the end:
#   stop   an ordinary Stop
#   lost   the line died at `end`, and the Stop never arrived
#   crash  the NAS crashed; no Stop, only the Accounting-On after its reboot
#   open   still connected when the recording ends
V4, DYN = "198.51.100.", "203.0.113."
SESSIONS = {
    # one address, one subscriber after the other
    "S01": (101, 1, V4 + "17", None, "18T15:10:00", "18T20:25:12", "stop"),
    "S02": (102, 1, V4 + "17", None, "18T21:02:30", "19T01:40:05", "stop"),
    "S03": (103, 1, V4 + "17", None, "19T01:58:00", "19T09:15:41", "stop"),
    "S04": (104, 1, V4 + "17", None, "19T22:10:00", "20T05:30:00", "stop"),
    # given out again after four seconds
    "S05": (105, 1, V4 + "18", None, "18T22:00:00", "19T03:12:09", "stop"),
    "S06": (106, 1, V4 + "18", None, "19T03:12:13", "19T08:00:30", "stop"),
    "S07": (107, 1, V4 + "18", None, "20T06:00:00", "20T14:50:00", "stop"),
    "S08": (108, 1, V4 + "1", None, "20T11:00:05", "20T15:00:00", "open"),
    # (b) lost Stops
    "S09": (109, 1, V4 + "40", None, "18T18:10:20", "18T19:55:00", "lost"),
    "S10": (110, 1, V4 + "40", None, "18T23:05:40", "19T06:30:00", "stop"),
    "S11": (111, 1, V4 + "41", None, "19T10:00:00", "19T12:20:00", "lost"),
    "S12": (112, 1, V4 + "41", None, "19T19:30:00", "20T02:00:00", "stop"),
    # (c) the NAS whose clock is nine hours ahead; it sends no interims
    "S13": (113, 2, DYN + "10", None, "18T16:00:10", "18T20:30:45", "stop"),
    "S14": (114, 2, DYN + "10", None, "18T20:45:00", "19T00:55:30", "stop"),
    "S15": (115, 2, DYN + "10", None, "19T01:05:15", "19T06:20:00", "stop"),
    "S16": (116, 2, DYN + "10", None, "19T06:40:00", "19T11:30:00", "stop"),
    "S17": (113, 2, DYN + "10", None, "19T12:00:00", "19T20:00:00", "stop"),
    "S18": (117, 2, DYN + "11", None, "18T17:30:00", "18T23:10:00", "stop"),
    "S19": (118, 2, DYN + "11", None, "18T23:30:00", "19T04:40:00", "stop"),
    "S20": (119, 2, DYN + "11", None, "19T05:00:00", "19T12:20:00", "stop"),
    "S21": (117, 2, DYN + "11", None, "19T14:00:00", "19T21:00:00", "stop"),
    "S22": (120, 2, DYN + "12", None, "19T13:00:00", "19T18:00:00", "lost"),
    "S23": (121, 2, DYN + "12", None, "19T23:00:00", "20T07:00:00", "stop"),
    "S41": (115, 2, DYN + "13", None, "20T01:00:00", "20T09:00:00", "stop"),
    "S42": (118, 2, DYN + "13", None, "20T09:10:00", "20T13:00:00", "stop"),
    # (d) (f) the NAS that crashes, and whose accounting a partner proxies too
    "S30": (127, 3, DYN + "63", None, "18T19:00:00", "18T23:45:00", "stop"),
    "S24": (122, 3, DYN + "60", None, "19T05:30:00", NAS3_CRASH, "crash"),
    "S25": (123, 3, DYN + "61", None, "19T07:12:30", NAS3_CRASH, "crash"),
    "S26": (124, 3, DYN + "62", None, "19T08:20:00", NAS3_CRASH, "crash"),
    "S27": (125, 3, DYN + "60", None, "19T09:31:10", "19T13:00:00", "stop"),
    "S28": (123, 3, DYN + "61", None, "19T10:02:00", "19T12:15:00", "stop"),
    "S29": (126, 3, DYN + "62", None, "19T15:00:00", "19T18:10:00", "stop"),
    "S35": (132, 3, DYN + "64", "2001:db8:12:400::/56", "19T16:00:00", "19T20:30:00", "stop"),
    # (g) IPv6
    "S31": (128, 1, None, "2001:db8:12:100::/56", "19T00:00:00", "19T08:00:00", "stop"),
    "S32": (129, 1, V4 + "60", "2001:db8:12:200::/56", "19T02:00:00", "19T10:30:00", "stop"),
    "S33": (130, 1, V4 + "61", "2001:db8:12:300::/56", "19T11:00:00", "19T17:00:00", "stop"),
    "S34": (131, 1, V4 + "62", "2001:db8:12:200::/56", "19T20:00:00", "20T01:00:00", "stop"),
    "S36": (133, 1, V4 + "63", "2001:db8:12:500::/56", "20T03:00:00", "20T05:10:00", "lost"),
    # the rest
    "S37": (134, 1, V4 + "70", None, "20T00:30:00", "20T08:15:00", "stop"),
    "S38": (135, 1, V4 + "70", None, "20T09:00:00", "20T13:40:00", "stop"),
    # (e) its Stop overtakes its last interim
    "S39": (136, 1, V4 + "71", None, "20T02:00:00", "20T03:30:04", "stop"),
    "S40": (137, 1, V4 + "71", None, "20T03:31:00", "20T06:00:00", "stop"),
    "S43": (102, 1, V4 + "72", None, "19T05:00:00", "19T07:00:00", "stop"),
    "S44": (105, 1, V4 + "73", None, "19T18:00:00", "19T20:00:00", "stop"),
    "S45": (106, 1, V4 + "74", None, "20T10:00:00", "20T12:00:00", "stop"),
}

# (e) Retransmissions: the same packet once more, so many seconds later, with
# that Acct-Delay-Time. The key is (session, status, event number).
RETRANSMITTED = {
    ("S05", "Start", 0): [5, 15],
    ("S10", "Stop", 0): [10],
    ("S34", "Interim-Update", 3): [5],
    ("S19", "Stop", 0): [12],
    ("S27", "Interim-Update", 2): [5],
}
# Packets whose first sending was lost: only a later copy arrives.
LATE = {
    ("S15", "Stop", 0): 40,             # NAS 2, so the delay is all that helps
    ("S39", "Interim-Update", 3): 9,    # arrives five seconds after the Stop
}
CAUSES = ["User-Request", "Lost-Carrier", "Session-Timeout", "Idle-Timeout"]


def mac(sub):
    return "00-53-00-%02X-%02X-%02X" % (0x10, sub >> 8, sub & 255)


def session_ids():
    """Session ids count up per NAS; that of NAS 3 starts again when it reboots."""
    ids, count = {}, {1: 0x4A20, 2: 0x0710, 3: 0}
    rebooted = False
    for name, s in sorted(SESSIONS.items(), key=lambda kv: (t(kv[1][4]), kv[0])):
        nas = s[1]
        if nas == 3 and not rebooted and t(s[4]) > t(NAS3_REBOOT):
            count[3], rebooted = 0, True
        count[nas] += 1
        ids[name] = "%08X" % count[nas]
    return ids


def packets():
    ids, out, order = session_ids(), [], 0

    def add(at, nas, attrs, delay, copy):
        nonlocal order
        line = ", ".join(attrs + ["Acct-Delay-Time = %d" % delay])
        order += 1
        out.append((at, order, "192.0.2.%d" % nas, SERVER, line))
        if copy is not None:                      # (d) by way of the partner
            lag, says_so = copy
            line = ", ".join(attrs + ["Acct-Delay-Time = %d" % (delay + (lag if says_so else 0))])
            order += 1
            out.append((at + lag, order, "192.0.2.%d" % nas, PARTNER, line))

    copies = 0
    for name, (sub, nas, v4, v6, start, end, how) in SESSIONS.items():
        first, last = t(start), t(end)
        events = [(first, "Start", 0)]
        if nas != 2:
            step, n = first + INTERIM, 1
            while step < last:
                events.append((step, "Interim-Update", n))
                step, n = step + INTERIM, n + 1
        if how == "stop":
            events.append((last, "Stop", 0))
        for when, status, n in events:
            seconds = when - first
            attrs = [
                'User-Name = "sub%06d@example.ne.jp"' % sub,
                "Acct-Status-Type = %s" % status,
                'Acct-Session-Id = "%s"' % ids[name],
                "NAS-IP-Address = 192.0.2.%d" % nas,
                'NAS-Port-Id = "ge-0/0/%d.%d"' % (sub % 4, 1000 + sub),
                "Service-Type = Framed-User",
                "Framed-Protocol = PPP",
            ]
            if v4:
                attrs.append("Framed-IP-Address = %s" % v4)
            if v6:
                attrs.append("Delegated-IPv6-Prefix = %s" % v6)
            attrs.append('Calling-Station-Id = "%s"' % mac(sub))
            if status != "Start":
                attrs.append("Acct-Session-Time = %d" % seconds)
                attrs.append("Acct-Input-Octets = %d" % (seconds * (sub * 7 % 900 + 50)))
                attrs.append("Acct-Output-Octets = %d" % (seconds * (sub * 13 % 9000 + 500)))
            if status == "Stop":
                attrs.append("Acct-Terminate-Cause = %s" % CAUSES[sub % 4])
            attrs.append("Event-Timestamp = %d" % (when + (NAS2_AHEAD if nas == 2 else 0)))
            copy = None
            if nas == 3:
                copies += 1
                copy = (2 + copies % 3, copies % 2 == 0)
            key = (name, status, n)
            delay = LATE.get(key, 0)
            add(when + delay, nas, attrs, delay, copy)
            for delay in RETRANSMITTED.get(key, []):
                add(when + delay, nas, attrs, delay, None)
    when = t(NAS3_REBOOT)
    add(when, 3, [
        "Acct-Status-Type = Accounting-On",
        'Acct-Session-Id = "00000000"',
        "NAS-IP-Address = 192.0.2.3",
        "Acct-Terminate-Cause = NAS-Reboot",
        "Event-Timestamp = %d" % when,
    ], 0, (3, False))
    return [p for p in sorted(out) if p[0] < t(END)]


# --- who called which server -------------------------------------------------
# A hit: (epoch, address, host, path and query, agent, verdict, subscriber)
HITS = {"gate": [], "jsonl": [], "nozone": [], "sink4": [], "sink6": []}
GATE, JSONGATE, NOZONE = "gate.invalid", "panel.invalid", "old.invalid"
AGENTS = [
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.1)",
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64; "rv:67.0") Gecko/20100101, Firefox/67.0',
    "",
]
HOUSE = {"S31": "2001:db8:12:10a:253:ff:fe00:1280", "S32": "2001:db8:12:201:253:ff:fe00:1290",
         "S33": "2001:db8:12:3ff::8", "S34": "2001:db8:12:201:253:ff:fe00:1310",
         "S35": "2001:db8:12:400::53", "S36": "2001:db8:12:502:dead::1"}


def bot(who):
    return hashlib.sha256(("bot %s" % who).encode()).hexdigest()[:16]


def hit(log, when, address, verdict, who=None, sub=None, kind="http"):
    """One request. `who` names the machine (for its bot id), `sub` is the truth."""
    who = who if who is not None else sub
    epoch = when if isinstance(when, int) else t(when)
    agent = AGENTS[int(bot(who)[:2], 16) % 3]
    if log == "gate":
        host, url = GATE, "/gate.php?id=%s" % bot(who)
        if int(bot(who)[2:4], 16) % 5 == 0:
            url = "/gate.php/a,b?id=%s" % bot(who)
    elif log == "jsonl":
        host, url = JSONGATE, "/p?id=%s" % bot(who)
    elif log == "nozone":
        host, url = NOZONE, "/gate.php?id=%s" % bot(who)
    else:
        kind_of = int(bot(who)[4:6], 16) % 4
        host, url = [
            ("andr-01.example.net", "/forum/logout.php"),
            ("andr-02.example.net", "/and/gate.php?x=%s" % bot(who)[:6]),
            ("mirai-c2.example.org", "/bins/check"),
            ("dga-3f7a1c.example.com", "/7"),
        ][kind_of]
    HITS[log].append((epoch, address, host, url, agent, verdict, sub, kind))


def one(log, name, count):
    """`count` hits well inside a session, before its last record."""
    sub, nas, v4, v6, start, end, how = SESSIONS[name]
    first, last = t(start), t(end)
    if how != "stop":
        last = first + (last - first - 1) // INTERIM * INTERIM
    if log == "gate":                             # before the plug was pulled
        last = min(last, t("20T14:19:00"))
    rng = random.Random("%s %s" % (log, name))
    width = (last - first - 240) // count
    for i in range(count):
        when = first + 120 + i * width + rng.randrange(width - 60)
        hit(log, when, HOUSE[name] if log == "sink6" else v4, "one", sub=sub)


def play():
    # the seized gate
    for name, count in {
        "S01": 4, "S02": 4, "S03": 3, "S04": 3, "S05": 3, "S06": 3, "S07": 3, "S08": 2,
        "S09": 2, "S10": 4, "S11": 2, "S12": 3, "S13": 3, "S14": 3, "S15": 4, "S17": 2,
        "S18": 3, "S19": 3, "S20": 3, "S21": 2, "S23": 2, "S41": 2, "S42": 2,
        "S24": 2, "S25": 2, "S27": 2, "S28": 1, "S29": 1, "S30": 3, "S32": 2, "S34": 1,
        "S36": 2, "S37": 2, "S39": 1, "S40": 2, "S43": 1, "S44": 1, "S45": 1, "S35": 1, "S33": 1,
    }.items():
        one("gate", name, count)
    # a closed gap between two sessions of one address
    hit("gate", "18T20:45:00", V4 + "17", "none", who=101)
    hit("gate", "19T12:00:00", V4 + "17", "none", who=103)
    hit("gate", "19T18:30:00", V4 + "17", "none", who=103)
    # around the hand-over of 198.51.100.18 (Stop 03:12:09, Start 03:12:13)
    hit("gate", "19T03:12:02", V4 + "18", "one", sub=105)
    hit("gate", "19T03:12:06", V4 + "18", "ambiguous", who=105)
    hit("gate", "19T03:12:11", V4 + "18", "ambiguous", who=106)
    hit("gate", "19T03:12:16", V4 + "18", "ambiguous", who=106)
    hit("gate", "19T03:12:21", V4 + "18", "one", sub=106)
    # (b) lost Stops: at the last record, after it, and before the next Start
    hit("gate", "18T19:40:20", V4 + "40", "one", sub=109)
    hit("gate", "18T19:41:10", V4 + "40", "ambiguous", who=109)
    hit("gate", "18T20:30:00", V4 + "40", "ambiguous", who=109)
    hit("gate", "18T21:45:10", V4 + "40", "ambiguous", who=109)
    hit("gate", "18T23:05:00", V4 + "40", "ambiguous", who=110)
    hit("gate", "19T13:00:00", V4 + "41", "ambiguous", who=111)
    hit("gate", "19T17:10:30", V4 + "41", "ambiguous", who=111)
    hit("gate", "19T15:00:00", DYN + "12", "ambiguous", who=120)
    hit("gate", "19T21:30:00", DYN + "12", "ambiguous", who=121)
    # (c) the true Stop of S15 was 06:20:00; its packet came 40 seconds late
    hit("gate", "19T06:20:20", DYN + "10", "none", who=115)
    # (f) around the crash
    hit("gate", "19T09:10:00", DYN + "60", "ambiguous", who=122)
    hit("gate", "19T09:28:00", DYN + "60", "ambiguous", who=122)
    hit("gate", "19T09:20:00", DYN + "61", "ambiguous", who=123)
    hit("gate", "19T09:40:00", DYN + "61", "ambiguous", who=123)
    hit("gate", "19T09:00:00", DYN + "62", "ambiguous", who=124)
    hit("gate", "19T12:00:05", DYN + "62", "ambiguous", who=124)
    # an address no record names, the shared address, the criminal's own tests
    hit("gate", "19T00:30:00", UNKNOWN, "none", who="unknown")
    hit("gate", "19T23:15:00", UNKNOWN, "none", who="unknown")
    hit("gate", "18T22:15:00", CGNAT, "ambiguous", who="cgnat 1")
    hit("gate", "19T11:00:00", CGNAT, "ambiguous", who="cgnat 2")
    hit("gate", "20T07:45:00", CGNAT, "ambiguous", who="cgnat 1")
    hit("gate", "18T15:30:00", "10.0.0.5", "filtered", who="own 1")
    hit("gate", "18T15:31:10", "10.0.0.5", "filtered", who="own 1")
    hit("gate", "19T08:00:00", "10.0.3.9", "filtered", who="own 2")
    hit("gate", "20T10:30:00", "10.200.1.1", "filtered", who="own 3")
    hit("gate", "20T10:30:20", "10.7.7.7", "filtered", who="own 4")
    # no HTTP at all: a TLS hello, and an RDP scanner's first packet
    hit("gate", "19T10:15:00", "10.0.3.9", "filtered", who="own 2", kind="tls")
    hit("gate", "19T16:40:00", "198.51.100.250", "none", who="scan", kind="rdp")
    # the last line: seized.sh cuts it after `198.51.100.1` of `198.51.100.17`
    hit("gate", "20T14:20:00", V4 + "17", "quarantined", who=104)

    # the second seized log, JSON lines
    for name, count in {"S02": 2, "S05": 1, "S10": 2, "S14": 2, "S15": 2, "S19": 2, "S27": 1,
                        "S30": 1, "S37": 2, "S38": 1, "S12": 1}.items():
        one("jsonl", name, count)
    hit("jsonl", "18T22:00:30", V4 + "40", "ambiguous", who=109)
    hit("jsonl", "19T09:15:00", DYN + "60", "ambiguous", who=122)
    hit("jsonl", "19T14:10:00", UNKNOWN, "none", who="unknown")
    hit("jsonl", "19T14:30:00", CGNAT, "ambiguous", who="cgnat 1")
    hit("jsonl", "19T14:40:00", "10.0.0.5", "filtered", who="own 1")
    hit("jsonl", "20T03:30:40", V4 + "71", "none", who=136)
    hit("jsonl", "20T08:30:00", V4 + "70", "none", who=134)

    # the third, whose times have no zone (it is +09:00); verdicts if told so
    for when, address, verdict, who in [
        ("18T17:00:00", DYN + "10", "one", 113), ("18T18:12:00", V4 + "17", "one", 101),
        ("18T18:12:00", DYN + "11", "one", 117), ("19T02:30:00", V4 + "17", "one", 103),
        ("19T03:30:00", DYN + "10", "one", 115), ("19T17:00:00", V4 + "41", "ambiguous", 111),
        ("19T18:12:00", DYN + "10", "one", 113), ("19T18:12:10", V4 + "70", "none", 134),
        ("20T00:40:00", V4 + "70", "one", 134), ("20T04:00:00", V4 + "71", "one", 137),
    ]:
        hit("nozone", when, address, verdict, who=who, sub=who if verdict == "one" else None)

    # the sinkhole, IPv4
    for name, count in {
        "S01": 2, "S03": 2, "S05": 2, "S10": 2, "S12": 2, "S13": 1, "S14": 2, "S15": 2, "S16": 3,
        "S18": 1, "S20": 2, "S24": 1, "S26": 1, "S29": 2, "S30": 2, "S33": 3, "S35": 2, "S37": 2,
        "S38": 3, "S40": 2, "S07": 2, "S32": 2,
    }.items():
        one("sink4", name, count)
    hit("sink4", "18T21:10:00", V4 + "40", "ambiguous", who=109)
    hit("sink4", "19T14:44:00", V4 + "41", "ambiguous", who=111)
    hit("sink4", "19T10:45:00", DYN + "62", "ambiguous", who=124)
    hit("sink4", "19T09:29:00", DYN + "60", "ambiguous", who=122)
    hit("sink4", "19T16:00:03", DYN + "64", "ambiguous", who=132)
    hit("sink4", "20T06:30:00", V4 + "63", "ambiguous", who=133)
    hit("sink4", "20T14:45:00", V4 + "1", "ambiguous", who=108)
    hit("sink4", "19T20:20:00", CGNAT, "ambiguous", who="cgnat 2")
    hit("sink4", "19T01:00:00", CGNAT, "ambiguous", who="cgnat 1")
    hit("sink4", "19T05:05:05", UNKNOWN, "none", who="unknown")
    hit("sink4", "19T15:15:00", V4 + "17", "none", who=103)
    hit("sink4", "20T13:50:00", V4 + "70", "none", who=135)
    # and IPv6
    one("sink6", "S31", 3)
    for name in ["S32", "S33", "S34", "S35", "S36"]:
        one("sink6", name, 1)
    hit("sink6", "19T14:00:00", HOUSE["S32"], "none", who=129)       # between two holders
    hit("sink6", "20T07:00:00", HOUSE["S36"], "ambiguous", who=133)  # after a lost Stop
    for log in HITS:
        HITS[log].sort(key=lambda h: (h[0], h[1]))


FILES = {"gate": "seized/gate.csv", "jsonl": "seized/gate.jsonl", "nozone": "seized/gate-nozone.csv",
         "sink4": "sinkhole/event4_sinkhole_http.csv", "sink6": "sinkhole/event6_sinkhole_http.csv"}


def contract(sub):
    return "C-%06d" % sub


def read_line(log, text):
    """(epoch or None, address) of a recorded line; None when it has neither."""
    if log == "jsonl":
        row = json.loads(text)
        return int(row["ts"]), row["ip"]
    row = next(csv.reader([text]))
    if log in ("sink4", "sink6"):
        return int(dt.datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp()), row[2]
    if len(row) != 5:
        return None
    when = dt.datetime.fromisoformat(row[0])
    if when.tzinfo is None:                       # gate-nozone.csv: it was JST
        when = when.replace(tzinfo=dt.timezone(dt.timedelta(hours=9)))
    return int(when.timestamp()), row[1]


def truth(testdata):
    rows, nozone = [], []
    for log, name in FILES.items():
        by_address = {}
        for h in HITS[log]:
            by_address.setdefault(h[1], []).append(h)
        seen = set()
        with open(os.path.join(testdata, name), encoding="utf-8") as f:
            lines = f.read().split("\n")
        for number, text in enumerate(lines, 1):
            if not text or (number == 1 and log != "jsonl"):
                continue
            got = read_line(log, text)
            if got is None:
                rows.append((name, number, "", "", "", "quarantined"))
                continue
            when, address = got
            h = next(h for h in by_address[address] if abs(h[0] - when) <= 1)
            seen.add(h)
            who = contract(h[6]) if h[6] is not None else ""
            row = (name, number, address, rfc3339(when), who, h[5])
            if log == "nozone":
                nozone.append(row)
                row = (name, number, address, "", "", "quarantined")
            rows.append(row)
        missing = [h for h in HITS[log] if h not in seen and h[5] != "quarantined"]
        assert not missing, (name, missing)
    for out, table in (("truth.csv", rows), ("truth-nozone.csv", nozone)):
        with open(os.path.join(testdata, out), "w", newline="") as f:
            w = csv.writer(f, lineterminator="\n")
            w.writerow(["file", "line", "address", "time", "contract", "verdict"])
            w.writerows(table)


def directory():
    w = csv.writer(sys.stdout, lineterminator="\n")
    w.writerow(["user_name", "contract", "name", "mail", "language", "opted_out"])
    for sub in sorted({s[0] for s in SESSIONS.values()}):
        english = sub % 3 == 0
        w.writerow(["sub%06d@example.ne.jp" % sub, contract(sub),
                    "Subscriber %d" % sub if english else "利用者 %d" % sub,
                    "sub%06d@mail.example.net" % sub, "en" if english else "ja",
                    "yes" if sub in (107, 119) else "no"])


def main():
    play()
    what, args = sys.argv[1], sys.argv[2:]
    if what == "packets":
        for at, _, src, dst, line in packets():
            print(at, src, dst, line, sep="\t")
    elif what == "hits":
        for h in sorted((h for log in args for h in HITS[log]), key=lambda h: h[0]):
            # nothing may be empty: bash's `read` joins neighbouring tabs
            print(h[0], h[7], h[1], h[2], h[3], h[4] or "none", sep="\t")
    elif what == "addresses":
        for address in sorted({h[1] for log in args for h in HITS[log]}):
            print(address)
    elif what == "directory":
        directory()
    elif what == "truth":
        truth(args[0])
    else:
        sys.exit(__doc__)


main()
