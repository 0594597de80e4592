#!/bin/sh
# Run the benchmarks named (all without arguments); each prints its figures.
set -u
status=0
[ $# -gt 0 ] || set -- benchmarks/bench_*.py
for file in "$@"; do
    [ -f "$file" ] || { echo "no benchmark $file" >&2; status=1; continue; }
    printf '\n== %s\n' "$file"
    .venv/bin/python "$file" || { echo "failed: $file" >&2; status=1; }
done
exit "$status"
