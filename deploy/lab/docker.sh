#!/usr/bin/env bash
# ./lab up --docker [--profile demo|logs], ./lab down --docker [--purge]: the lab of deploy/compose.yaml, with a look at the
# machine first.
set -uo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/lab/base.sh
source "$root/deploy/lab/base.sh"
# shellcheck source=deploy/lab/process.sh
source "$root/deploy/lab/process.sh"
# shellcheck source=deploy/lab/doctor.sh
source "$root/deploy/lab/doctor.sh"

verb=${1:?}
shift
profiles=() purge=''
while [ $# -gt 0 ]; do
  case $1 in
  --docker) ;;
  --profile)
    shift
    case ${1:-} in demo | logs) profiles+=(--profile "$1") ;; *) die "there is no profile '${1:-}'; there are: demo logs" "'${1:-}' 프로필은 없습니다. 있는 것: demo logs" ;; esac
    ;;
  --purge) purge=-v ;;
  *) die "$verb --docker does not take '$1'" "$verb --docker에는 '$1' 옵션이 없습니다" ;;
  esac
  shift
done
# Ports as ./lab has them, the offset included, where none is set for compose itself.
publish() { # VARIABLE PORT
  [ -n "${!1:-}" ] || export "$1=$2"
}
publish BONGSU_PROMETHEUS_PORT "${port[prometheus]}"
publish BONGSU_ALERTMANAGER_PORT "${port[alertmanager]}"
publish BONGSU_WEBHOOK_PORT "${port[webhook-sink]}"
publish BONGSU_NODE_PORT "${port[node-exporter]}"
publish BONGSU_CADVISOR_PORT "${port[container-exporter]}"
publish BONGSU_MYSQL_EXPORTER_PORT "${port[mysqld-exporter]}"
publish BONGSU_NGINX_EXPORTER_PORT "${port[nginx-exporter]}"
publish BONGSU_LOG_PORT "${port[log-exporter]}"
publish BONGSU_CUSTOM_PORT "${port[custom-exporter]}"
publish BONGSU_SITE_PORT "${port[nginx]}"
publish BONGSU_GRAFANA_PORT $((3000 + offset))
publish BONGSU_ELASTICSEARCH_PORT $((9200 + offset))
publish BONGSU_KIBANA_PORT $((5601 + offset))
# More options for `docker compose up`, such as: --pull never --no-build
read -ra up_options <<<"${BONGSU_UP_OPTIONS:-}"
compose() { docker compose -f "$root/deploy/compose.yaml" "$@"; }

command -v docker >/dev/null || die "docker is missing: apt-get install docker.io docker-compose, or use ./lab up, which needs no Docker" "docker가 없습니다: apt-get install docker.io docker-compose. Docker가 필요 없는 ./lab up도 있습니다"
docker info >/dev/null 2>&1 || die "Docker's daemon does not answer: start it (systemctl start docker), or join group docker" "Docker 데몬이 응답하지 않습니다: systemctl start docker, 또는 docker 그룹에 들어가세요"
docker compose version >/dev/null 2>&1 || die "the compose plugin (v2) is missing: apt-get install docker-compose (Debian 13) or docker-compose-plugin" "compose 플러그인(v2)이 없습니다: docker-compose(Debian 13) 또는 docker-compose-plugin을 설치하세요"

# What compose.yaml mounts of the engine, where this one has it in another place (rootless, a data-root of its own).
case ${DOCKER_HOST:-} in unix://*) export DOCKER_SOCK=${DOCKER_SOCK:-${DOCKER_HOST#unix://}} ;; esac
folder=$(docker info -f '{{.DockerRootDir}}' 2>/dev/null) || folder=''
[ -z "$folder" ] || export DOCKER_ROOT=${DOCKER_ROOT:-$folder}

case $verb in
down) compose --profile demo --profile logs down $purge ;;
up)
  need=1000
  case "${profiles[*]}" in *demo*) need=$((need + 300)) ;; esac
  case "${profiles[*]}" in *logs*) need=$((need + 4000)) ;; esac
  have=$(free_mib)
  [ "$have" -ge $need ] || die "$have MiB of memory are free, these profiles need $need: close something or leave a profile out" "남은 메모리 $have MiB, 필요한 메모리 $need MiB: 다른 것을 닫거나 프로필을 빼세요"
  case "${profiles[*]}" in
  *logs*)
    maps=$(cat /proc/sys/vm/max_map_count)
    [ "$maps" -ge 262144 ] || die "vm.max_map_count is $maps, Elasticsearch needs 262144: sysctl -w vm.max_map_count=262144" "vm.max_map_count가 $maps 입니다. Elasticsearch에는 262144가 필요합니다: sysctl -w vm.max_map_count=262144"
    ;;
  esac
  if [ -z "$(compose ps -q 2>/dev/null)" ]; then
    for name in PROMETHEUS ALERTMANAGER WEBHOOK NODE CADVISOR MYSQL_EXPORTER NGINX_EXPORTER LOG CUSTOM SITE GRAFANA; do
      number=BONGSU_${name}_PORT
      taken=$(listener "${!number}")
      [ -z "$taken" ] || die "port ${!number} ($number) is taken by $taken: end it (./lab down if it is the lab without Docker), or set BONGSU_PORT_OFFSET" "포트 ${!number} ($number): 이미 $taken 에서 사용 중입니다. 그것을 끝내거나 (Docker 없는 실습실이면 ./lab down) BONGSU_PORT_OFFSET을 쓰세요"
    done
  fi
  case "${profiles[*]}" in *demo*) export BONGSU_SITE=wordpress ;; esac
  progress "starting containers (images are fetched and built the first time)" "컨테이너 시작 (처음에는 이미지를 받고 빌드합니다)"
  # What runs once and ends is started by what waits for it, and is itself not waited for.
  mapfile -t services < <(compose "${profiles[@]}" config --services | grep -vxE 'secrets|.*-setup' | while read -r service; do skipped "$service" || echo "$service"; done)
  compose "${profiles[@]}" up -d --wait --wait-timeout 400 "${up_options[@]}" "${services[@]}" || { compose ps -a; die "not everything came up; see docker compose -f deploy/compose.yaml logs SERVICE" "모두 올라오지 못했습니다. docker compose -f deploy/compose.yaml logs 서비스"; }
  case "${profiles[*]}" in *logs*) skipped kibana || compose "${profiles[@]}" up -d "${up_options[@]}" kibana-setup ;; esac
  progress "everything is up" "모두 올라왔습니다"
  compose ps
  ;;
esac
