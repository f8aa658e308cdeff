#!/usr/bin/env bash
# Do PEFT and we compute the same with the same adapter? Logits of PEFT in PyTorch against those of libllama, both ways.
#
#   benchmarks/handover.sh PYTHON
#
# PYTHON has torch, transformers, peft and gguf; `make build smollm2` comes first. For two-block models of three architectures and
# for SmolLM2-135M (dequantised to F32, so that no rounding of activations hides a mistake):
#   import   a random PEFT adapter (also with rslora, and with patterns of ranks and alphas) -> qlora import -> libllama
#   export   an adapter of ours -> qlora export -> PEFT; for SmolLM2 and a model of qlora init it is a trained one
# Prints the largest difference of any logit, what the adapter moves, and at the end whether all are within 1e-3.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(command -v "$1")
qlora=$(realpath "${QLORA:-bin/qlora}")
smollm=$(realpath "${MODEL:-data/models/SmolLM2-135M-Instruct.Q4_1.gguf}")
peer=benchmarks/peers/handover_peft.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_CFLAGS="${CGO_CFLAGS--O3 -march=native}" CGO_CXXFLAGS="${CGO_CXXFLAGS--O3 -march=native}"
go build -o "$work/logits" ./benchmarks/logits

# check LABEL BASE PEFTDIR ADAPTER.gguf: one JSON line
check() {
	[ -e "$2.tokens" ] || "$python" "$peer" tokens "$2" "$2.tokens"
	[ -e "$2.base" ] || "$work/logits" "$2" "" "$2.tokens" "$2.base"
	"$work/logits" "$2" "$4" "$2.tokens" "$work/ours.f32"
	"$python" "$peer" compare "$2" "$3" "$2.tokens" "$work/ours.f32" "$2.base" --label "$1" | tee -a "$work/results"
}

# both LABEL BASE [FLAG]...: a PEFT adapter to us and back
both() {
	local label=$1 base=$2 dir
	shift 2
	dir=$work/peft-$(echo "$label" | tr ' ' -)
	"$python" "$peer" make "$base" "$dir" "$@"
	"$qlora" import "$dir" --base "$base" --out "$dir.gguf" --quiet
	check "$label, imported" "$base" "$dir" "$dir.gguf"
	"$qlora" export --to peft "$dir.gguf" --base "$base" --out "$dir-back" --base-name none/none --quiet
	check "$label, exported" "$base" "$dir-back" "$dir.gguf"
}

for arch in llama qwen2 qwen3; do
	cp "internal/engine/testdata/$arch.gguf" "$work/$arch.gguf"
	both "$arch" "$work/$arch.gguf"
	both "$arch rslora" "$work/$arch.gguf" --rslora --rank 3
	both "$arch patterns" "$work/$arch.gguf" --patterns
done

# trained LABEL MODEL F32: three steps at a high rate, so that B is far from zero
trained() {
	(cd "$work" && "$qlora" train -m "$2" -d "$work/text.jsonl" --name "$1" --max-steps 3 -lr 2e-2 --warmup-ratio 0 --rank 8 -c 128 \
		--micro-batch-size 1 --grad-accum 1 --loss all --device cpu --eval-every 0 --template-date 2026-01-01 --quiet >/dev/null)
	"$qlora" export --to peft "$work/outputs/$1" --out "$work/$1-peft" --base-name none/none --quiet
	check "$1 trained, exported" "$3" "$work/$1-peft" "$work/outputs/$1/adapter.gguf"
}

for file in docs/*.md; do "$python" -c 'import json, sys; print(json.dumps({"text": open(sys.argv[1]).read()[:2000]}))' "$file"; done >"$work/text.jsonl"
"$qlora" init --vocab-from-text docs --vocab-size 600 --shape embd=64,ffn=96,layers=2,heads=4,kv-heads=2 -o "$work/init.gguf" --quiet
trained init "$work/init.gguf" "$work/init.gguf"
"$qlora" quantize -m "$smollm" -o "$work/smollm2.gguf" --type f32 --allow-requantize --quiet
trained smollm2 "$smollm" "$work/smollm2.gguf"
both smollm2 "$work/smollm2.gguf" --rank 16 --std 0.02

"$python" - "$work/results" <<'END'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
worst = max(rows, key=lambda r: r["largest_difference"])
still = [r["adapter"] for r in rows if r["adapter_moves_logits_by"] < 0.1]
print(f"{len(rows)} comparisons, largest difference {worst['largest_difference']:.2e} ({worst['adapter']})")
sys.exit(f"these adapters hardly do anything: {still}" if still else worst["largest_difference"] > 1e-3)
END
