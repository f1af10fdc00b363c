#!/usr/bin/env bash
# Makes a Debian 12 image for `docker build --build-arg BASE=…` without a registry: debootstrap, then
# docker import. Does nothing when the image exists. Needs root, docker and debootstrap (./dev setup --docker).
# Usage: make_base_image.sh [IMAGE]     (penstock-base:bookworm)
set -euo pipefail
image=${1:-penstock-base:bookworm}

if docker image inspect "$image" >/dev/null 2>&1; then
  echo "$image exists already"
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder" "$folder.log"' EXIT
chmod 755 "$folder" # It becomes the image's root, which every user must be able to enter.
# The mirror is the one that apt uses on this machine, else debootstrap's default.
# shellcheck disable=SC2016  # apt expands it.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 2>/dev/null |
  head -n 1)
debootstrap --variant=minbase bookworm "$folder" ${mirror:+"$mirror"} >"$folder.log" 2>&1 || {
  tail -n 20 "$folder.log" >&2
  exit 1
}
rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
tar -C "$folder" -c . | docker import --change 'CMD ["bash"]' - "$image"
