"""What benchmarks/train_cuda.sh runs; see there."""
import argparse
import fnmatch
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
from shapes import flops_per_token  # noqa: E402

DEFAULT_TYPE = "q4_k_m"


@dataclass(frozen=True)
class Row:
    """One line of the table: what is trained, and how."""
    shape: str
    rows: int
    length: int
    recompute: bool
    type: str = DEFAULT_TYPE
    precision: str = "bf16"
    steps: int = 6
    warmup: int = 2

    @property
    def name(self):
        parts = [self.shape, f"{self.rows}x{self.length}", "block" if self.recompute else "none"]
        parts += [self.type] if self.type != DEFAULT_TYPE else []
        parts += [self.precision] if self.precision != "bf16" else []
        return "-".join(parts)

    def peer_case(self):
        """The peer's case; its base is BF16 whatever ours is."""
        return {"shape": self.shape, "rows": self.rows, "length": self.length, "recompute": self.recompute, "steps": self.steps,
                "warmup": self.warmup}


GROUPS = {
    "core": [Row("7b", 4, 2048, True), Row("7b", 2, 2048, False), Row("0.5b", 8, 1024, True), Row("0.5b", 8, 1024, False),
             Row("1.5b", 4, 2048, True), Row("14b", 2, 2048, True)],
    "types": [Row("1.5b", 4, 2048, True, t) for t in ("q4_0", "q4_k", "q5_k", "q6_k", "q8_0", "iq4_xs", "f16")],
    "types7b": [Row("7b", 4, 2048, True, t) for t in ("q4_0", "q4_k", "q5_k", "q6_k", "q8_0", "iq4_xs", "f16")],
    "lengths": [Row("7b", 1, 2048, True), Row("7b", 1, 8192, True), Row("7b", 1, 32768, True, steps=4)],
    "precision": [Row("7b", 2, 2048, False), Row("7b", 2, 2048, False, precision="f16"), Row("0.5b", 8, 1024, False),
                  Row("0.5b", 8, 1024, False, precision="f16")],
}


def choose(wanted):
    """The rows that the arguments name, each once, in the order of the arguments."""
    chosen = {}
    every = {row.name: row for rows in GROUPS.values() for row in rows}
    for pattern in wanted:
        rows = GROUPS.get(pattern) or [every[name] for name in every if fnmatch.fnmatch(name, pattern)]
        if not rows:
            raise SystemExit(f"train_cuda: no group and no row is called {pattern}; --list shows them")
        chosen.update((row.name, row) for row in rows)
    return list(chosen.values())


class MemoryWatch:
    """Samples what nvidia-smi, that is NVML, says is used of the GPU, ten times a second."""

    def __init__(self):
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"
        self.samples, self.lock = [], threading.Lock()
        lines = ["stdbuf", "-oL"] if shutil.which("stdbuf") else []  # or a pipe may get them late
        self.process = None
        if shutil.which("nvidia-smi") is None:
            return
        self.process = subprocess.Popen([*lines, "nvidia-smi", "-i", gpu, "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "100"],
                                        stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if line.strip().isdigit():
                with self.lock:
                    self.samples.append((time.monotonic(), int(line) << 20))

    def idle(self):
        """Bytes in use now, once two samples agree; None without nvidia-smi."""
        if self.process is None:
            return None
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            time.sleep(0.25)
            with self.lock:
                last = [used for _, used in self.samples[-2:]]
            if len(last) == 2 and last[0] == last[1]:
                return last[0]
        return last[-1] if last else None

    def peak_since(self, start):
        time.sleep(0.15)
        with self.lock:
            return max((used for at, used in self.samples if at >= start), default=None)

    def close(self):
        if self.process is not None:
            self.process.terminate()


class Peer:
    """The process of peers/peft_cuda.py. Rows with one case share its answer."""

    def __init__(self, folder, memory):
        self.memory, self.before, self.answers = memory, memory.idle(), {}
        self.log = open(folder / "peer.log", "w")
        self.process = subprocess.Popen([sys.executable, str(HERE / "peers" / "peft_cuda.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        self.card = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"train_cuda: the peer ended; see {self.log.name}")
        return json.loads(line)

    def measure(self, row):
        case = json.dumps(row.peer_case())
        if case not in self.answers:
            start = time.monotonic()
            self.process.stdin.write(case + "\n")
            self.process.stdin.flush()
            answer = self.read()
            if "error" not in answer:
                answer["used_bytes"] = above(self.memory.peak_since(start), self.before)
            self.answers[case] = answer
        return self.answers[case]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def above(used, before):
    return None if used is None or before is None else used - before


class Ours:
    """The binary, on models that it writes when they are first needed."""

    def __init__(self, folder, models, memory):
        self.folder, self.models, self.memory, self.binary = folder, models, memory, os.environ["QLORA"]

    def run(self, name, *args):
        with open(self.folder / f"{name}.log", "w") as log:
            done = subprocess.run([self.binary, *args], stdout=subprocess.PIPE, stderr=log, text=True)
        (self.folder / f"{name}.jsonl").write_text(done.stdout)
        return done

    def model(self, row):
        path = self.models / f"{row.shape}-{row.type}.gguf"
        if not path.exists():
            done = self.run(f"init-{path.stem}", "init", "--like", row.shape, "--type", row.type, "-o", str(path), "--json")
            if done.returncode != 0:
                raise SystemExit(f"train_cuda: writing {path.name} failed; see {self.folder}/init-{path.stem}.log")
        return path

    def measure(self, row):
        path, before, start = self.model(row), self.memory.idle(), time.monotonic()
        done = self.run(row.name, "test", "perf", "--train", "-m", str(path), "--micro-batch-size", str(row.rows), "-c", str(row.length),
                        "--rank", "16", "--recompute", "block" if row.recompute else "none", "--precision", row.precision, "--device", "cuda",
                        "--steps", str(row.steps), "--warmup", str(row.warmup), "--json")
        if done.returncode != 0:
            return {"error": "out of memory" if done.returncode == 5 else f"exit status {done.returncode}"}
        result = json.loads(done.stdout.splitlines()[-1])["results"][0]
        used = above(self.memory.peak_since(start), before)
        return {"tokens_per_second": result["tokens_per_second"]["median"], "used_bytes": used or result["peak_vram_bytes"], "loss": result["loss"],
                "details": result}


def drop_models(ours, row, later):
    """Removes a model that no later row needs, where nobody asked to keep them: the largest take 30 GB."""
    path = ours.models / f"{row.shape}-{row.type}.gguf"
    if "MODELS" not in os.environ and not any((r.shape, r.type) == (row.shape, row.type) for r in later):
        path.unlink(missing_ok=True)


def number(value, form):
    return "-" if value is None else format(value, form)


def ratio(a, b):
    return a / b if a is not None and b else None


def line(row, ours, peer, ceiling):
    """The cells of a row: rates, memory, and shares of the ceiling, ours beside the peer's."""
    speed = [side.get("tokens_per_second") for side in (ours, peer)]
    used = [side.get("used_bytes") for side in (ours, peer)]
    gib = [None if u is None else u / 2**30 for u in used]
    shares = [None if s is None or ceiling is None else 100 * s * flops_per_token(row.shape, row.recompute) / ceiling for s in speed]
    cells = [row.name, *(number(s, ".0f") for s in speed), number(ratio(*speed), ".2f"), *(number(g, ".1f") for g in gib), number(ratio(*used), ".2f"),
             number(None if peer.get("peak_allocated_bytes") is None else peer["peak_allocated_bytes"] / 2**30, ".1f"), *(number(s, ".0f") for s in shares)]
    errors = [f"{side}: {result['error']}" for side, result in (("qlora", ours), ("peer", peer)) if "error" in result]
    return "| " + " | ".join(cells + ["; ".join(errors)]) + " |"


HEAD = ("| row | qlora tokens/s | peer | ratio | qlora GiB | peer | ratio | peer, allocated | qlora % of ceiling | peer | |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")


def measure_all(rows, ours, peer, ceiling, folder):
    print(HEAD, flush=True)
    failed = False
    with open(folder / "results.jsonl", "w") as raw, open(folder / "table.md", "w") as table:
        table.write(HEAD + "\n")
        for i, row in enumerate(rows):
            theirs = peer.measure(row) if peer else {}
            mine = ours.measure(row)
            drop_models(ours, row, rows[i + 1:])
            failed |= "error" in mine
            raw.write(json.dumps({"row": row.name, **asdict(row), "qlora": mine, "peer": theirs, "ceiling_flops": ceiling}) + "\n")
            text = line(row, mine, theirs, ceiling)
            table.write(text + "\n")
            print(text, flush=True)
    return failed


def arguments():
    parser = argparse.ArgumentParser(prog="train_cuda.sh", description="Training on one GPU against transformers + PEFT.")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, help="where raw results go")
    parser.add_argument("rows", nargs="*", default=["core"], help="groups or rows [core]")
    parser.add_argument("--list", action="store_true", help="print groups and rows")
    parser.add_argument("--ceiling", type=float, metavar="TFLOPS", help="of the card, instead of measuring it")
    args = parser.parse_args()
    if not args.list and args.folder is None:
        parser.error("a folder for raw results is needed")
    return args


def main():
    args = arguments()
    if args.list:
        for group, rows in GROUPS.items():
            print(f"{group}: {' '.join(row.name for row in rows)}")
        return 0
    rows = choose(args.rows or ["core"])
    args.folder.mkdir(parents=True, exist_ok=True)
    memory, start = MemoryWatch(), time.monotonic()
    peer = None
    try:
        with tempfile.TemporaryDirectory(prefix="qlora-bench-") as temporary:
            models = pathlib.Path(os.environ.get("MODELS") or temporary)
            models.mkdir(parents=True, exist_ok=True)
            peer = Peer(args.folder, memory) if os.environ.get("PEER", "1") != "0" else None
            ceiling = args.ceiling * 1e12 if args.ceiling else peer.card["ceiling_flops"] if peer else None
            if peer:
                print(f"{peer.card['device']}, torch {peer.card['torch']}, transformers {peer.card['transformers']}", end="; ", file=sys.stderr)
            if ceiling:
                print(f"ceiling {ceiling / 1e12:.0f} TFLOP/s in bf16", file=sys.stderr)
            failed = measure_all(rows, Ours(args.folder, models, memory), peer, ceiling, args.folder)
    finally:
        if peer:
            peer.close()
        memory.close()
    print(f"{len(rows)} rows in {time.monotonic() - start:.0f} s", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
