"""The steps of `qlora prep split` with datasketch, for comparison.

usage: split_peer.py DATA OUT_DIR

Reads JSON lines; removes exact copies; signs runs of five words with 128
permutations; looks for near copies in 32 bands of 4 rows and compares them
exactly at 0.7; keeps groups together; writes train.jsonl and eval.jsonl; looks
every evaluated record up among the trained ones.
"""

import hashlib
import json
import os
import random
import re
import sys
import time

from datasketch import MinHash, MinHashLSH

WORD = re.compile(r"\w+")
PERMS, BANDS, ROWS, NEAR, FRACTION = 128, 32, 4, 0.7, 0.15


def text_of(r):
    if "messages" in r:
        return " ".join(m["content"] for m in r["messages"] if m["role"] in ("user", "assistant"))
    if "middle" in r:
        return r["prefix"] + r["middle"] + r["suffix"]
    return r["text"]


def content_of(r):
    fields = {k: r[k] for k in ("messages", "tools", "prefix", "middle", "suffix", "text") if k in r}
    text = json.dumps(fields, sort_keys=True).lower()
    return hashlib.sha256(" ".join(text.split()).encode()).digest()


def shingles(text):
    words = WORD.findall(text.lower())
    return {" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def jaccard(a, b):
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def main():
    started = time.time()
    data, out = sys.argv[1], sys.argv[2]
    lsh = MinHashLSH(num_perm=PERMS, params=(BANDS, ROWS))
    seen, kept = set(), []
    exact = near = 0
    with open(data, encoding="utf-8") as f:
        for number, line in enumerate(f):
            r = json.loads(line)
            content = content_of(r)
            if content in seen:
                exact += 1
                continue
            seen.add(content)
            parts = shingles(text_of(r))
            m = MinHash(num_perm=PERMS)
            m.update_batch([s.encode() for s in parts])
            if any(jaccard(parts, kept[k][1]) >= NEAR for k in lsh.query(m)):
                near += 1
                continue
            lsh.insert(len(kept), m, check_duplication=False)
            kept.append((line, parts, m, r.get("session") or r.get("path") or number))
    groups = {}
    for k in kept:
        groups.setdefault(k[3], []).append(k)
    names = sorted(groups, key=str)
    random.Random(42).shuffle(names)
    train, evaluated = [], []
    for name in names:
        side = evaluated if len(evaluated) < FRACTION * len(kept) else train
        side.extend(groups[name])
    os.makedirs(out, exist_ok=True)
    for side, name in ((train, "train.jsonl"), (evaluated, "eval.jsonl")):
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            f.writelines(k[0] for k in side)
    lookup = MinHashLSH(num_perm=PERMS, params=(BANDS, ROWS))
    for i, k in enumerate(train):
        lookup.insert(i, k[2], check_duplication=False)
    worst = max((jaccard(k[1], train[t][1]) for k in evaluated for t in lookup.query(k[2])), default=0.0)
    print(f"peer: {len(train)} train, {len(evaluated)} eval, {exact} exact, {near} near, "
          f"nearest {worst:.2f}, {time.time() - started:.2f} s")


main()
