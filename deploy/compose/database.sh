#!/bin/bash
# Run by the database image on its first start: the exporters' users and the WordPress tables.
set -euo pipefail
password=$(cat /secrets/exporter.password)
custom=$(cat /secrets/custom.password)
client() {
  if command -v docker_process_sql >/dev/null 2>&1; then docker_process_sql "$@"; else mariadb --socket="${SOCKET:-/run/mysqld/mysqld.sock}" -uroot "$@"; fi
}
client <<SQL
CREATE USER IF NOT EXISTS exporter@'%' IDENTIFIED BY '$password' WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR, SELECT ON *.* TO exporter@'%';
CREATE USER IF NOT EXISTS custom@'%' IDENTIFIED BY '$custom' WITH MAX_USER_CONNECTIONS 5;
GRANT SELECT ON wordpress.* TO custom@'%';
SQL
client --database=wordpress </schema.sql
