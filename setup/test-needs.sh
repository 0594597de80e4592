#!/bin/sh
# What the tests drive besides Python: Chromium and PostgreSQL. Installed when run as root on a
# Debian or Ubuntu; otherwise the one command is printed and the run stops.
set -eu
python=$1

have_chromium() {
    command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 \
        || ls "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}"/chromium-* >/dev/null 2>&1
}
have_postgres() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

packages=""
have_postgres || packages="$packages postgresql"
# Ubuntu's chromium-browser is a stub for a snap, which containers cannot run.
ubuntu=$(grep -s '^ID=ubuntu' /etc/os-release || true)
if ! have_chromium && [ -z "$ubuntu" ]; then
    packages="$packages chromium fonts-dejavu-core"
fi

if [ -n "$packages" ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "The tests need$packages. Run this once, then try again:" >&2
        echo "    sudo apt-get install -y --no-install-recommends$packages" >&2
        exit 1
    fi
    echo "Installing$packages"
    log=$(mktemp)
    if ! { apt-get update -q \
        && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages; \
    } >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        exit 1
    fi
    rm -f "$log"
fi

if ! have_chromium; then
    if [ "$(id -u)" -eq 0 ]; then
        "$python" -m playwright install --with-deps chromium
    else
        echo "The tests need Chromium. Run this once, then try again:" >&2
        echo "    sudo $python -m playwright install-deps chromium && $python -m playwright install chromium" >&2
        exit 1
    fi
fi
