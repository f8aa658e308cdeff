#!/usr/bin/env python3
"""A plain fill-in-the-middle splitter, for comparison with `qlora prep repo2fim --spans line:1,char:1 --level file:1`.

    fim_peer.py OUT PROCESSES FOLDER...

Walks the folders, reads UTF-8 files of 64 B to 256 KiB that are not wide, and writes for each up to 8 records, as the square
root of its lines: a window of 6000 characters around some lines or characters. Prints files and bytes used.
"""

import json
import math
import os
import random
import sys
from multiprocessing import Pool

WINDOW, MIDDLE = 6000, 1200
SKIP = {".git", "vendor", "node_modules", "third_party", "testdata", "fixtures", "dist"}
ENDINGS = (".py", ".js", ".ts", ".c", ".h", ".cc", ".go", ".java", ".rs", ".rb", ".sh", ".md", ".html", ".css", ".tcl", ".lua", ".s", ".pl")


def files(folders):
    for folder in folders:
        for where, dirs, names in os.walk(folder):
            dirs[:] = sorted(d for d in dirs if d not in SKIP)
            for name in sorted(names):
                if name.endswith(ENDINGS):
                    yield os.path.join(where, name)


def span(rng, text, lines):
    if rng.random() < 0.5:
        first = rng.randrange(len(lines))
        last = min(first + rng.randint(1, 10), len(lines))
        start = lines[first]
        return start, (lines[last] - 1 if last < len(lines) else len(text))
    length = int(math.exp(rng.random() * math.log(min(MIDDLE, len(text)))))
    start = rng.randrange(len(text))
    return start, min(start + max(length, 1), len(text))


def split(path):
    try:
        if os.path.islink(path) or not 64 <= os.path.getsize(path) <= 256 << 10:
            return "", 0
        with open(path, encoding="utf-8", newline="") as f:
            text = f.read()
    except (OSError, UnicodeDecodeError):
        return "", 0
    rows = text.split("\n")
    if max(map(len, rows)) > 1000 or len(text) > 100 * len(rows):
        return "", 0
    lines, at = [], 0
    for row in rows:
        lines.append(at)
        at += len(row) + 1
    rng = random.Random(path)
    out = []
    for _ in range(min(8, math.ceil(math.sqrt(len(rows))))):
        start, end = span(rng, text, lines)
        if not 0 < end - start <= MIDDLE or not text[start:end].strip():
            continue
        rest = WINDOW - (end - start)
        before = min(start, rest * 3 // 4)
        after = min(len(text) - end, rest - before)
        record = {"prefix": text[start - before : start], "suffix": text[end : end + after], "middle": text[start:end], "path": path}
        out.append(json.dumps(record, ensure_ascii=False))
    return "\n".join(out) + "\n" if out else "", len(text.encode())


def main():
    out, processes, folders = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    used = size = 0
    with Pool(processes) as pool, open(out, "w", encoding="utf-8") as f:
        for text, n in pool.imap(split, files(folders), chunksize=16):
            if text:
                f.write(text)
                used, size = used + 1, size + n
    print(used, size)


if __name__ == "__main__":
    main()
