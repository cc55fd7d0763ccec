"""Holds a log in tiles against aics-tlog, an implementation of C2SP tlog-tiles that is not ours.

foreign.py FOLDER KEY OLDER PROOF GROWTH: what the folder holds must be signed by KEY, whole, and the checkpoint in OLDER grown;
PROOF and GROWTH are documents of `noroshi evidence prove`. Says "accepted", or ends with 1 and says why not.
"""

import base64
import json
import sys
from pathlib import Path

import aics_tlog as tlog


def signed(text, key):
    result = tlog.verify_checkpoint(tlog.parse_note(text), key)
    if not result.ok:
        raise ValueError(f"checkpoint: {result.error}")
    return result


def main(folder, key, older, proof, growth):
    key = tlog.parse_vkey(Path(key).read_text().strip())
    head = signed((Path(folder) / "checkpoint").read_text(), key)
    tiles = tlog.FileSystemTileReader(folder)
    report = tlog.audit_tiles(tiles, head.size, head.root, entries=True)
    if report.tiles == 0 or report.bundles == 0:
        raise ValueError("looked at nothing")
    old = signed(Path(older).read_text(), key)
    path = tlog.consistency_proof_from_tiles(tiles, old.size, head.size)
    if not tlog.verify_consistency(old.size, head.size, old.root, head.root, path):
        raise ValueError("the tiles do not show that the older checkpoint has grown")

    proof = json.loads(Path(proof).read_text())
    ours = [bytes.fromhex(step) for step in proof["path"]]
    stated = signed(proof["checkpoint"], key)
    index, entry = proof["entry"]["index"], base64.b64decode(proof["entry_bytes"])
    if not tlog.verify_leaf_inclusion(entry, index, stated.size, ours, stated.root):
        raise ValueError("the entry's proof does not hold")
    if ours != tlog.inclusion_proof_from_tiles(tiles, index, stated.size, head.size):
        raise ValueError("the tiles give another proof of the entry")
    if entry != tlog.read_entry(tiles, index, head.size):
        raise ValueError("the tiles hold another entry")

    growth = json.loads(Path(growth).read_text())
    first, second = signed(growth["from"], key), signed(growth["to"], key)
    ours = [bytes.fromhex(step) for step in growth["path"]]
    if not tlog.verify_consistency(first.size, second.size, first.root, second.root, ours):
        raise ValueError("the proof of growth does not hold")
    print(f"accepted: {head.size} entries, {report.tiles} tiles, {report.bundles} bundles")


try:
    main(*sys.argv[1:])
except (ValueError, OSError) as error:
    sys.exit(f"refused: {type(error).__name__}: {error}")
