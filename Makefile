# Short names for what the scripts and CMake presets do. Everything real is in CMakeLists.txt and tools/.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BINARY := build/release/lmdeploy
MODEL  := models/SmolLM2-135M-Instruct
PORT   ?= 23333
ARGS   ?=                      # more options for `make serve`
JOBS   ?= $(shell nproc)
CUDA_ARCHITECTURES ?=          # for `make test-cuda` and `cuda-bundle`: other cards than cmake/cuda.cmake compiles for, e.g. 90a-real

# Ubuntu keeps its newer Rust releases apart (tools/setup.sh installs one where no cargo is new enough).
UBUNTU_RUST := $(lastword $(sort $(wildcard /usr/lib/rust-1.*/bin)))
export PATH := $(if $(UBUNTU_RUST),$(UBUNTU_RUST):)$(PATH)

SOURCES = $(shell git ls-files 'src/*.cc' 'src/*.h' 'src/*.cu' 'src/*.cuh' 'tests/*.cc' 'tests/*.h' 'tools/*.cc' 'bench/*.cc' \
  'bench/*.h')

.PHONY: help serve build cuda cuda-bundle model test test-unit test-e2e test-asan test-tsan test-cuda check-cuda12 fuzz soak format lint \
  tidy bench clean page page-check

help: ## this list
	@echo "lmdeploy $$(cat VERSION)"
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

serve: ## install what is missing, build, fetch the demo model and serve it (PORT=23333, ARGS=...)
	@echo "[1/4] packages" && tools/setup.sh build
	@echo "[2/4] building $(BINARY)" && $(MAKE) $(BINARY)
	@echo "[3/4] demo model" && tools/fetch_demo_model.sh $(BINARY)
	@echo "[4/4] serving $(MODEL) on port $(PORT)"
	@exec tools/serve_demo.sh $(BINARY) $(MODEL) $(PORT) $(ARGS)

build: ## the program: build/release/lmdeploy
	@echo "[1/2] packages" && tools/setup.sh build
	@echo "[2/2] building $(BINARY)" && $(MAKE) $(BINARY)

cuda: ## the program with kernels for NVIDIA cards: build/cuda/lmdeploy
	@echo "[1/3] packages" && tools/setup.sh build
	@echo "[2/3] CUDA toolkit" && tools/setup_cuda.sh
	@echo "[3/3] building build/cuda/lmdeploy" && $(MAKE) build/cuda/lmdeploy

cuda-bundle: ## that program and its tests with all they need, to run on another machine: build/cuda-bundle
	@echo "[1/3] packages" && tools/setup.sh build
	@echo "[2/3] CUDA toolkit" && tools/setup_cuda.sh
	@echo "[3/3] building build/cuda-bundle" && tools/bundle_cuda.sh build/cuda-bundle $(JOBS)

model: build ## the demo model: models/SmolLM2-135M-Instruct
	@tools/fetch_demo_model.sh $(BINARY)

page: ## build the chat page anew, after a change in web/page (needs Node 18 or newer)
	@tools/setup.sh page && tools/build_page.sh

page-check: ## whether the chat page in the tree is what its sources build
	@tools/setup.sh page && tools/build_page.sh --check

test: ## build and run every fast test
	@echo "[1/5] packages" && tools/setup.sh build browser
	@echo "[2/5] building the program and its tests" && $(MAKE) -s build/release/build.ninja && \
	  cmake --build build/release -j $(JOBS)
	@echo "[3/5] demo model" && tools/fetch_demo_model.sh $(BINARY)
	@echo "[4/5] unit tests" && $(MAKE) test-unit
	@echo "[5/5] end to end" && $(MAKE) test-e2e

test-unit: ## the unit tests of what is built
	@ctest --preset release

test-e2e: .venv/ready ## the real program with the demo model, through the openai client and terminals
	@.venv/bin/python -m pytest -q tests/e2e

test-asan: ## unit and parser tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/setup.sh build && $(MAKE) -s build/asan-ubsan/build.ninja
	@cmake --build build/asan-ubsan -j $(JOBS) --target unit_tests && ctest --preset asan-ubsan

test-tsan: ## engine, server and thread pool under ThreadSanitizer
	@tools/setup.sh build && $(MAKE) -s build/tsan/build.ninja
	@cmake --build build/tsan -j $(JOBS) --target base_test engine_test server_test
	@ctest --preset tsan -R '^(base|engine|server)$$'

test-cuda: ## build and run the tests of the kernels for NVIDIA cards (they skip where there is no card)
	@tools/setup.sh build && tools/setup_cuda.sh
	@cmake --preset cuda $(CUDA_ARCHITECTURES:%=-DCMAKE_CUDA_ARCHITECTURES=%) >/dev/null
	@cmake --build build/cuda -j $(JOBS) --target cuda_test && ctest --preset cuda

check-cuda12: ## whether the kernels compile with CUDA 12.2, the oldest toolkit (needs clang; minutes)
	@tools/setup.sh build check && nice tools/check_cuda12.sh $(JOBS)

format: ## rewrite our sources as .clang-format says
	@tools/setup.sh check && clang-format-19 -i $(SOURCES)

fuzz: ## every parser of foreign bytes for ten minutes each (SECONDS=600; needs clang)
	@tools/setup.sh build check && SEED=0 tools/fuzz.sh $(or $(SECONDS),600)

soak: .venv/ready ## an hour of mixed and hostile load on the demo model (SECONDS=3600); docs/reliability.md
	@LMDEPLOY_BINARY=$(BINARY) .venv/bin/python tools/soak.py --seconds $(or $(SECONDS),3600)

lint: ## formatting and the include table
	@tools/setup.sh check && clang-format-19 --dry-run -Werror $(SOURCES)
	@python3 tools/check_includes.py

tidy: build/release/build.ninja ## clang-tidy over the sources (slow)
	@tools/setup.sh check && run-clang-tidy-19 -quiet -p build/release -j $(JOBS) "$(CURDIR)/src/.*"

bench: ## build the micro benchmarks: build/release/bench
	@tools/setup.sh build bench && cmake --preset release -DLMDEPLOY_BENCH=ON && \
	  cmake --build build/release -j $(JOBS)

clean: ## remove what was built (the model and .venv stay)
	rm -rf build

# Ninja knows what is out of date, and runs CMake again by itself.
.PHONY: $(BINARY) build/cuda/lmdeploy
$(BINARY) build/cuda/lmdeploy: build/%/lmdeploy: build/%/build.ninja
	@cmake --build build/$* -j $(JOBS) --target lmdeploy

build/%/build.ninja:
	@cmake --preset $*

.venv/ready: tests/e2e/requirements.txt
	@echo "python packages of the end-to-end tests (.venv)"
	@python3 -m venv .venv && .venv/bin/python -m pip install -q --disable-pip-version-check -r $< && touch $@
