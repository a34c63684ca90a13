# shellcheck shell=bash
# What stands in the way, each with its fix.
# shellcheck disable=SC2154

free_mib() { awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo; }
disk_mib() { # FOLDER, or its nearest parent that exists
  local folder=$1
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  df -Pm "$folder" | awk 'NR == 2 {print $4}'
}

# The least that makes sense; said before minutes are spent.
check_room() {
  local memory disk
  memory=$(free_mib)
  disk=$(disk_mib "$lab_dir")
  [ "$memory" -ge 500 ] || die "only $memory MiB of memory are free; the lab needs 500" "남은 메모리가 ${memory} MiB뿐입니다. 실습실에는 500 MiB가 필요합니다"
  [ "$disk" -ge 1500 ] || die "only $disk MiB of disk are free at $lab_dir; the lab needs 1500" "$lab_dir 의 디스크가 ${disk} MiB뿐입니다. 1500 MiB가 필요합니다"
}

lab_doctor() {
  local problems=0 before service taken have need tool package memory disk
  good() { printf '  ok    '; say "$@"; }
  bad() { printf '  FIX   '; say "$@"; problems=$((problems + 1)); }

  say "Machine" "컴퓨터"
  memory=$(free_mib)
  if [ "$memory" -ge 1000 ]; then good "$memory MiB of memory are free" "남은 메모리 $memory MiB"; else bad "$memory MiB of memory are free, 1000 are comfortable: close something, or leave services out with BONGSU_SKIP" "남은 메모리 $memory MiB. 1000 MiB가 좋습니다: 다른 것을 닫거나 BONGSU_SKIP을 쓰세요"; fi
  disk=$(disk_mib "$lab_dir")
  if [ "$disk" -ge 4000 ]; then good "$disk MiB of disk are free at $lab_dir" "남은 디스크 $disk MiB"; else bad "$disk MiB of disk are free at $lab_dir, 4000 are comfortable (most is the build): make room, or set BONGSU_LAB_DIR and CARGO_TARGET_DIR elsewhere" "남은 디스크 $disk MiB. 4000 MiB가 좋습니다: 자리를 만들거나 BONGSU_LAB_DIR, CARGO_TARGET_DIR를 바꾸세요"; fi
  if [ "$EUID" -eq 0 ]; then good "running as root" "root로 실행 중"; elif command -v sudo >/dev/null; then good "sudo is there" "sudo 있음"; else bad "not root and no sudo: run it as root" "root가 아니고 sudo도 없습니다: root로 실행하세요"; fi

  say "Tools" "도구"
  need=$(needed_rust)
  have=$(as_builder cargo --version 2>/dev/null | awk '{print $2}') || have=''
  if [ -n "${BONGSU_BIN_DIR:-}" ]; then good "nothing is built: BONGSU_BIN_DIR has the binaries" "빌드하지 않음: BONGSU_BIN_DIR의 바이너리를 씁니다"; elif [ -n "$have" ] && version_at_least "$have" "$need"; then good "cargo $have" "cargo $have"; else bad "cargo ${have:-is missing}, $need is needed: install it with rustup, or use ./lab up --docker" "cargo ${have:-없음}, $need 이상이 필요합니다: rustup으로 설치하거나 ./lab up --docker"; fi
  if command -v apt-get >/dev/null; then good "apt-get is there: ./lab up installs what is missing" "apt-get 있음: 없는 것은 ./lab up이 설치합니다"; else bad "no apt-get: install the tools below by hand" "apt-get 없음: 아래 도구를 직접 설치하세요"; fi
  while read -r tool package; do
    if ! PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null; then
      if command -v apt-get >/dev/null; then
        good "$tool is missing; ./lab up installs package $package" "$tool 없음. ./lab up이 $package 패키지를 설치합니다"
      else
        bad "$tool is missing: install package $package" "$tool 없음: $package 패키지를 설치하세요"
      fi
    fi
  done < <(needed_tools)
  if command -v docker >/dev/null; then
    if docker info >/dev/null 2>&1; then good "Docker $(docker version -f '{{.Server.Version}}' 2>/dev/null): containers are seen" "Docker 사용 가능"; else good "Docker's daemon does not run: container-exporter shows cgroups without names" "Docker 데몬이 꺼져 있음: container-exporter가 이름 없이 cgroup만 보여줍니다"; fi
  else
    good "no Docker: not needed for ./lab up" "Docker 없음: ./lab up에는 필요 없습니다"
  fi

  say "Ports" "포트"
  if ! command -v ss >/dev/null; then
    bad "ss is missing, so ports cannot be looked at: apt-get install iproute2" "ss가 없어 포트를 볼 수 없습니다: apt-get install iproute2"
  else
    before=$problems
    while read -r service taken; do
      bad "port ${port[$service]} ($service) is taken by $taken: end it, or BONGSU_PORT_OFFSET=10000 ./lab up" "포트 ${port[$service]} ($service): 이미 $taken 에서 사용 중입니다. 그것을 끝내거나 BONGSU_PORT_OFFSET=10000 ./lab up"
    done < <(taken_ports)
    [ $problems -gt "$before" ] || good "all free or the lab's own" "모두 비었거나 실습실이 쓰는 중"
  fi

  if compgen -G "$lab_dir/run/*.pid" >/dev/null; then
    say "Services" "서비스"
    for service in "${all_services[@]}"; do
      [ -e "$lab_dir/run/$service.pid" ] || continue
      if running "$service"; then
        if ready "$service" >/dev/null 2>&1; then good "$service answers" "$service 응답함"; else bad "$service runs but does not answer: ./lab logs $service" "$service 응답 없음: ./lab logs $service"; fi
      else
        bad "$service has died: ./lab logs $service, then ./lab start $service" "$service 서비스가 죽었습니다: ./lab logs $service, 그다음 ./lab start $service"
      fi
    done
  fi
  echo
  if [ $problems -eq 0 ]; then say "nothing to mend" "고칠 것이 없습니다"; else say "$problems to mend" "고칠 것 ${problems}개"; return 1; fi
}
