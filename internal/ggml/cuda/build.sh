#!/usr/bin/env bash
# Builds libqlora-cuda.so into lib/qlora, or with "check" only compiles our own kernels for the oldest device there is code
# for. Run it through `make cuda` and `make cuda-check`.
#
#   CUDA_ARCH=75,90   compute capabilities without the dot [all that nvcc knows of 75,80,86,89,90]
#   CUDA_HOME=DIR     the CUDA toolkit [nvcc in PATH, then /usr/local/cuda]
#   CUDA_JOBS=N       compilers at a time [one per core]
#   CUDA_HOST=g++-11  host compiler [the default g++, or the newest that nvcc takes]
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$root"

fail() {
	echo "make cuda: $1" >&2
	shift
	printf '  %s\n' "$@" >&2
	exit 1
}

# find_nvcc sets nvcc and version (11.8 is 1108).
find_nvcc() {
	local candidate
	nvcc=
	for candidate in "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
		if [ -n "$candidate" ] && [ -x "$candidate" ]; then
			nvcc=$candidate
			break
		fi
	done
	if [ -z "$nvcc" ]; then
		fail 'nvcc, the CUDA compiler, was not found in $CUDA_HOME/bin, PATH or /usr/local/cuda/bin' \
			'Debian and Ubuntu: apt install nvidia-cuda-toolkit g++-11 (CUDA 11.8; section non-free)' \
			'or install the CUDA toolkit from https://developer.nvidia.com/cuda-downloads' \
			'and say where it is: make cuda CUDA_HOME=/usr/local/cuda-12.4'
	fi
	local text
	text=$("$nvcc" --version | sed -n 's/.*release \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
	[ -n "$text" ] || fail "$nvcc does not tell its version; is it NVIDIA's?"
	version=$(printf '%d%02d' $text)
	[ "$version" -ge 1108 ] || fail "$nvcc is CUDA ${text/ /.}; 11.8 is the oldest that works" 'install a newer toolkit, or name one with CUDA_HOME'
}

# find_host sets host, a g++ that this nvcc takes.
find_host() {
	local newest have v
	case $version in
		11??) newest=11 ;;
		120[0-3]) newest=12 ;;
		120[4-7]) newest=13 ;;
		12??) newest=14 ;;
		*) newest=15 ;;
	esac
	host=${CUDA_HOST:-g++}
	command -v "$host" >/dev/null || fail "no C++ compiler: $host was not found" 'Debian and Ubuntu: apt install g++'
	have=$("$host" -dumpversion)
	if [ -n "${CUDA_HOST:-}" ] || [ "${have%%.*}" -le "$newest" ]; then
		return
	fi
	for ((v = newest; v >= 9; v--)); do
		if command -v "g++-$v" >/dev/null; then
			host=g++-$v
			return
		fi
	done
	fail "this nvcc takes g++ up to version $newest as host compiler, and g++ here is $have" "Debian and Ubuntu: apt install g++-$newest"
}

# choose_architectures sets architectures: what was asked for, or what nvcc knows of the default; code that later devices
# can compile for themselves (PTX) is added for the newest alone.
choose_architectures() {
	local known wanted a chosen=()
	known=$("$nvcc" --list-gpu-code | tr -d 'sm_ \r')
	wanted=${CUDA_ARCH:-75,80,86,89,90}
	for a in ${wanted//[,;]/ }; do
		if grep -qx "${a%-real}" <<<"$known"; then
			chosen+=("${a%-real}")
		elif [ -n "${CUDA_ARCH:-}" ]; then
			fail "CUDA_ARCH=$CUDA_ARCH: this nvcc does not know $a" "it knows: $(echo $known)"
		fi
	done
	[ ${#chosen[@]} -gt 0 ] || fail "CUDA_ARCH=${CUDA_ARCH:-} names no architecture" 'give compute capabilities without the dot: CUDA_ARCH=75,90'
	mapfile -t chosen < <(printf '%s\n' "${chosen[@]}" | sort -nu)
	architectures=
	for a in "${chosen[@]:0:${#chosen[@]}-1}"; do
		architectures+="$a-real;"
	done
	architectures+=${chosen[-1]}
}

# find_ggml sets ggml, the folder of the pinned sources.
find_ggml() {
	command -v go >/dev/null || fail 'go was not found' 'install Go from https://go.dev/dl'
	local module
	go mod download github.com/ollama/ollama || fail 'the Go module with the sources of llama.cpp could not be fetched' \
		'check the network and GOPROXY, then: go mod download'
	module=$(go list -m -f '{{.Dir}}' github.com/ollama/ollama)
	ggml=$module/ml/backend/ggml/ggml
	[ -e "$ggml/src/ggml-cuda/ggml-cuda.cu" ] || fail "the Go module in $module holds no ggml-cuda" 'restore go.mod and go.sum; see third_party/llama.cpp/README.md'
}

# configure DIR runs CMake on DIR, with ninja where there is one.
configure() {
	local generator=()
	command -v cmake >/dev/null || fail 'cmake was not found' 'Debian and Ubuntu: apt install cmake ninja-build' 'elsewhere: python3 -m pip install cmake ninja'
	if [ ! -e "$1/CMakeCache.txt" ] && command -v ninja >/dev/null; then
		generator=(-G Ninja)
	fi
	echo "nvcc $nvcc (CUDA $((version / 100)).$((version % 100))), host $host, compute capabilities ${architectures//;/ }, $jobs jobs"
	cmake -S internal/ggml/cuda -B "$1" "${generator[@]}" -DGGML_DIR="$ggml" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES="$architectures" \
		-DCMAKE_CUDA_COMPILER="$nvcc" -DCMAKE_CUDA_HOST_COMPILER="$(command -v "$host")" --log-level=NOTICE
}

# check_code DIR reads the machine code in the objects of DIR, where the toolkit has its cuobjdump.
check_code() {
	local cuobjdump=${nvcc%/*}/cuobjdump
	if [ ! -x "$cuobjdump" ]; then
		echo "there is no cuobjdump beside $nvcc: the machine code is not looked at"
		return
	fi
	CUOBJDUMP=$cuobjdump internal/ggml/cuda/check_sass.sh "$1"
}

what=${1:-build}
jobs=${CUDA_JOBS:-$(nproc)}
if [ "$what" = check ]; then
	CUDA_ARCH=${CUDA_ARCH:-75}
fi
find_nvcc
find_host
choose_architectures
find_ggml
if [ "$what" = check ]; then
	configure build/cuda-check
	cmake --build build/cuda-check --target qlora-kernels -j "$jobs"
	check_code build/cuda-check/CMakeFiles/qlora-kernels.dir
	echo "our kernels compile for compute capabilities ${architectures//;/ }"
	exit
fi
configure build/cuda
cmake --build build/cuda --target qlora-cuda -j "$jobs"
mkdir -p lib/qlora
cp build/cuda/libqlora-cuda.so lib/qlora/.libqlora-cuda.so.new
mv lib/qlora/.libqlora-cuda.so.new lib/qlora/libqlora-cuda.so
echo "built lib/qlora/libqlora-cuda.so; see what it finds: bin/qlora doctor"
