#!/usr/bin/env bash
# swarm.sh CACHE BINARIES: deploy/swarm/stack.yaml on a real Swarm of two Docker daemons, each in a network namespace of its
# own with its own data; a third network joins them. Public images are stand-ins, as in run.sh. Where the kernel has no ESP, the
# network of the store is not encrypted, and that is said.
set -uo pipefail
cache=${1:?usage: swarm.sh CACHE BINARIES}
bins=${2:?usage: swarm.sh CACHE BINARIES}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
# shellcheck source=tests/lab/check.sh
source "$root/tests/lab/check.sh"
# shellcheck source=tests/compose/daemon.sh
source "$here/daemon.sh"
mkdir -p "$cache"
export DOCKER_CONFIG=$cache/docker
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
work=$(mktemp -d /run/bongsu-swarm.XXXXXX)
store=$cache/swarm
a=bongsu-a b=bongsu-b
nodes=("$a" "$b")
declare -A daemon=() address=([$a]=10.213.7.1 [$b]=10.213.7.2)

# The daemons' shims, networks and mounts are theirs: all that lives in the namespaces ends with them.
finish() {
  local node pid
  for node in "${nodes[@]}"; do
    [ ! -S "$work/$node.sock" ] || quiet docker -H "unix://$work/$node.sock" swarm leave --force
    [ -z "${daemon[$node]:-}" ] || kill "${daemon[$node]}" 2>/dev/null
  done
  for node in "${nodes[@]}"; do
    [ -z "${daemon[$node]:-}" ] || wait "${daemon[$node]}" 2>/dev/null
    for pid in $(ip netns pids "$node" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
    ip netns del "$node" 2>/dev/null
  done
  grep -oE " (${store}|${work})[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount -l "$mount" 2>/dev/null; done
  rm -rf "$work" "$store"
  stop_daemon
}
trap finish EXIT

start_daemon "$cache/daemon" || { check "a Docker daemon" false; verdict; exit 1; }
if ! "$here/standins.sh" "$cache" >"$cache/standins.log" 2>&1; then tail -n 3 "$cache/standins.log"; check "stand-in images" false; verdict; exit 1; fi
services=(webhook-sink node-exporter container-exporter)
check "our images" "$here/images.sh" "$bins" "${services[@]}"
mapfile -t images < <(sed -nE 's/^ *image: ([a-z]+[/:][^ {]*)$/\1/p' "$root/deploy/swarm/stack.yaml")
for service in "${services[@]}"; do images+=("bongsu/$service:$version"); done

mkdir -p "$store"
begin=$(now_ms)
for node in "${nodes[@]}"; do
  ip netns add "$node"
  ip -n "$node" link set lo up
done
ip -n $a link add lan type veth peer name lan netns $b
for node in "${nodes[@]}"; do
  ip -n "$node" address add "${address[$node]}/24" dev lan
  ip -n "$node" link set lan up
  read -ra flags <<<"${BONGSU_DOCKERD_FLAGS:-}"
  # `ip netns exec` would hide the cgroup mounts.
  # shellcheck disable=SC2016
  setsid nsenter --net="/var/run/netns/$node" unshare --uts bash -c 'hostname "$1" && exec dockerd --host "unix://$2/$1.sock" --data-root "$3/$1" --exec-root "$2/$1" --pidfile "$2/$1.pid" --cgroup-parent "/$1" "${@:4}"' bash "$node" "$work" "$store" "${flags[@]}" \
    >"$cache/$node.log" 2>&1 </dev/null &
  daemon[$node]=$!
done
on() { # NODE ARGUMENTS of docker
  local node=$1
  shift
  docker -H "unix://$work/$node.sock" "$@"
}
for node in "${nodes[@]}"; do
  if ! within 60 on "$node" info; then
    tail -n 5 "$cache/$node.log"
    check "a Docker daemon of its own for $node" false
    verdict
    exit 1
  fi
  docker save "${images[@]}" | on "$node" load >/dev/null
done
figure "two daemons with their images" "$(since "$begin")"

check "a Swarm of two" quiet on $a swarm init --advertise-addr "${address[$a]}" --data-path-addr "${address[$a]}"
token=$(on $a swarm join-token -q worker)
check "the second node joins" quiet on $b swarm join --token "$token" --advertise-addr "${address[$b]}" --data-path-addr "${address[$b]}" "${address[$a]}:2377"
unset token
password=$(head -c 18 /dev/urandom | od -An -tx1 | tr -d ' \n')
printf %s "$password" | on $a secret create bongsu_postgres_password - >/dev/null

# As docs/beyond-one-machine.md has it for kernels without ESP.
encrypted=yes
if ! ip -n $a xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode transport aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f00010203 64 2>"$work/esp"; then
  encrypted=''
  echo "skipped: encryption between the nodes: the kernel has no ESP ($(head -n 1 "$work/esp"))"
else
  ip -n $a xfrm state flush
fi
begin=$(now_ms)
stack() (
  cd "$root/deploy/swarm" || exit 1
  export DOCKER_SOCK=$work/$a.sock
  if [ -n "$encrypted" ]; then on $a stack deploy --resolve-image never -c stack.yaml bongsu; else sed '/driver_opts: {encrypted/d' stack.yaml | on $a stack deploy --resolve-image never -c - bongsu; fi
)
check "docker stack deploy" quiet stack
complete() { [ "$(on $a service ls --format '{{.Name}} {{.Replicas}}' | awk '{split($2, n, "/"); if (n[1] != n[2] || n[2] == 0) print}' | wc -l)" = 0 ]; }
if ! within 120 complete; then
  on $a service ls
  on $a stack ps bongsu --no-trunc --format '{{.Name}} {{.CurrentState}} {{.Error}}' | head -n 20
  for service in webhook postgres; do on $a service logs --tail 5 "bongsu_$service" 2>&1 | tail -n 5; done
fi
check "every service has all its tasks" complete
figure "stack deploy to every task running" "$(since "$begin")"

# Ports are open on the node where the task runs.
ask() { # NODE URL-PATH-WITH-PORT [curl options]
  local node=$1 path=$2
  shift 2
  nsenter --net="/var/run/netns/$node" curl -fsS --max-time 5 "$@" "http://127.0.0.1:$path"
}
targets() { # JOB: how many are up
  ask $a '9090/api/v1/targets?state=active' | jq "[.data.activeTargets[] | select(.labels.job == \"$1\" and .health == \"up\")] | length"
}
both() { [ "$(targets "$1")" = 2 ]; }
for job in node-exporter cadvisor webhook-sink; do check "$job: a target on each node is up" within 60 both $job; done
hostnames() { [ "$(ask $a 9090/api/v1/query -G --data-urlencode 'query=count(count by (nodename) (node_uname_info))' | jq -r '.data.result[0].value[1]')" -ge 1 ]; }
check "hosts are told apart" within 20 hostnames
sink_has() { ask "$1" 5000/api/v1/alerts -G --data-urlencode 'q=alertname="Watchdog"' | jq -e '.alerts | length > 0'; }
check "the Watchdog is in the sink, asked at one replica" within 60 sink_has $a
check "and at the other" within 10 sink_has $b
figure "stack deploy to the Watchdog at both replicas" "$(since "$begin")"

if [ -n "$encrypted" ]; then
  bytes_sealed() { ip -n $a -s xfrm state | awk '/\(bytes\)/ {n = $1; sub(/\(.*/, "", n); sum += n} END {exit !(sum > 0)}'; }
  check "what goes to the store between nodes is sealed" within 10 bytes_sealed
fi

# One replica killed: nothing that was accepted is lost, and it comes back.
victim=$(on $b ps -q --filter name=bongsu_webhook | head -n 1)
check "a replica is killed" quiet on $b kill "$victim"
check "the other still answers" quiet sink_has $a
returned() { on $b ps -q --filter name=bongsu_webhook | grep -v "$victim" | grep -q . && sink_has $b; }
check "the killed replica is back with everything" within 60 returned
check "a second deploy changes nothing" quiet stack
check "and leaves every task running" within 60 complete

no_secret() {
  local node container
  # A file of patterns: an argument of grep's would be found in its own command line.
  (umask 077 && printf '%s\n' "$password" >"$work/pattern")
  for node in "${nodes[@]}"; do
    for container in $(on "$node" ps -aq); do
      if { on "$node" inspect "$container"; on "$node" logs "$container"; } 2>&1 | grep -qFf "$work/pattern"; then echo "in $container of $node"; return 1; fi
    done
  done
  ! cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -qFf "$work/pattern"
}
check "the password is in no inspect, log or process argument" no_secret
check "docker stack rm" quiet on $a stack rm bongsu
verdict
