#!/bin/sh
# One more backup below the folder $1, linked to the newest that is there; the newest $2 (14) stay.
# A backup is whole when it has a manifest: what was interrupted is removed. GOODMAN_STATE names a
# folder of the Hub's and its users' that is kept beside it.
set -eu
place=${1:?folder of the backups}
keep=${2:-14}
command=${GOODMAN_LIVE:-$(dirname "$0")/../.venv/bin/goodman-live}

umask 077
mkdir -p "$place"
for one in "$place"/????-??-??T??????Z; do
    if [ -d "$one" ] && [ ! -e "$one/manifest.json" ]; then rm -rf "$one"; fi
done
last=$(ls -d "$place"/????-??-??T??????Z 2>/dev/null | tail -n 1)
now=$place/$(date -u +%Y-%m-%dT%H%M%SZ)
if [ -n "$last" ]; then
    "$command" backup "$now" --since "$last"
else
    "$command" backup "$now"
fi
if [ -n "${GOODMAN_STATE:-}" ]; then
    # People go on working: a file that changes meanwhile is kept as it was read.
    tar -C "$(dirname "$GOODMAN_STATE")" --warning=no-file-changed --exclude=jupyterhub-proxy.pid \
        -czpf "$now/state.tar.gz" "$(basename "$GOODMAN_STATE")" || [ $? -eq 1 ]
fi
ls -d "$place"/????-??-??T??????Z | head -n "-$keep" | while read -r old; do rm -rf "$old"; done
