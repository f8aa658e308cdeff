#!/usr/bin/env python3
"""Writes a tree of session logs of a given size, for measuring `qlora prep logs2sft`.

    chatlog_tree.py OUT BYTES [--long BYTES] [--sources FOLDER]

Sessions are made up: prompts, replies in several records, parallel calls, results with the copy of the same text that
the program keeps for itself, abandoned branches, resumed copies of earlier sessions. Results are pieces of the source
files under --sources, so that escapes are as frequent as in real logs. A few dozen sessions are made; the others are
these with new ids. --long adds one record with a line of that many bytes to one session in 200.
"""
import argparse
import json
import os
import random
from pathlib import Path

TOKEN = "00000000beef"  # in every id of a session; replaced to make another session


def texts(folder):
    files = sorted(Path(folder).rglob("*.go"))[:400]
    return [f.read_text(errors="replace") for f in files] or ["package none\n" * 200]


class Session:
    def __init__(self, rng, sources):
        self.rng, self.sources, self.lines, self.last, self.n = rng, sources, [], None, 0

    def id(self, kind):
        self.n += 1
        return f"{kind}-{TOKEN}-{self.n:06d}"

    def piece(self, most):
        text = self.rng.choice(self.sources)
        size = min(int(self.rng.paretovariate(1.1) * 800), most)
        at = self.rng.randrange(max(1, len(text) - size))
        return text[at : at + size]

    def record(self, kind, parent, **fields):
        uuid = self.id("uuid")
        record = {
            "parentUuid": parent, "isSidechain": False, "userType": "external", "cwd": "/home/dev/src/project",
            "sessionId": f"session-{TOKEN}", "version": "2.1.38", "gitBranch": "main", "type": kind,
            **fields, "uuid": uuid, "timestamp": f"2026-01-02T03:{self.n // 60 % 60:02d}:{self.n % 60:02d}.000Z",
        }
        self.lines.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
        self.last = uuid
        return uuid

    def chunk(self, message, block, stop=None):
        usage = {"input_tokens": 5, "cache_read_input_tokens": 20000, "output_tokens": 300, "service_tier": "standard"}
        return self.record("assistant", self.last, message={
            "id": message, "type": "message", "role": "assistant", "model": "claude-x", "content": [block],
            "stop_reason": stop, "usage": usage}, requestId="req_" + message)

    def result(self, call, parent, text):
        shown = "\n".join(f"{i:6d}→{line}" for i, line in enumerate(text.split("\n"), 1))
        kept = {"type": "text", "file": {"filePath": "/home/dev/src/project/a.go", "content": text, "numLines": text.count("\n")}}
        if self.rng.random() < 0.3:
            kept = {"oldString": text[:200], "newString": text[:300], "originalFile": text * 2,
                    "structuredPatch": [{"oldStart": 1, "lines": text[:600].split("\n")}], "userModified": False}
        self.record("user", parent, message={"role": "user", "content": [
            {"tool_use_id": call, "type": "tool_result", "content": shown}]}, toolUseResult=kept)

    def step(self):
        message, calls = self.id("msg"), []
        self.chunk(message, {"type": "thinking", "thinking": self.piece(1500), "signature": "E" * 600})
        if self.rng.random() < 0.6:
            self.chunk(message, {"type": "text", "text": self.piece(600)})
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            call = self.id("toolu")
            holder = self.chunk(message, {"type": "tool_use", "id": call, "name": self.rng.choice(["Read", "Bash", "Edit", "Grep"]),
                                          "input": {"file_path": "/home/dev/src/project/a.go", "text": self.piece(900)}}, "tool_use")
            calls.append((call, holder))
        for call, holder in calls:
            self.result(call, holder, self.piece(30000))
        for _ in range(self.rng.randrange(3)):
            self.record("progress", self.last, data={"type": "hook_progress", "command": self.piece(400)})
        if self.rng.random() < 0.3:
            self.lines.append(json.dumps({"type": "file-history-snapshot", "messageId": self.last, "snapshot": {
                "messageId": self.last, "trackedFileBackups": {f"f{i}": {"version": i} for i in range(40)}}}))

    def turn(self):
        if self.rng.random() < 0.2:
            at = self.last
            self.record("user", at, message={"role": "user", "content": self.piece(300)})
            self.step()
            self.last = at
        self.record("user", self.last, message={"role": "user", "content": self.piece(2000)})
        for _ in range(self.rng.randrange(2, 12)):
            self.step()
        self.chunk(self.id("msg"), {"type": "text", "text": self.piece(2500)}, "end_turn")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("bytes", type=int)
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--sources", default=os.path.join(os.environ.get("GOROOT", "/usr/local/go"), "src"))
    o = parser.parse_args()
    rng, sources, kinds = random.Random(7), texts(o.sources), []
    for _ in range(48):
        s = Session(rng, sources)
        for _ in range(rng.randrange(2, 30)):
            s.turn()
        kinds.append(s)
    token, written, number = TOKEN.encode(), 0, 0
    while written < o.bytes:
        s, name = kinds[number % len(kinds)], f"{number:012x}".encode()
        data = ("\n".join(s.lines) + "\n").encode().replace(token, name)
        folder = Path(o.out) / f"-home-dev-src-p{number % 50}"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"session-{name.decode()}.jsonl", "wb") as f:
            f.write(data)
            if o.long and number % 200 == 0:
                f.write(b'{"type":"user","uuid":"long-%s","parentUuid":null,"isMeta":true,"message":{"role":"user","content":"x"},'
                        b'"toolUseResult":{"stdout":"' % name + b"y" * o.long + b'"}}\n')
        written += len(data)
        if number % 12 == 5:  # resumed: the same history in a new file
            copy = data.replace(b"session-" + name, b"session-r" + name[1:])
            (folder / f"session-r{name[1:].decode()}.jsonl").write_bytes(copy)
            written += len(copy)
        number += 1
    print(f"{written} bytes in {number} sessions and {number // 12} copies")


if __name__ == "__main__":
    main()
