#!/usr/bin/env bash
# The operation tests and goldens on a device under compute-sanitizer: memcheck looks for accesses outside of what was
# allocated, racecheck for hazards in shared memory.
#
#   benchmarks/sanitize_cuda.sh [FOLDER]    logs go to FOLDER [build/sanitize]
#
#   QLORA_CUDA_LIBRARY   the library [lib/qlora/libqlora-cuda.so, of `make cuda`]
#   COMPUTE_SANITIZER    the tool [in PATH, then /usr/local/cuda/bin], of the library's CUDA version
#   TESTS                folder with ggml.test and engine.test, for a machine without Go; otherwise they are compiled
#   LIMIT                seconds for each of the four runs [600]
#
# Prints a line for each run; ends with 1 when a tool found something, a test failed, or a run did not end. cuBLAS is not ours
# and racecheck leaves it out; memcheck does not, since what it is given to work on is ours.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=$(mkdir -p "${1:-build/sanitize}" && cd "${1:-build/sanitize}" && pwd)
export QLORA_CUDA_LIBRARY=$(realpath "${QLORA_CUDA_LIBRARY:-lib/qlora/libqlora-cuda.so}")
limit=${LIMIT:-600}
tool=${COMPUTE_SANITIZER:-$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)}
if [ ! -x "$tool" ] || [ ! -e "$QLORA_CUDA_LIBRARY" ]; then
	echo "needs compute-sanitizer (here: $tool) and the CUDA library (here: $QLORA_CUDA_LIBRARY)" >&2
	exit 1
fi
tests=${TESTS:-$logs}
for package in ggml engine; do
	[ -n "${TESTS:-}" ] || go test -c -o "$logs/$package.test" "./internal/$package"
done
tests=$(cd "$tests" && pwd)

# Every launch is watched, so the tests are those with small shapes that reach every kernel once.
operations='Test(Linear|Rows|Dropout|Norm|Rope|SwiGLU|Loss)VJP|TestAttentionVJP/[012]|TestOperationsAgainstReference|Test(Group|Linear|AdamW)AgainstReference|TestLinearInits|TestOuterAndBiasBack|TestRowOperations'
goldens='Test(AdapterGradientsMatchAutograd|DeviceGradientsMatchTheCPU|TenStepsMatchAdamW)'

failed=0
# check NAME PACKAGE TESTS TOOL...  runs tests of a package under a tool.
check() {
	local name=$1 package=$2 run=$3 log=$logs/$1-$2.log status=0 summary ran
	shift 3
	(cd "internal/$package" && timeout "$limit" "$tool" "$@" --error-exitcode 9 --print-limit 50 "$tests/$package.test" -test.v -test.run "$run") >"$log" 2>&1 || status=$?
	summary=$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log" | tail -n 1 | sed 's/^=* *//' || true)
	ran=$(grep -c -- '^ *--- PASS' "$log" || true)
	echo "$name $package: ${summary:-no summary}; $ran tests passed, $(grep -c -- '^ *--- SKIP' "$log" || true) skipped, exit status $status ($log)"
	if [ "$status" != 0 ] || [ -z "$summary" ] || [ "$ran" = 0 ]; then
		failed=1
	fi
}

racecheck=(--tool racecheck --racecheck-report analysis --kernel-regex-exclude 'kns=cutlass|xmma|cublas|gemm|gemv')
check memcheck ggml "$operations" --tool memcheck
check racecheck ggml "$operations" "${racecheck[@]}"
check memcheck engine "$goldens" --tool memcheck
check racecheck engine "$goldens" "${racecheck[@]}"
exit "$failed"
