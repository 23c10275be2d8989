#!/bin/sh
# Installs the system's packages that tests and benchmarks use when they are there: bubblewrap isolates trials, wrk makes load,
# git is needed anyway.
# Does nothing where they are installed already, and says what is missing where it cannot install them.
set -eu

missing=""
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v wrk >/dev/null 2>&1 || missing="$missing wrk"
command -v git >/dev/null 2>&1 || missing="$missing git"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words on purpose
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Not installed:$missing. Install with your system's package manager, or run this as root on Debian or Ubuntu." >&2
fi
