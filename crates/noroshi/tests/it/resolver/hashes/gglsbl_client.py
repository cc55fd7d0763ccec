"""gglsbl 1.4.15 (PyPI), a client of Safe Browsing (v4) that others wrote, asks another server than Google's.

Reads commands, a line each: `update`, or `look URL-EXPRESSION`. Answers each with a line of JSON.
"""

import functools
import json
import sys
import time

import gglsbl
import gglsbl.protocol
from googleapiclient.discovery import build

gglsbl.protocol.build = functools.partial(build, static_discovery=True, client_options={"api_endpoint": sys.argv[1]})
client = gglsbl.SafeBrowsingList("no key", sys.argv[2], discard_fair_use_policy=True)
for line in sys.stdin:
    what, _, expression = line.strip().partition(" ")
    if what == "update":
        # It checks the checksum itself and fails where that is another.
        client.update_hash_prefix_cache()
        # It asks for nothing in the second in which it was updated.
        time.sleep(1.5)
        said = "updated"
    else:
        said = sorted(found.threat_type for found in client.lookup_url("http://" + expression) or [])
    print(json.dumps(said), flush=True)
