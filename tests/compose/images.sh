#!/usr/bin/env bash
# images.sh FOLDER [SERVICE...]: our images from the static binaries in FOLDER, by the very Dockerfile that users build with.
# With SHELL_IMAGE, the one that holds all of these services too.
set -euo pipefail
bins=${1:?usage: images.sh FOLDER [SERVICE...]}
shift
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
[ $# -gt 0 ] || set -- webhook-sink node-exporter mysqld-exporter nginx-exporter container-exporter log-exporter custom-exporter
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/dist/data" "$context/deploy"
cp -r "$root/deploy/all-in-one" "$context/deploy/"
for service in "$@"; do
  if ldd "$bins/$service" 2>/dev/null | grep -q '=>'; then
    echo "images: $bins/$service is not static" >&2
    exit 1
  fi
  cp "$bins/$service" "$context/dist/"
done
for service in "$@"; do
  DOCKER_BUILDKIT=1 docker build -q --build-arg BINARIES=prebuilt --target "$service" -t "bongsu/$service:$version" -f "$root/deploy/Dockerfile" "$context" >/dev/null
  printf 'figure  %-44s %s\n' "image bongsu/$service" "$(docker image inspect -f '{{.Size}}' "bongsu/$service:$version" | awk '{printf "%.1f MB", $1 / 1e6}')"
done
[ -z "${SHELL_IMAGE:-}" ] || DOCKER_BUILDKIT=1 docker build -q --build-arg BINARIES=prebuilt --build-arg "SHELL_IMAGE=$SHELL_IMAGE" --target all-in-one \
  -t "bongsu/all-in-one:$version" -f "$root/deploy/Dockerfile" "$context" >/dev/null
