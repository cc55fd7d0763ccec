"""A client of hash-prefix lists as Safe Browsing's documentation (v4) describes it, with nothing but Python's own library.

Reads commands, a line each: `update`, or `look URL-EXPRESSION`. Answers each with a line of JSON.
"""

import base64
import hashlib
import json
import sys
import urllib.request

BASE = sys.argv[1]
held, states = {}, {}


def ask(path, body=None):
    request = urllib.request.Request(BASE + path, None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def rice(code):
    data = int.from_bytes(base64.b64decode(code["encodedData"]), "little")
    value, k = int(code["firstValue"]), code["riceParameter"]
    values = [value]
    for _ in range(code["numEntries"]):
        quotient = 0
        while data & 1:
            quotient, data = quotient + 1, data >> 1
        data >>= 1
        value += (quotient << k) + (data & ((1 << k) - 1))
        data >>= k
        values.append(value)
    return values


def update():
    names = [each["threatType"] for each in ask("/v4/threatLists")["threatLists"]]
    wanted = [
        {"threatType": name, "platformType": "ANY_PLATFORM", "threatEntryType": "URL", "state": states.get(name, ""),
         "constraints": {"supportedCompressions": ["RICE"]}}
        for name in names
    ]
    kinds = {}
    answer = ask("/v4/threatListUpdates:fetch", {"client": {"clientId": "test"}, "listUpdateRequests": wanted})
    for update in answer["listUpdateResponses"]:
        name, kind = update["threatType"], update["responseType"]
        prefixes = held.get(name, []) if kind == "PARTIAL_UPDATE" else []
        removed = {place for each in update["removals"] for place in rice(each["riceIndices"])}
        prefixes = [prefix for place, prefix in enumerate(prefixes) if place not in removed]
        for each in update["additions"]:
            if each["compressionType"] == "RICE":
                prefixes += [value.to_bytes(4, "little") for value in rice(each["riceHashes"])]
            else:
                raw, size = base64.b64decode(each["rawHashes"]["rawHashes"]), each["rawHashes"]["prefixSize"]
                prefixes += [raw[at:at + size] for at in range(0, len(raw), size)]
        prefixes.sort()
        if hashlib.sha256(b"".join(prefixes)).digest() != base64.b64decode(update["checksum"]["sha256"]):
            raise SystemExit(f"{name}: the checksum is another")
        held[name], states[name] = prefixes, update["newClientState"]
        kinds[name] = [kind, len(prefixes)]
    return kinds


def look(expression):
    digest = hashlib.sha256(expression.encode()).digest()
    prefixes = {prefix for of in held.values() for prefix in of if digest.startswith(prefix)}
    if not prefixes:
        return []
    entries = [{"hash": base64.b64encode(prefix).decode()} for prefix in prefixes]
    answer = ask("/v4/fullHashes:find", {"clientStates": list(states.values()), "threatInfo": {
        "threatTypes": list(held), "platformTypes": ["ANY_PLATFORM"], "threatEntryTypes": ["URL"],
        "threatEntries": entries}})
    return sorted(m["threatType"] for m in answer["matches"] if base64.b64decode(m["threat"]["hash"]) == digest)


for line in sys.stdin:
    what, _, expression = line.strip().partition(" ")
    print(json.dumps(update() if what == "update" else look(expression)), flush=True)
