#!/usr/bin/env python3
"""What a script does with session logs: json.loads each line, walk from the last leaf to the root, join what shares a
message id, write messages. For comparison with `qlora prep logs2sft`.

    chatlog_peer.py FOLDER OUT.jsonl [PROCESSES]
"""
import json
import resource
import sys
import time
from multiprocessing import Pool
from pathlib import Path


def text_of(content):
    if isinstance(content, str):
        return content
    return "\n".join(b.get("text", "") for b in content or [] if b.get("type") == "text")


def convert(path):
    records, results, parts = {}, {}, {}
    size = 0
    with open(path, "rb") as f:
        for line in f:
            size += len(line)
            try:
                r = json.loads(line)
            except ValueError:
                continue
            if "uuid" not in r:
                continue
            records[r["uuid"]] = r
            message = r.get("message") or {}
            if r["type"] == "assistant":
                parts.setdefault(message.get("id"), []).extend(message.get("content") or [])
            elif r["type"] == "user" and isinstance(message.get("content"), list):
                for b in message["content"]:
                    if b.get("type") == "tool_result":
                        results[b["tool_use_id"]] = text_of(b.get("content"))
    leaf = next((r for r in reversed(records.values()) if r["type"] in ("user", "assistant") and not r.get("isSidechain")), None)
    chain = []
    while leaf:
        chain.append(leaf)
        leaf = records.get(leaf.get("parentUuid"))
    messages, done = [], set()
    for r in reversed(chain):
        message = r.get("message") or {}
        if r["type"] == "user" and not r.get("isMeta"):
            text = text_of(message.get("content"))
            if text:
                messages.append({"role": "user", "content": text})
        elif r["type"] == "assistant" and message["id"] not in done:
            done.add(message["id"])
            blocks = parts[message["id"]]
            calls = [b for b in blocks if b["type"] == "tool_use" and b["id"] in results]
            messages.append({"role": "assistant", "content": text_of(blocks), "tool_calls": [
                {"id": b["id"], "type": "function", "function": {"name": b["name"], "arguments": b["input"]}} for b in calls]})
            messages += [{"role": "tool", "tool_call_id": b["id"], "content": results[b["id"]][:4000]} for b in calls]
    return size, json.dumps({"messages": messages, "source": str(path)}, ensure_ascii=False)


def main():
    files = sorted(Path(sys.argv[1]).rglob("*.jsonl"))
    start, total = time.time(), 0
    with Pool(int(sys.argv[3]) if len(sys.argv) > 3 else 1) as pool, open(sys.argv[2], "w") as out:
        for size, line in pool.imap(convert, files):
            total += size
            out.write(line + "\n")
    seconds = time.time() - start
    busy = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"python: {total} bytes in {seconds:.2f} s, {total / seconds / 1e6:.1f} MB/s; "
          f"{busy:.2f} s of processor, {total / busy / 1e6:.1f} MB a second of it")


if __name__ == "__main__":
    main()
