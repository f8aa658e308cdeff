"""Compares a run's TensorBoard events with its metrics.jsonl: python tensorboard_scalars.py RUN_FOLDER"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# Where a tag's figure is in a line of metrics.jsonl.
FIELDS = {
    "train/loss": "loss",
    "train/grad_norm": "grad_norm",
    "train/learning_rate": "learning_rate",
    "train/epoch": "epoch",
    "train/tokens_per_second": "tokens_per_second",
    "train/trained_tokens_per_second": "trained_tokens_per_second",
    "train/loss_scale": "loss_scale",
    "train/skipped_steps": "skipped_steps",
    "eval/loss": "eval_loss",
    "memory/rss_bytes": "rss_bytes",
    "memory/peak_rss_bytes": "peak_rss_bytes",
    "memory/vram_bytes": "vram_bytes",
}
# Of a device: gpu0/mem_gib and so on, with the unit that they are divided by.
DEVICE_FIELDS = {
    "mem_gib": ("gpu_mem_bytes", 2**30),
    "mem_process_gib": ("gpu_mem_process_bytes", 2**30),
    "util_percent": ("gpu_util_percent", 1),
    "mem_util_percent": ("gpu_mem_util_percent", 1),
    "power_watts": ("gpu_power_watts", 1),
    "temp_celsius": ("gpu_temp_celsius", 1),
}


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def figure(line, tag):
    """The figure of a tag in a line, or None where the line does not have it."""
    if tag in FIELDS:
        return line.get(FIELDS[tag], 0 if tag == "train/skipped_steps" else None)
    device, name = tag.split("/")
    field, unit = DEVICE_FIELDS[name]
    for gpu in line.get("gpus", []):
        if f"gpu{gpu['index']}" == device and gpu[field] is not None:
            return gpu[field] / unit
    return None


def expected(lines, tag):
    """Steps and figures that a tag must have. The line of an evaluation repeats its step's report."""
    found = []
    reported = set()
    for line in lines:
        evaluation = line.get("eval_loss") is not None
        if evaluation != (tag == "eval/loss") or line["step"] in reported:
            continue
        value = figure(line, tag)
        if value is not None:
            reported.add(line["step"])
            found.append((line["step"], float32(value)))
    return found


def main(folder):
    lines = [json.loads(text) for text in Path(folder, "metrics.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = events.Tags()["scalars"]
    scalars = differing = 0
    for tag in tags:
        got = [(event.step, event.value) for event in events.Scalars(tag)]
        want = expected(lines, tag)
        scalars += len(got)
        if got != want:
            differing += 1
            print(f"{tag} differs:\n  events  {got}\n  metrics {want}")
    missing = [tag for tag in FIELDS if tag not in tags and expected(lines, tag) and tag not in ("train/loss_scale", "train/skipped_steps")]
    print(f"{folder}: {len(lines)} lines, {len(tags)} tags, {scalars} scalars, {differing} tags that differ, missing {missing}")
    return 1 if differing or missing or scalars == 0 else 0


sys.exit(main(sys.argv[1]))
