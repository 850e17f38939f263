#!/usr/bin/env bash
# A throwaway PostgreSQL server for the tests.
#
#   .ci/postgres.sh start [FOLDER]   start one with its data in FOLDER, print its SQLAlchemy URL
#   .ci/postgres.sh stop [FOLDER]    stop it and delete FOLDER
#
# Without FOLDER: one below the temporary folder that belongs to this checkout.
# Installs Debian's package where there is no server and we are root. PostgreSQL refuses to run as
# root, so root runs it as the user that the package made. Everything but the URL goes to stderr.
set -euo pipefail

action=${1:?usage: .ci/postgres.sh start|stop [FOLDER]}
checkout=$(cd "$(dirname "$0")/.." && pwd | cksum | cut -d' ' -f1)
folder=${2:-${TMPDIR:-/tmp}/lithoscope-postgres-$(id -u)-$checkout}

find_bin() {
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
    if [ -z "$found" ]; then
        found=$(dirname "$(command -v initdb || echo /nowhere/initdb)")
    fi
    [ -x "$found/initdb" ] && echo "$found"
}

if ! bin=$(find_bin); then
    if [ "$(id -u)" -ne 0 ]; then
        echo "no PostgreSQL server here, and only root can install one" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends postgresql; } >&2
    bin=$(find_bin)
fi

as_server() {
    if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

case $action in
start)
    if [ -e "$folder/data" ]; then "$0" stop "$folder"; fi
    mkdir -p "$folder"
    [ "$(id -u)" -ne 0 ] || chown postgres "$folder"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    {
        as_server "$bin/initdb" -D "$folder/data" -U lithoscope -A trust -E UTF8 --locale=C --no-sync
        as_server "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 start \
            -o "-p $port -k '' -c listen_addresses=127.0.0.1 -c fsync=off"
        as_server "$bin/createdb" -h 127.0.0.1 -p "$port" -U lithoscope lithoscope
    } >&2
    echo "postgresql+psycopg://lithoscope@127.0.0.1:$port/lithoscope"
    ;;
stop)
    as_server "$bin/pg_ctl" -D "$folder/data" -m immediate stop >&2 || true
    rm -rf "$folder/data" "$folder/log"
    rmdir "$folder" 2>/dev/null || true
    ;;
*)
    echo "unknown action '$action'; use start or stop" >&2
    exit 2
    ;;
esac
