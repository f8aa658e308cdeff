#!/usr/bin/env bash
# How far 16-bit gradients of SmolLM2-135M are from F32: ours on a GPU against torch.autocast's, for every adapter.
#
#   QLORA_CUDA_LIBRARY=lib/qlora/libqlora-cuda.so benchmarks/autocast.sh MODEL.gguf [PYTHON]
#
# ADAPTERS (8) sets of random adapters are judged together: the error of a single one is a matter of luck by a factor of
# three, as docs/kernels/rounding.md shows. ADAPTERS=1 prints every tensor of the first.
#
# PYTHON needs torch, transformers and gguf. Without the library the gradients are computed on the CPU, in F32 alone.
# ENGINE_TEST names the tests of internal/engine, compiled with `go test -c`, for a machine without Go.
set -euo pipefail
model=$(realpath "$1")
python=${2:-python3}
[ -z "${QLORA_CUDA_LIBRARY:-}" ] || export QLORA_CUDA_LIBRARY=$(realpath "$QLORA_CUDA_LIBRARY")
[ -z "${ENGINE_TEST:-}" ] || ENGINE_TEST=$(realpath "$ENGINE_TEST")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export QLORA_AUTOCAST=
for seed in $(seq "${ADAPTERS:-8}"); do
	"$python" benchmarks/peers/autocast_gradients.py --model "$model" --seed "$seed" --out "$work/$seed.gguf"
	QLORA_AUTOCAST+="${QLORA_AUTOCAST:+:}$work/$seed.gguf"
done
if [ -n "${ENGINE_TEST:-}" ]; then
	"$ENGINE_TEST" -test.v -test.run TestGradientsAgainstAutocast
else
	go test -count=1 -v -run TestGradientsAgainstAutocast ./internal/engine
fi
