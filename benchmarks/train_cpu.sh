#!/usr/bin/env bash
# SmolLM2-135M Q4_1, LoRA r=16 on all linears, 4 x 256 tokens, every token trained, nothing recomputed: qlora against
# transformers + PEFT in F32 on torch CPU, in turns on one machine.
#
#   benchmarks/train_cpu.sh [PYTHON] [ROUNDS]
#
# PYTHON needs torch, transformers, peft and gguf; `make build smollm2` comes first. Leave the machine alone meanwhile:
# torch's threads spin while they wait, and another busy process slows them down many times over.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
rounds=${2:-3}
model=data/models/SmolLM2-135M-Instruct.Q4_1.gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bin/qlora prep repo2fim --repo . --format text --out "$work/text.jsonl" --quiet
for round in $(seq "$rounds"); do
	bin/qlora train -m "$model" --data "$work/text.jsonl" --loss all --over-length split -c 256 --micro-batch-size 4 \
		--grad-accum 1 --rank 16 --target all --recompute none --max-steps 12 --log-every 1 --threads 2 \
		--name "bench-$round" -o "$work/run-$round" --force --json >"$work/qlora.jsonl" 2>"$work/qlora.log"
	"$python" - "$work/qlora.jsonl" <<-'PY'
		import json, statistics, sys
		rates, summary = [], {}
		for line in open(sys.argv[1]):
		    event = json.loads(line)
		    if event["message_type"] == "summary":
		        summary = event
		    elif "tokens_per_second" in event and event.get("loss") is not None:
		        rates.append(event["tokens_per_second"])
		print(f"qlora: median {statistics.median(rates[2:]):.0f} tokens/s of {len(rates) - 2} steps, peak RSS {summary['peak_rss_bytes'] / 2**30:.2f} GiB", flush=True)
	PY
	"$python" benchmarks/peers/peft_cpu.py --model "$model"
done
