#!/bin/bash
# Makes the lab's secrets once, as files in a volume: nothing in git, in the environment or in `docker inspect`.
set -euo pipefail
cd /secrets
umask 077
make() { # NAME
  [ -s "$1" ] || head -c 24 /dev/urandom | base64 | tr -d '+/=\n' >"$1"
}
client() { # FILE USER PASSWORD-FILE OWNER
  printf '[client]\nuser = %s\npassword = %s\nhost = mysql-wordpress\nport = 3306\n' "$2" "$(cat "$3")" >"$1"
  chown "$4" "$1"
}
make mysql-root.password
make wordpress.password
make exporter.password
make custom.password
make grafana-admin.password
client exporter.cnf exporter exporter.password 65534:65534
client wordpress.cnf wpuser wordpress.password 65534:65534
# The database's and Grafana's own users read these; the folder is mounted by nobody else.
chmod 755 .
chmod 444 mysql-root.password wordpress.password exporter.password custom.password grafana-admin.password
