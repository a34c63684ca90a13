#!/bin/bash
# What run.sh has its machine do: results in /vmtest/result, then the machine ends.
cd /vmtest || exit 1
exec >result 2>&1
trap 'sync; systemctl poweroff -ff' EXIT
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
# shellcheck source=tests/lab/check.sh
source ./check.sh
ip link set lo up
# The tests look for the host's eth0.
ip link add eth0 type veth peer name eth0peer
within 180 docker info
figure kernel "$(uname -r)"
figure Docker "$(docker version -f '{{.Server.Version}}')"
check "cgroup v2 by the systemd driver" test "$(stat -fc %T /sys/fs/cgroup) $(docker info -f '{{.CgroupVersion}} {{.CgroupDriver}}')" = "cgroup2fs 2 systemd"

# Two daemons with a wire between them, as in tests/compose/swarm.sh.
declare -A address=([a]=10.213.7.1 [b]=10.213.7.2)
modprobe esp4
for node in a b; do ip netns add $node; ip -n $node link set lo up; done
ip -n a link add lan type veth peer name lan netns b
for node in a b; do
  ip -n $node address add "${address[$node]}/24" dev lan
  ip -n $node link set lan up
  nsenter --net=/run/netns/$node unshare --uts sh -c "hostname $node && exec dockerd --host unix:///run/$node.sock --data-root /var/$node --exec-root /run/$node --pidfile /run/$node.pid --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /$node" >$node.log 2>&1 &
done
on() { docker -H "unix:///run/$1.sock" "${@:2}"; }
mkdir -p box/bin
cp /usr/bin/busybox box/bin/
for applet in sh sleep wget httpd; do ln -s busybox box/bin/$applet; done
for node in a b; do
  within 180 on $node info
  tar -C box -c . | on $node import - box:1 >/dev/null
done
on a swarm init --advertise-addr "${address[a]}" --data-path-addr "${address[a]}" >/dev/null
on b swarm join --token "$(on a swarm join-token -q worker)" --advertise-addr "${address[b]}" --data-path-addr "${address[b]}" "${address[a]}:2377"
both_ready() { [ "$(on a node ls --format '{{.Status}}' | grep -c Ready)" = 2 ]; }
check "a Swarm of two" within 240 both_ready
sealed() { ip -n b -s xfrm state | awk '/\(bytes\)/ {n = $1; sub(/\(.*/, "", n); sum += n} END {print sum + 0}'; }
for network in open sealed; do
  option=()
  [ $network = open ] || option=(--opt encrypted)
  on a network create -d overlay --attachable "${option[@]}" $network >/dev/null
  on a run -d --name server-$network --network $network box:1 sh -c 'echo word >/index.html; httpd -f -p 80 -h /' >/dev/null
  on b run -d --name client-$network --network $network box:1 sleep 3000 >/dev/null
  answers() { on b exec "client-$network" wget -T 8 -qO- "http://server-$network/" | grep -qx word; }
  check "a container of the other node answers on the network '$network'" within 120 answers
  bytes=$(sealed)
  if [ $network = open ]; then check "and nothing is encrypted" test "$bytes" = 0; else check "and what goes between the nodes is encrypted ($bytes bytes)" test "$bytes" -gt 0; fi
done
kill "$(cat /run/a.pid)" "$(cat /run/b.pid)"

BONGSU_BIN_DIR=/vmtest CARGO_MANIFEST_DIR=/vmtest timeout 1500 ./container --test-threads=1
check "the container tests" test $? -eq 0
verdict
