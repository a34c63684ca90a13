# shellcheck shell=bash
# Each service's command line, and the commands of the front door: up, down, status, start, stop, logs.
# shellcheck disable=SC2154

launch() { # SERVICE: one that does not run yet
  local service=$1 etc=$lab_dir/etc data=$lab_dir/data bin=$lab_dir/bin/$1
  local listen=--web.listen-address=127.0.0.1:${port[$1]:-0}
  case $service in
  mysql) launch_mysql ;;
  nginx) spawn nginx "$lab_user" nginx -e stderr -c "$etc/nginx/nginx.conf" -p "$data/nginx" -g 'daemon off;' ;;
  # What was silenced, inhibited or forgotten it can only ask.
  webhook-sink) spawn "$service" "$lab_user" "$bin" "$listen" --storage.path="$data/webhook-sink" --alertmanager.url="$(url alertmanager)" --alertmanager.interval=15s ;;
  node-exporter) spawn "$service" "$lab_user" "$bin" "$listen" ;;
  log-exporter) spawn "$service" "$lab_user" "$bin" "$listen" --config.file="$etc/log-exporter/lab.yml" --storage.path="$data/log-exporter" ;;
  custom-exporter) spawn "$service" "$lab_user" "$bin" "$listen" --config.file="$etc/custom-exporter/wordpress.yml" ;;
  mysqld-exporter) spawn "$service" "$lab_user" "$bin" "$listen" --config.my-cnf="$lab_dir/secrets/exporter.cnf" ;;
  nginx-exporter) spawn "$service" "$lab_user" "$bin" "$listen" --nginx.scrape-uri="$(url stub-status)/stub_status" ;;
  # Other processes' cgroups, namespaces and Docker's socket are root's.
  container-exporter) spawn "$service" root "$bin" "$listen" --docker="unix://${DOCKER_SOCK:-/var/run/docker.sock}" ;;
  alertmanager)
    spawn "$service" "$lab_user" prometheus-alertmanager "$listen" --config.file="$etc/alertmanager/alertmanager.yml" \
      --storage.path="$data/alertmanager" --cluster.listen-address= --web.external-url="$(url alertmanager)"
    ;;
  prometheus)
    spawn "$service" "$lab_user" prometheus "$listen" --config.file="$etc/prometheus/prometheus.yml" --storage.tsdb.path="$data/prometheus" \
      --storage.tsdb.retention.time=7d --storage.tsdb.retention.size=1GB --web.external-url="$(url prometheus)" \
      --web.console.templates="$etc/prometheus/consoles" --rules.alert.resend-delay=10s
    ;;
  load)
    spawn "$service" "$lab_user" env SITE_URL="$(url nginx)" MYSQL_DEFAULTS="$lab_dir/secrets/wordpress.cnf" bash "$lab_dir/bin/load.sh"
    ;;
  keeper) spawn "$service" root bash "$lab_dir/bin/keeper.sh" "$lab_dir/logs" ;;
  esac
}

ready() { # SERVICE: answers as it should
  case $1 in
  # Only root may ask it by its socket.
  mysql) if [ "$EUID" -eq 0 ]; then mariadb --no-defaults --socket="$(database_socket)" -e 'SELECT 1'; else : <"/dev/tcp/127.0.0.1/${port[mysql]}"; fi ;;
  nginx) answers "$(url nginx)/healthz" ;;
  load | keeper) return 0 ;;
  *) answers "$(url "$1")/-/ready" ;;
  esac
}

start_service() { # SERVICE
  local service=$1 taken
  if running "$service"; then return 0; fi
  end_process "$service"
  if [ -n "${port[$service]:-}" ]; then
    taken=$(listener "${port[$service]}")
    [ -z "$taken" ] || die "port ${port[$service]} of $service is taken by $taken; end it, or set BONGSU_PORT_OFFSET=10000" \
      "포트 ${port[$service]} ($service): 이미 $taken 에서 사용 중입니다. 그것을 끝내거나 BONGSU_PORT_OFFSET=10000을 쓰세요"
  fi
  launch "$service"
  if ! wait_for 60 "$service" ready "$service"; then
    tail -n 8 "$lab_dir/logs/$service.log" >&2 || true
    die "$service did not start; see ./lab logs $service" "$service 서비스가 시작하지 않았습니다. ./lab logs $service"
  fi
  [ -z "${job[$service]:-}" ] || write_target "$service"
}

launch_mysql() {
  local data=$lab_dir/data/mysql socket
  socket=$(database_socket)
  mkdir -p "${socket%/*}"
  chown "$lab_user:nogroup" "${socket%/*}"
  cp "$root/deploy/mariadb/lab.cnf" "$lab_dir/etc/mysql.cnf"
  chmod 644 "$lab_dir/etc/mysql.cnf"
  if [ ! -d "$data/mysql" ]; then
    # root is who asks over the socket as root of this machine: no password, nothing over TCP.
    setpriv --reuid "$lab_user" --regid nogroup --clear-groups mariadb-install-db --no-defaults --datadir="$data" --skip-test-db \
      --auth-root-authentication-method=socket --auth-root-socket-user=root >"$lab_dir/logs/mysql-install.log" 2>&1 </dev/null ||
      { tail -n 5 "$lab_dir/logs/mysql-install.log" >&2; die "the database could not be made" "데이터베이스를 만들 수 없습니다"; }
  fi
  spawn mysql "$lab_user" mariadbd --defaults-file="$lab_dir/etc/mysql.cnf" --datadir="$data" --socket="$socket" \
    --bind-address=127.0.0.1 --port="${port[mysql]}" --pid-file="$data/mysql.pid"
}

client_config() { # NAME USER PASSWORD
  local file=$lab_dir/secrets/$1.cnf
  (umask 077 && printf '[client]\nuser = %s\npassword = %s\nhost = 127.0.0.1\nport = %s\n' "$2" "$3" "${port[mysql]}" >"$file.new")
  chown "$lab_user:nogroup" "$file.new"
  mv "$file.new" "$file"
}

# Schema and users; safe to run again. Passwords travel by standard input, never as arguments.
load_database() {
  local exporter wordpress custom
  exporter=$(secret exporter.password)
  wordpress=$(secret wordpress.password)
  custom=$(secret custom.password)
  chown "$lab_user:nogroup" "$lab_dir/secrets/custom.password"
  client_config exporter exporter "$exporter"
  client_config wordpress wordpress "$wordpress"
  {
    cat <<SQL
CREATE DATABASE IF NOT EXISTS wordpress CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS exporter@'127.0.0.1' IDENTIFIED BY '$exporter';
ALTER USER exporter@'127.0.0.1' IDENTIFIED BY '$exporter' WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR, SELECT ON *.* TO exporter@'127.0.0.1';
CREATE USER IF NOT EXISTS wordpress@'127.0.0.1' IDENTIFIED BY '$wordpress';
ALTER USER wordpress@'127.0.0.1' IDENTIFIED BY '$wordpress';
GRANT ALL ON wordpress.* TO wordpress@'127.0.0.1';
CREATE USER IF NOT EXISTS custom@'127.0.0.1' IDENTIFIED BY '$custom';
ALTER USER custom@'127.0.0.1' IDENTIFIED BY '$custom' WITH MAX_USER_CONNECTIONS 5;
GRANT SELECT ON wordpress.* TO custom@'127.0.0.1';
USE wordpress;
SQL
    cat "$root/deploy/mariadb/schema.sql"
  } | mariadb --no-defaults --socket="$(database_socket)" --default-character-set=utf8mb4 >"$lab_dir/logs/mysql-load.log" 2>&1 ||
    { tail -n 3 "$lab_dir/logs/mysql-load.log" >&2; die "the schema could not be loaded" "스키마를 넣을 수 없습니다"; }
}

# All of them at once, and before the build.
check_ports() {
  local service taken found=''
  while read -r service taken; do
    complain "port ${port[$service]} of $service is taken by $taken" "포트 ${port[$service]} ($service): 이미 $taken 에서 사용 중입니다"
    found=yes
  done < <(taken_ports)
  [ -z "$found" ] || die "end what has the ports, or have a lab beside it: BONGSU_PORT_OFFSET=10000 ./lab up" "그 프로그램을 끝내거나, 다른 포트로 실습실을 만드세요: BONGSU_PORT_OFFSET=10000 ./lab up"
}

take_lock() {
  exec 9>"$lab_dir/.lock"
  flock -w 5 9 || die "another ./lab works in $lab_dir" "다른 ./lab이 $lab_dir 에서 일하고 있습니다"
}

# "3 of 9" and so on; succeeds when every target that was written is up
targets_up() {
  local wanted=0 up service
  for service in "${!job[@]}"; do
    grep -q targets "$lab_dir/etc/prometheus/targets/${job[$service]}.yml" && wanted=$((wanted + 1))
  done
  up=$(curl -fsS --max-time 3 "$(url prometheus)/api/v1/targets?state=active" 2>/dev/null |
    jq -r '[.data.activeTargets[] | select(.health == "up")] | length') || up=0
  printf '%s/%s' "$up" "$wanted"
  [ "$wanted" -gt 0 ] && [ "$up" = "$wanted" ]
}

wait_for_targets() { # SECONDS
  local waited=0 count last=''
  until count=$(targets_up); do
    if [ "$count" != "$last" ]; then progress "targets up: $count" "올라온 타깃: $count"; last=$count; fi
    if [ $waited -ge $(($1 * 2)) ]; then
      curl -fsS --max-time 3 "$(url prometheus)/api/v1/targets?state=active" |
        jq -r '.data.activeTargets[] | select(.health != "up") | "  \(.labels.job) \(.scrapeUrl): \(.lastError)"' >&2 || true
      die "not every target came up within $1 s" "$1초 안에 모든 타깃이 올라오지 않았습니다"
    fi
    sleep 0.5
    waited=$((waited + 1))
  done
  progress "targets up: $count" "올라온 타깃: $count"
}

# Targets change by themselves; the rest needs a reload.
config_sum() { find "$lab_dir/etc" -type f ! -path '*/targets/*' -exec cksum {} + 2>/dev/null | sort | cksum; }

lab_up() {
  [ $# -eq 0 ] || die "up takes no '$1' (for containers: ./lab up --docker)" "up에는 '$1' 옵션이 없습니다 (컨테이너: ./lab up --docker)"
  become_root up
  prepare_folders
  take_lock
  # Said before minutes are spent on packages.
  [ -n "${BONGSU_BIN_DIR:-}" ] || check_cargo || exit 1
  local -a packages=()
  mapfile -t packages < <(missing_packages)
  install_packages "${packages[@]}"
  PATH=$PATH:/usr/sbin:/sbin
  check_room
  check_ports
  build_services
  local before
  before=$(config_sum)
  write_config
  cp "$root/deploy/lab/load.sh" "$root/deploy/lab/keeper.sh" "$lab_dir/bin/"
  chmod 755 "$lab_dir"/bin/*.sh

  local service
  local -a left_out=()
  for service in "${all_services[@]}"; do
    case " ${our_services[*]} " in
    *" $service "*)
      if ! usable "$service"; then
        left_out+=("$service")
        printf '[]\n' >"$lab_dir/etc/prometheus/targets/${job[$service]}.yml"
        continue
      fi
      ;;
    esac
    skipped "$service" && continue
    if running "$service"; then
      [ -z "${job[$service]:-}" ] || write_target "$service"
      case $service in
      prometheus | alertmanager | custom-exporter | log-exporter) [ "$(config_sum)" = "$before" ] || kill -HUP "$(running_pid "$service")" ;;
      esac
      [ "$service" != mysql ] || load_database
      continue
    fi
    progress "starting $service" "시작: $service"
    start_service "$service"
    [ "$service" != mysql ] || load_database
  done
  [ ${#left_out[@]} -eq 0 ] || progress "left out (not built to run yet, or BONGSU_SKIP): ${left_out[*]}" "빠진 것: ${left_out[*]}"
  wait_for_targets 90
  progress "everything is up" "모두 올라왔습니다"
  echo
  lab_status
  echo
  say "Try next:
  $(url webhook-sink)/   the alerts as they arrive
  ./lab stop nginx     NginxDown reaches the sink within a minute
  ./lab start nginx    and is resolved
  ./lab chaos          more faults to watch
  ./lab down           the end" "다음으로 해 볼 것:
  $(url webhook-sink)/   알림이 도착하는 곳
  ./lab stop nginx     1분 안에 NginxDown이 싱크에 도착합니다
  ./lab start nginx    그리고 해결됩니다
  ./lab chaos          다른 장애들
  ./lab down           끝내기"
}

lab_down() {
  local purge='' service left
  case "${1:-}" in
  --purge) purge=yes ;;
  '') ;;
  *) die "down takes --purge, not '$1'" "down의 옵션은 --purge입니다: '$1'" ;;
  esac
  if [ ! -e "$lab_dir/.bongsu-lab" ]; then
    say "there is no lab in $lab_dir" "$lab_dir 에 실습실이 없습니다"
    return 0
  fi
  become_root down "$@"
  take_lock
  # Last started, first ended: no alert about the end itself.
  for ((left = ${#all_services[@]} - 1; left >= 0; left--)); do
    service=${all_services[$left]}
    if running "$service"; then progress "stopping $service" "종료: $service"; fi
    end_process "$service" || complain "$service does not end" "$service 서비스가 끝나지 않습니다"
  done
  left=$(database_socket)
  case $left in "$lab_dir"/*) ;; *) rm -rf "${left%/*}" ;; esac
  if [ -n "$purge" ]; then
    rm -rf "${lab_dir:?}"
    [ -z "$lab_link" ] || rm -f "$lab_link"
    progress "removed $lab_dir" "지웠습니다: $lab_dir"
  fi
}

lab_status() {
  [ -e "$lab_dir/.bongsu-lab" ] || { say "there is no lab in $lab_dir; ./lab up makes one" "$lab_dir 에 실습실이 없습니다. ./lab up으로 만드세요"; return 1; }
  local service pid state address health rss total=0 failed=0
  health=$(curl -fsS --max-time 3 "$(url prometheus)/api/v1/targets?state=active" 2>/dev/null |
    jq -r '.data.activeTargets[] | "\(.labels.job) \(.health)"' 2>/dev/null) || health=''
  printf '%-20s %-9s %-8s %8s %8s  %s\n' SERVICE STATE TARGET PID 'RSS MiB' URL
  for service in "${all_services[@]}"; do
    address='-'
    case $service in
    mysql) address=127.0.0.1:${port[mysql]} ;;
    load | keeper) ;;
    *) address=$(url "$service")/ ;;
    esac
    if pid=$(running_pid "$service"); then
      state=running
      rss=$(rss_kib "$pid")
      case " ${our_services[*]} " in *" $service "*) total=$((total + rss)) ;; esac
      rss=$(awk -v k="$rss" 'BEGIN {printf "%.1f", k / 1024}')
    elif [ -e "$lab_dir/run/$service.pid" ]; then
      state=dead pid='-' rss='-' failed=1
    else
      state=stopped pid='-' rss='-'
    fi
    printf '%-20s %-9s %-8s %8s %8s  %s\n' "$service" "$state" \
      "$(awk -v j="${job[$service]:--}" '$1 == j {print $2; f = 1} END {if (!f) print "-"}' <<<"$health")" "$pid" "$rss" "$address"
  done
  printf '%-20s %-9s %-8s %8s %8s\n' "our services" '' '' '' "$(awk -v k=$total 'BEGIN {printf "%.1f", k / 1024}')"
  return $failed
}

lab_start() {
  [ $# -eq 1 ] || die "start needs one service" "start에는 서비스 하나가 필요합니다"
  local service
  service=$(canonical "$1")
  known_service "$service"
  [ -e "$lab_dir/.bongsu-lab" ] || die "no lab here yet: ./lab up" "아직 실습실이 없습니다: ./lab up"
  become_root start "$service"
  PATH=$PATH:/usr/sbin:/sbin
  start_service "$service"
  progress "$service runs" "$service 실행 중"
}

lab_stop() {
  [ $# -eq 1 ] || die "stop needs one service" "stop에는 서비스 하나가 필요합니다"
  local service
  service=$(canonical "$1")
  known_service "$service"
  [ -e "$lab_dir/.bongsu-lab" ] || die "no lab here yet: ./lab up" "아직 실습실이 없습니다: ./lab up"
  become_root stop "$service"
  end_process "$service" || die "$service does not end" "$service 서비스가 끝나지 않습니다"
  progress "$service is stopped" "$service 종료됨"
  local alert=''
  case $service in
  nginx) alert=NginxDown ;;
  mysql) alert=MySQLDown ;;
  *-exporter) alert=TargetDown ;;
  webhook-sink) say "TargetDown waits in Alertmanager until the sink is back: $(url alertmanager)/" "TargetDown은 싱크가 돌아올 때까지 Alertmanager에서 기다립니다: $(url alertmanager)/" ;;
  alertmanager) say "The alert can be seen in Prometheus only, for the way to the sink is cut: $(url prometheus)/alerts" "싱크로 가는 길이 끊겨 알림은 Prometheus에서만 보입니다: $(url prometheus)/alerts" ;;
  prometheus) say "Nobody watches now: no alert comes, and the Watchdog falls silent" "이제 아무도 보고 있지 않습니다. 알림이 오지 않고 Watchdog도 조용해집니다" ;;
  esac
  [ -z "$alert" ] || say "$alert reaches the sink within a minute: $(url webhook-sink)/   the end: ./lab start $service" \
    "1분 안에 $alert 알림이 싱크에 도착합니다: $(url webhook-sink)/   되돌리기: ./lab start $service"
}

lab_logs() {
  [ $# -ge 1 ] || die "logs needs a service" "logs에는 서비스가 필요합니다"
  local service
  service=$(canonical "$1")
  known_service "$service"
  [ -e "$lab_dir/logs/$service.log" ] || die "$service has said nothing yet" "$service 의 기록이 아직 없습니다"
  if [ "${2:-}" = -f ]; then exec tail -n 50 -F "$lab_dir/logs/$service.log"; else tail -n 200 "$lab_dir/logs/$service.log"; fi
}
