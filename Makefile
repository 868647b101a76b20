# Shorthands; the README's two commands need no make.
.PHONY: demo test check lock proto

demo:
	python3 -m flows demo

test:
	python3 -m tests

check:
	.venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/mypy

# The messages of the gRPC receiver, after a change of streaming.proto.
proto:
	.venv/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. connectors/receivers/streaming.proto

# Resolve anew (needs uv) and write the lock: versions and hashes only, so that any package index will do.
lock:
	uv lock --upgrade
	uv export --quiet --format requirements-txt --no-emit-project --no-header --no-annotate -o .ci/requirements.txt
