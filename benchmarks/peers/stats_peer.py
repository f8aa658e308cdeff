"""Counts what prep stats counts without a model, with json alone.

    stats_peer.py FILE

Samples by kind, messages by role, characters, lengths at 3.5 characters a token
with percentiles, exact duplicates by SHA-256 of the content.
"""

import collections
import hashlib
import json
import math
import sys

CONTENT = {
    "messages": ["messages", "tools"],
    "fim": ["prefix", "suffix", "middle"],
    "text": ["text"],
}


def kind_of(record):
    if "messages" in record:
        return "messages"
    return "fim" if "middle" in record else "text"


def characters(kind, record):
    if kind != "messages":
        return sum(len(record[key]) for key in CONTENT[kind])
    total = 0
    for message in record["messages"]:
        total += len(message.get("content") or "")
        for call in message.get("tool_calls", []):
            function = call["function"]
            total += len(function["name"]) + len(json.dumps(function["arguments"]))
    return total


def main(path):
    kinds, roles, lengths = collections.Counter(), collections.Counter(), collections.Counter()
    seen, duplicates = set(), 0
    with open(path, "rb") as lines:
        for line in lines:
            record = json.loads(line)
            kind = kind_of(record)
            kinds[kind] += 1
            roles.update(m["role"] for m in record.get("messages", []))
            lengths[math.ceil(characters(kind, record) / 3.5)] += 1
            content = json.dumps([record.get(key) for key in CONTENT[kind]])
            digest = hashlib.sha256(content.encode()).digest()[:16]
            duplicates += digest in seen
            seen.add(digest)
    print(dict(kinds), dict(roles), "duplicates", duplicates)
    total, at = sum(lengths.values()), 0
    wanted = [5, 25, 50, 75, 90, 95, 99]
    for length in sorted(lengths):
        at += lengths[length]
        while wanted and at >= wanted[0] / 100 * total:
            print(wanted.pop(0), length)


if __name__ == "__main__":
    main(sys.argv[1])
