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
compose() { docker compose -f "$root/deploy/compose.yaml" "$@"; }

command -v docker >/dev/null || die "docker is missing: apt-get install docker.io docker-compose, or use ./lab up, which needs no Docker" "docker가 없습니다: apt-get install docker.io docker-compose. Docker가 필요 없는 ./lab up도 있습니다"
docker info >/dev/null 2>&1 || die "Docker's daemon does not answer: start it (systemctl start docker), or join group docker" "Docker 데몬이 응답하지 않습니다: systemctl start docker, 또는 docker 그룹에 들어가세요"
docker compose version >/dev/null 2>&1 || die "the compose plugin (v2) is missing: apt-get install docker-compose (Debian 13) or docker-compose-plugin" "compose 플러그인(v2)이 없습니다: docker-compose(Debian 13) 또는 docker-compose-plugin을 설치하세요"

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
    for service in prometheus alertmanager webhook-sink node-exporter container-exporter mysqld-exporter nginx-exporter log-exporter custom-exporter nginx; do
      taken=$(listener "${port[$service]}")
      [ -z "$taken" ] || die "port ${port[$service]} ($service) is taken by $taken: end it (./lab down if it is the lab without Docker)" "포트 ${port[$service]} ($service)을(를) $taken 이(가) 쓰고 있습니다: 끝내세요 (Docker 없는 실습실이면 ./lab down)"
    done
  fi
  case "${profiles[*]}" in *demo*) export BONGSU_SITE=wordpress ;; esac
  progress "starting containers (images are fetched and built the first time)" "컨테이너 시작 (처음에는 이미지를 받고 빌드합니다)"
  compose "${profiles[@]}" up -d --wait || { compose ps -a; die "not everything came up; see docker compose -f deploy/compose.yaml logs SERVICE" "모두 올라오지 못했습니다. docker compose -f deploy/compose.yaml logs 서비스"; }
  progress "everything is up" "모두 올라왔습니다"
  compose ps
  ;;
esac
