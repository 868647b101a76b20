# Shorthands; the README's two commands need no make.
.PHONY: demo test check lock

demo:
	python3 -m flows demo

test:
	python3 -m tests

check:
	.venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/mypy

# Resolve anew (needs uv) and write the lock: versions and hashes only, so that any package index will do.
lock:
	uv lock --upgrade
	uv export --quiet --format requirements-txt --no-emit-project --no-header --no-annotate -o .ci/requirements.txt
