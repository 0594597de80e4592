#!/bin/sh
# Lint, types and tests; every one runs even when an earlier one fails, and pytest's closing line
# is the last thing printed. Arguments go to pytest; `--lint` alone stops before it.
set -u
bin=.venv/bin
status=0

"$bin/ruff" check --quiet . || status=1
"$bin/ruff" format --check --quiet . || { echo "run: make format" >&2; status=1; }
"$bin/mypy" --no-error-summary || status=1
[ "$status" -eq 0 ] && echo "lint and types: clean"
[ "${1:-}" = "--lint" ] && exit "$status"

# One process per core; which tests stay together says `tests/conftest.py`.
"$bin/python" -m pytest -n "${GOODMAN_TEST_PROCESSES:-2}" --dist loadscope --no-loadscope-reorder "$@" || status=$?
exit "$status"
