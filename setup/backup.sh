#!/bin/sh
# One more backup below the folder $1, linked to the newest that is there; the newest $2 (14) stay.
# A backup is whole when it has a manifest: what was interrupted is removed.
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
ls -d "$place"/????-??-??T??????Z | head -n "-$keep" | while read -r old; do rm -rf "$old"; done
