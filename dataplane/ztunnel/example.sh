#!/bin/sh
# Two network namespaces, a ztunnel in dedicated mode in each, a request through HBONE between them.
# Everything lives in namespaces of this script's own and is gone when it ends:
#
#   sudo unshare --net --mount --pid --fork --kill-child sh dataplane/ztunnel/example.sh
#
# ZTUNNEL names the program, default: the bundle that `npm run build` makes. To put another HBONE
# peer in the place of the server, start it with SERVER_ZTUNNEL: it gets the same environment.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
ztunnel=${ZTUNNEL:-"node $root/build/programs/ztunnel.mjs"}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t proc proc /proc
ip link set lo up
ip netns add client
ip netns add server
ip link add eth0 netns client type veth peer name eth0 netns server
for pod in client:10.0.0.2 server:10.0.0.3; do
  ip -n "${pod%:*}" link set lo up
  ip -n "${pod%:*}" addr add "${pod#*:}/24" dev eth0
  ip -n "${pod%:*}" link set eth0 up
done
# What the pod sends goes to the proxy, but for what the proxy sends itself (mark 0x539 = 1337).
ip netns exec client iptables -t nat -A OUTPUT -p tcp ! -o lo -m mark ! --mark 0x539/0xfff \
  -j REDIRECT --to-ports 15001

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /O=cluster.local \
  -keyout "$dir/ca-key.pem" -out "$dir/ca-cert.pem" 2>/dev/null

workload() {
  cat <<YAML
- uid: cluster1//Pod/default/$1
  name: $1
  namespace: default
  serviceAccount: $1
  trustDomain: cluster.local
  workloadIps: ["$2"]
  protocol: HBONE
  node: node1
  clusterId: Kubernetes
  services: {}
YAML
}
{ echo workloads:; workload client 10.0.0.2; workload server 10.0.0.3; } > "$dir/state.yaml"

start() { # <netns> <program>
  ip netns exec "$1" env \
    PROXY_MODE=dedicated PROXY_WORKLOAD_INFO="default/$1/$1" \
    XDS_ADDRESS= LOCAL_XDS_PATH="$dir/state.yaml" \
    FAKE_CA=true CA_CERT_FILE="$dir/ca-cert.pem" CA_KEY_FILE="$dir/ca-key.pem" \
    PACKET_MARK=1337 ENABLE_ORIG_SRC=false \
    $2 > "$dir/$1.log" 2>&1 &
}
start client "$ztunnel"
start server "${SERVER_ZTUNNEL:-$ztunnel}"
ip netns exec server node -e '
  require("node:http").createServer((q, r) => r.end("hello from the server\n")).listen(8080)' &

for pod in client server; do
  for try in $(seq 100); do
    ip netns exec $pod curl -sf http://127.0.0.1:15021/healthz/ready > "$dir/ready" && break
    sleep 0.1
  done
done

ip netns exec client curl -sS http://10.0.0.3:8080/
sleep 0.2
grep -h 'connection complete' "$dir/client.log" "$dir/server.log"
