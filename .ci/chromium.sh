#!/usr/bin/env bash
# Chromium and its driver for the tests of the page.
#
#   .ci/chromium.sh    install Debian's packages where they are missing and we are root
#
# Prints where the browser is; everything else goes to stderr.
set -euo pipefail

have() { command -v chromium >/dev/null && command -v chromedriver >/dev/null; }

if ! have; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "no chromium and chromedriver here, and only root can install them" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver fonts-dejavu-core; } >&2
    have
fi
command -v chromium
