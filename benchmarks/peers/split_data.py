"""Writes JSON lines to divide: chats, code and text, some of them copies.

usage: split_data.py BYTES SEED > data.jsonl

Of every hundred records three are exact copies of an earlier one and five are
near copies, with a few sentences of it changed.
"""

import json
import random
import sys


def sentences(rng, count):
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 10))) for _ in range(30_000)]
    return [" ".join(rng.choices(words, k=rng.randint(5, 25))).capitalize() + "." for _ in range(count)]


def record(rng, pieces, number):
    half = len(pieces) // 2
    shape = number % 4
    if shape < 2:
        return {"messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": " ".join(pieces[:half])},
            {"role": "assistant", "content": " ".join(pieces[half:])}],
            "session": f"s{number // 3}"}
    if shape == 2:
        text = "\n".join(pieces)
        a, b = sorted(rng.sample(range(len(text)), 2))
        return {"prefix": text[:a], "suffix": text[b:], "middle": text[a:b], "path": f"src/{number}.py", "repo": "r"}
    return {"text": "\n".join(pieces)}


def main():
    size, seed = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    pool = sentences(rng, 400_000)
    recent, written, number = [], 0, 0
    while written < size:
        draw = rng.random()
        if recent and draw < 0.08:
            pieces = list(rng.choice(recent))
            if draw >= 0.03:
                for _ in range(rng.randint(1, 2)):
                    pieces[rng.randrange(len(pieces))] = rng.choice(pool)
        else:
            pieces = rng.choices(pool, k=rng.randint(10, 50))
        if len(recent) < 5000:
            recent.append(pieces)
        else:
            recent[rng.randrange(5000)] = pieces
        line = json.dumps(record(rng, pieces, number))
        sys.stdout.write(line + "\n")
        written += len(line) + 1
        number += 1


main()
