#!/bin/sh
# Make the virtual environment $1 and install $2 (the project, with or without its extras) in it.
# Works where nothing but Python >= 3.11 is there; a missing venv module is installed as root and
# named otherwise.
set -eu
venv=$1
what=$2

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for name in ${GOODMAN_PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
        if command -v "$name" >/dev/null 2>&1 && usable "$name"; then
            echo "$name"
            return
        fi
    done
    echo "Goodman Live needs Python 3.11 or newer, and none was found." >&2
    echo "Install one (Debian 12 or newer: apt-get install python3 python3-venv) and try again." >&2
    exit 1
}

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
            echo "Python's venv module is missing. Run this once, then try again:" >&2
            echo "    sudo apt-get install -y $package" >&2
            exit 1
        fi
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$package"
    fi
    echo "Making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

echo "Installing $what and what it needs into $venv (a few minutes the first time)"
"$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --editable "$what"
