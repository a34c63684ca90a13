#!/bin/bash
# The part of the official image's behaviour that swarm/stack.yaml relies on: the first start makes the database and its
# user from POSTGRES_* (values or _FILE); then the server listens.
set -euo pipefail
[ "${1:-}" = postgres ] || exec "$@"
setting() { # NAME
  local file=POSTGRES_$1_FILE value=POSTGRES_$1
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!value:-}"; fi
}
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
data=/var/lib/postgresql/data/pgdata
if [ ! -s $data/PG_VERSION ]; then
  install -d -o postgres -g postgres -m 700 $data
  password=$(mktemp)
  setting PASSWORD >"$password"
  chown postgres "$password"
  as_postgres initdb -D $data -U "$(setting USER)" --pwfile="$password" --auth-local=trust --auth-host=scram-sha-256 --locale=C.UTF-8 >/dev/null
  rm -f "$password"
  echo 'host all all all scram-sha-256' >>$data/pg_hba.conf
  as_postgres pg_ctl -D $data -w -o "-c listen_addresses= -k /tmp" start >/dev/null
  as_postgres createdb -h /tmp -U "$(setting USER)" "$(setting DB)"
  as_postgres pg_ctl -D $data -w stop >/dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups postgres -D $data -c 'listen_addresses=*' -k /tmp
