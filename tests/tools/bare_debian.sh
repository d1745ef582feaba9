#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs commands of a clean clone on a Debian 12 on which nothing was ever set up, to see what a
# newcomer sees and how long it takes. Needs root and the package debootstrap.
#
#   bare_debian.sh make FOLDER                   makes the system; HEAD of this checkout lies in it
#   bare_debian.sh run root|user FOLDER COMMAND  runs COMMAND in the clone and prints its time
#   bare_debian.sh remove FOLDER
#
# Mirror, package index and certificates are those of this machine. /proc is mounted in a mount
# namespace of its own, so that nothing stays mounted when the command ends, however it ends.
set -euo pipefail
checkout=$(realpath -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../..")

die() { printf 'bare_debian: %s\n' "$*" >&2; exit 1; }

# The address that apt gets bookworm from; both ways of writing it down are in use.
mirror() {
  local address
  address=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null \
    | grep -oE 'https?://[^ ]*/debian/?( |$)' | head -n 1)
  printf '%s\n' "${address:-http://deb.debian.org/debian}"
}

copy_if_present() {
  local file
  for file in "$@"; do
    if [[ -e $file ]]; then cp -rL --parents "$file" "$folder"; fi
  done
}

make_system() {
  [[ ! -e $folder ]] || die "'$folder' exists already"
  command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
  debootstrap --variant=minbase bookworm "$folder" "$(mirror)"
  # How this machine reaches the network.
  copy_if_present /etc/resolv.conf /etc/hosts /etc/pip.conf
  if [[ -e ${PIP_CERT:-} ]]; then cp -L "$PIP_CERT" "$folder/etc/pip-certificates.pem"; fi
  if [[ -e /etc/apt/sources.list.d/debian.sources ]]; then
    copy_if_present /etc/apt/sources.list.d/debian.sources
    rm -f "$folder/etc/apt/sources.list"
  fi
  chroot "$folder" useradd --create-home --shell /bin/bash user
  local home
  for home in root home/user; do
    git clone --quiet --no-hardlinks "$checkout" "$folder/$home/organ"
  done
  chroot "$folder" chown -R user:user /home/user
}

# The user's environment is that of a login, plus what pip needs here to reach its index.
run_in_system() {
  local user=$1 home=/root started=$SECONDS status=0 environment
  shift
  if [[ $user == user ]]; then home=/home/user; fi
  mapfile -t environment < <(env | grep -E '^(PIP_(INDEX|TRUSTED|DEFAULT)|https?_proxy=|HTTPS?_PROXY=)')
  if [[ -e $folder/etc/pip-certificates.pem ]]; then
    environment+=(PIP_CERT=/etc/pip-certificates.pem)
  fi
  printf '%s@bare:~/organ$ %s\n' "$user" "$*"
  # shellcheck disable=SC2016  # the inner shells expand these
  unshare --mount --pid --fork bash -c '
    mount -t proc proc "$1/proc" && mount -t devpts devpts "$1/dev/pts" 2>/dev/null
    exec chroot --userspec="$2" "$1" env -i HOME="$3" USER="$2" LANG=C.UTF-8 TERM=dumb \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${@:5}" \
      bash -c "cd ~/organ && $4"' \
    bare "$folder" "$user" "$home" "$*" "${environment[@]}" || status=$?
  printf '(exit code %d after %d s, load %s)\n' "$status" "$((SECONDS - started))" \
    "$(cut -d' ' -f1-2 /proc/loadavg)"
  return "$status"
}

(($(id -u) == 0)) || die "only root can make and enter such a system"
command=${1:-}
case $command in
  make | remove)
    (($# == 2)) || die "expected: $command FOLDER"
    folder=$2
    if [[ $command == make ]]; then
      make_system
    else
      [[ -d $folder/home/user/organ ]] || die "'$folder': not made by this script"
      rm -rf --one-file-system "$folder"
    fi
    ;;
  run)
    [[ $# -ge 4 && $2 =~ ^(root|user)$ ]] || die "expected: run root|user FOLDER COMMAND"
    folder=$3
    run_in_system "$2" "${@:4}"
    ;;
  *) sed -n 's/^#   \(bare_debian.sh .*\)/\1/p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
