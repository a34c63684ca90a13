#!/usr/bin/env bash
# packages.sh CACHE BINARIES: the Debian packages built, installed, started, upgraded, removed and purged on a Debian whose
# process 1 is a real systemd, booted in namespaces of its own.
set -uo pipefail
cache=${1:?usage: packages.sh CACHE BINARIES}
bins=${2:?usage: packages.sh CACHE BINARIES}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
# shellcheck source=tests/lab/check.sh
source "$root/tests/lab/check.sh"
mkdir -p "$cache"
work=$(mktemp -d /tmp/bongsu-packages.XXXXXX)
keeper='' database=''
finish() {
  [ -z "$database" ] || { kill -KILL "$database" 2>/dev/null; wait "$database" 2>/dev/null; }
  # The end of its process 1 ends everything in the namespaces, their mounts with them.
  [ -z "$keeper" ] || { kill -KILL "$keeper" 2>/dev/null; wait "$keeper" 2>/dev/null; }
  rm -rf "$work"
}
trap finish EXIT

tree=$cache/tree
if [ ! -e "$tree/.complete" ]; then
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ')
  if [ -z "$mirror" ] || ! command -v debootstrap >/dev/null; then echo "skipped: no debootstrap or no Debian mirror here"; exit 77; fi
  rm -rf "${tree:?}"
  if ! debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,curl --keyring=/usr/share/keyrings/debian-archive-keyring.gpg bookworm "$tree" "$mirror" >"$cache/debootstrap.log" 2>&1; then
    tail -n 3 "$cache/debootstrap.log"
    echo "skipped: debootstrap could not fetch Debian"
    exit 77
  fi
  rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
  touch "$tree/.complete"
fi

export SOURCE_DATE_EPOCH=1700000000
check "packages are built" "$root/deploy/debian/build" "$bins" "$work/debs"
"$root/deploy/debian/build" "$bins" "$work/again" >/dev/null
check "the same binaries give the same packages" diff -rq "$work/debs" "$work/again"
mapfile -t services < <(cd "$work/debs" && printf '%s\n' bongsu-*.deb | sed 's/^bongsu-\(.*\)_.*_.*/\1/')
declare -A port=([node-exporter]=9100 [mysqld-exporter]=9104 [nginx-exporter]=9113 [container-exporter]=8080 [log-exporter]=9144 [custom-exporter]=8000 [webhook-sink]=5000)

setsid unshare --mount --pid --net --ipc --uts --cgroup --fork --kill-child "$here/boot.sh" "$tree" "$work" >"$work/boot.log" 2>&1 </dev/null &
keeper=$!
first() { pgrep -P "$keeper" | head -n 1; }
inside() { nsenter -t "$(first)" -m -p -n -i -u -C -r -w "$@"; }
booted() { inside systemctl is-system-running | grep -qE '^(running|degraded)$'; }
if ! within 30 booted; then
  tail -n 5 "$work/boot.log"
  echo "skipped: systemd cannot be booted in namespaces here"
  exit 77
fi
inside systemctl --version | head -n 1
before=$(inside find /etc /usr /var/lib /lib -xdev \( -path '/var/lib/dpkg' -o -path /var/lib/systemd \) -prune -o -print | sort)

tar -C "$work/debs" -c . | inside sh -c 'mkdir /tmp/debs && tar -C /tmp/debs -x'
# A real database, this machine's, in their network.
PATH=$PATH:/usr/sbin
mkdir -m 700 "$work/mysql"
chown nobody:nogroup "$work/mysql"
chmod 711 "$work"
setpriv --reuid nobody --regid nogroup --clear-groups mariadb-install-db --no-defaults --datadir="$work/mysql" --skip-test-db \
  --auth-root-authentication-method=socket --auth-root-socket-user=root >"$work/mysql.log" 2>&1 </dev/null
nsenter -t "$(first)" -n -- setpriv --reuid nobody --regid nogroup --clear-groups mariadbd --no-defaults --datadir="$work/mysql" \
  --socket="$work/mysql/socket" --pid-file="$work/mysql/pid" --bind-address=127.0.0.1 --skip-name-resolve >>"$work/mysql.log" 2>&1 </dev/null &
database=$!
sql() { mariadb --no-defaults --socket="$work/mysql/socket" -Ne "$1"; }
check "a MariaDB runs in their network" within 30 sql "CREATE USER IF NOT EXISTS exporter@'127.0.0.1' IDENTIFIED BY 'never-shown'; GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR, SELECT ON *.* TO exporter@'127.0.0.1'"
# The password file that the package cannot bring: root's, read by nobody else.
inside sh -c 'mkdir -p /etc/bongsu && printf "[client]\nuser = exporter\npassword = never-shown\n" >/etc/bongsu/my.cnf && chmod 600 /etc/bongsu/my.cnf'
# Nor rules that only the administrator can write.
inside sh -c 'printf "inputs:\n  - {type: file, paths: [/var/log/dpkg.log]}\nrules:\n  - {name: lines, regex: ., metrics: [{type: counter, name: dpkg_lines_total, help: Lines.}]}\n" >/etc/bongsu/log-exporter.yml'
check "dpkg installs all of them" inside sh -c 'dpkg -i /tmp/debs/*.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; false; }'
for service in "${services[@]}"; do
  serves() { inside curl -fsS --max-time 3 -o /dev/null "http://127.0.0.1:${port[$service]}/metrics"; }
  check "$service is started by its unit and serves" within 10 serves
  serves || inside journalctl --no-pager -q -n 8 -u "$service"
  check "$service is enabled" quiet inside systemctl is-enabled "$service"
  pid=$(inside systemctl show -P MainPID "$service")
  status=$(inside cat "/proc/$pid/status" 2>/dev/null)
  if [ "$service" != container-exporter ]; then
    check "$service does not run as root" grep -qP '^Uid:\t[1-9]' <<<"$status"
  fi
  check "$service can gain no privileges and is filtered" bash -c "grep -q '^NoNewPrivs:.*1' <<<'$status' && grep -q '^Seccomp:.*2' <<<'$status'"
done
mysql_metrics() { inside curl -fsS --max-time 3 http://127.0.0.1:9104/metrics | grep -xE "$1"; }
check "mysqld-exporter reads root's file through its unit and scrapes the MariaDB" within 10 mysql_metrics 'mysql_up 1'
check "and sees itself among the connections" mysql_metrics 'mysql_global_status_threads_connected [1-9][0-9]*'
check "others can read neither the file nor the unit's copy" bash -c "! nsenter -t $(first) -m -p -- setpriv --reuid nobody --regid nogroup --clear-groups sh -c 'cat /etc/bongsu/my.cnf || cat /run/credentials/mysqld-exporter.service/my.cnf' 2>/dev/null"
check "nothing failed to start" test -z "$(inside systemctl list-units --failed --plain --no-legend --no-pager '*exporter*' 'webhook*')"
check "the journal knows no error of ours" bash -c "! nsenter -t $(first) -m -p -n -i -u -C -r -w journalctl --no-pager -q -u '*exporter*' -u 'webhook*' | grep -v 'scrape of the peer failed' | grep -iE 'level=error|status=31|panicked|bad system call|SIGSYS'"
check "the password is in no journal and no process arguments" bash -c "! { nsenter -t $(first) -m -p -n -i -u -C -r -w sh -c 'journalctl --no-pager -q; cat /proc/[0-9]*/cmdline' | grep -aq never-shown; }"

# An alert kept by the sink outlives an upgrade; so does a changed default file.
inside curl -fsS -o /dev/null -X POST -H 'Content-Type: application/json' --data '{"version":"4","groupKey":"g","status":"firing","receiver":"r","groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://a","alerts":[{"status":"firing","labels":{"alertname":"Kept"},"annotations":{},"startsAt":"2026-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p","fingerprint":"1"}]}' http://127.0.0.1:5000/alerts
inside sh -c 'echo "OPTIONS=\"--log.level=debug\"" >/etc/default/node-exporter'
old=$(inside systemctl show -P MainPID node-exporter)
check "dpkg installs them once more, as an upgrade does" quiet inside sh -c 'dpkg -i /tmp/debs/*.deb'
check "the upgrade restarts the service" test "$old" != "$(inside systemctl show -P MainPID node-exporter)"
check "the changed /etc/default/node-exporter is kept" quiet inside grep -q debug /etc/default/node-exporter
debugs() { inside sh -c "tr '\\0' ' ' </proc/\$(systemctl show -P MainPID node-exporter)/cmdline" | grep -q log.level=debug; }
check "OPTIONS reach the program" within 10 debugs
kept() { inside curl -fsS 'http://127.0.0.1:5000/api/v1/alerts' | grep -q Kept; }
check "the sink still has what it accepted" within 20 kept
inside systemctl disable --quiet nginx-exporter
quiet inside sh -c 'dpkg -i /tmp/debs/bongsu-nginx-exporter_*.deb'
check "a disabled service stays disabled over an upgrade" bash -c "[ \"\$(nsenter -t $(first) -m -p -n -i -u -C -r -w systemctl is-enabled nginx-exporter)\" = disabled ]"

# A machine whose account is not made yet: no service, and no failure either.
skipped_unit() { inside sh -c 'mv /etc/bongsu/my.cnf /etc/bongsu/kept && systemctl restart mysqld-exporter; systemctl show -P ActiveState,ConditionResult mysqld-exporter | tr "\n" " "; mv /etc/bongsu/kept /etc/bongsu/my.cnf; systemctl start mysqld-exporter'; }
check "without its password file mysqld-exporter is left out and not failed" test "$(skipped_unit)" = "inactive no "
check "and with it started again" within 10 mysql_metrics 'mysql_up 1'

packages=("${services[@]/#/bongsu-}")
check "dpkg removes them" quiet inside dpkg --remove "${packages[@]}"
check "no service runs after removal" bash -c "! nsenter -t $(first) -p -m ps -e -o args= 2>/dev/null | grep -E '^/usr/bin/(.*-exporter|webhook-sink)'"
for service in "${services[@]}"; do check "port ${port[$service]} is closed" bash -c "! nsenter -t $(first) -n bash -c '</dev/tcp/127.0.0.1/${port[$service]}' 2>/dev/null"; done
check "removal keeps configuration and data" inside sh -c 'test -e /etc/default/node-exporter && test -e /var/lib/private/webhook-sink'
check "dpkg purges them" quiet inside dpkg --purge "${packages[@]}"
inside rm -rf /etc/bongsu
after=$(inside find /etc /usr /var/lib /lib -xdev \( -path '/var/lib/dpkg' -o -path /var/lib/systemd \) -prune -o -print | sort)
leftover=$(comm -13 <(echo "$before") <(echo "$after") | grep -vE '^/(var/lib/private|etc/\.pwd\.lock)$')
check "nothing is left after purge${leftover:+: $leftover}" test -z "$leftover"
verdict
