#!/usr/bin/env bash
# How far 16-bit gradients of SmolLM2-135M are from F32: ours on a GPU against torch.autocast's, for every adapter.
#
#   QLORA_CUDA_LIBRARY=lib/qlora/libqlora-cuda.so benchmarks/autocast.sh MODEL.gguf [PYTHON]
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

"$python" benchmarks/peers/autocast_gradients.py --model "$model" --out "$work/autocast.gguf"
export QLORA_AUTOCAST="$work/autocast.gguf"
if [ -n "${ENGINE_TEST:-}" ]; then
	"$ENGINE_TEST" -test.v -test.run TestGradientsAgainstAutocast
else
	go test -count=1 -v -run TestGradientsAgainstAutocast ./internal/engine
fi
