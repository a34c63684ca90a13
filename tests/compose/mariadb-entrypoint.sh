#!/bin/bash
# The part of the official image's behaviour that compose.yaml relies on: the first start makes the database from
# MARIADB_* (values or _FILE) and runs /docker-entrypoint-initdb.d; then the server runs as mysql.
set -euo pipefail
[ "${1:-}" = mariadbd ] || exec "$@"

setting() { # NAME
  local file=MARIADB_$1_FILE value=MARIADB_$1
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!value:-}"; fi
}

if [ ! -d /var/lib/mysql/mysql ]; then
  chown mysql:mysql /var/lib/mysql
  setpriv --reuid=mysql --regid=mysql --clear-groups mariadb-install-db --datadir=/var/lib/mysql --skip-test-db --auth-root-authentication-method=normal >/dev/null
  SOCKET=/tmp/first-start.sock
  export SOCKET
  setpriv --reuid=mysql --regid=mysql --clear-groups mariadbd --skip-networking --socket=$SOCKET &
  server=$!
  sql() { mariadb --socket=$SOCKET -uroot "$@"; }
  for _ in $(seq 240); do
    sql -e 'SELECT 1' >/dev/null 2>&1 && break
    sleep 0.25
  done
  sql <<SQL
CREATE DATABASE IF NOT EXISTS \`$(setting DATABASE)\`;
CREATE USER IF NOT EXISTS '$(setting USER)'@'%' IDENTIFIED BY '$(setting PASSWORD)';
GRANT ALL ON \`$(setting DATABASE)\`.* TO '$(setting USER)'@'%';
SQL
  for script in /docker-entrypoint-initdb.d/*.sh; do [ ! -e "$script" ] || bash "$script"; done
  sql <<SQL
CREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY '$(setting ROOT_PASSWORD)';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
ALTER USER root@localhost IDENTIFIED BY '$(setting ROOT_PASSWORD)';
SHUTDOWN;
SQL
  # Not by a signal: this shell is root without CAP_KILL, the server runs as mysql.
  wait "$server" || true
fi
exec setpriv --reuid=mysql --regid=mysql --clear-groups "$@"
