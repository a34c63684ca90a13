# shellcheck shell=bash
# A Docker daemon for tests: the one that answers (DOCKER_HOST says which), else one of our own with its data in FOLDER, ended
# by stop_daemon. Which dockerd that is, PATH says; BONGSU_DOCKERD_FLAGS are flags more for it.
daemon_pid=''
start_daemon() { # FOLDER
  if docker info >/dev/null 2>&1; then
    case ${DOCKER_HOST:-} in unix://*) export DOCKER_SOCK=${DOCKER_HOST#unix://} ;; esac
    engine_facts "using the Docker daemon that runs here"
    return 0
  fi
  command -v dockerd >/dev/null || { echo "dockerd is missing: apt-get install docker.io"; return 1; }
  mkdir -p "$1"
  # Sockets have short paths.
  daemon_run=$(mktemp -d /run/bongsu-docker.XXXXXX)
  export DOCKER_HOST=unix://$daemon_run/docker.sock DOCKER_SOCK=$daemon_run/docker.sock
  local -a flags
  read -ra flags <<<"${BONGSU_DOCKERD_FLAGS:-}"
  setsid dockerd "${flags[@]}" --host "$DOCKER_HOST" --data-root "$1/data" --exec-root "$daemon_run/exec" --pidfile "$daemon_run/docker.pid" >"$1/dockerd.log" 2>&1 </dev/null &
  daemon_pid=$!
  for _ in $(seq 120); do
    if docker info >/dev/null 2>&1; then
      engine_facts "started a Docker daemon"
      return 0
    fi
    kill -0 "$daemon_pid" 2>/dev/null || break
    sleep 0.5
  done
  tail -n 15 "$1/dockerd.log"
  echo "dockerd did not start"
  stop_daemon
  return 1
}
engine_facts() { # WORDS
  DOCKER_ROOT=$(docker info -f '{{.DockerRootDir}}')
  export DOCKER_ROOT
  echo "$1: $(docker version -f '{{.Server.Version}}, API {{.Server.MinAPIVersion}} to {{.Server.APIVersion}}'), images in $(docker info -f '{{.Driver}}, cgroups v{{.CgroupVersion}} by {{.CgroupDriver}}')"
}
stop_daemon() {
  [ -n "$daemon_pid" ] || return 0
  kill "$daemon_pid" 2>/dev/null || true
  wait "$daemon_pid" 2>/dev/null || true
  rm -rf "${daemon_run:?}"
  daemon_pid=''
}
