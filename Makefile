# What people type; .ci/run does the same on a clean machine.

CARGO ?= cargo
# Most of a test is waiting for servers and processes.
THREADS ?= $(shell echo $$((2 * $$(nproc))))

.PHONY: all demo test lint licences bench

all: lint test

# The restore drill from nothing, on servers of its own. `make demo ROWS=100000` for a smaller database.
demo:
	@examples/demo/run $(ROWS)

# The whole suite: real PostgreSQL, real processes. `make test ONLY=process` runs the tests whose name contains it.
test:
	$(CARGO) test --locked --doc
	$(CARGO) test --locked --lib --bins --tests -- --test-threads=$(THREADS) $(ONLY)

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

# Needs cargo-deny: `cargo install --locked cargo-deny`.
licences:
	$(CARGO) deny --locked check licenses bans sources

# Ratios against a named peer, never a test.
bench:
	$(CARGO) bench --locked
