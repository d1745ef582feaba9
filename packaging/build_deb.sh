#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build_deb.sh SCRATCH OUT: builds the Debian packages of the part without Torch from this checkout,
# in a copy of it below SCRATCH, and puts them into OUT. Equal sources and SOURCE_DATE_EPOCH
# (default: the newest commit's) give equal bytes, wherever SCRATCH lies.
set -euo pipefail
umask 022
source=$(realpath -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/..")
mkdir -p "$1" "$2"
scratch=$(realpath "$1") out=$(realpath "$2")

if [[ -z ${SOURCE_DATE_EPOCH-} ]]; then
  SOURCE_DATE_EPOCH=$(git -C "$source" log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH
export CCACHE_DISABLE=1  # what is given away was compiled from its sources
version=$(sed -n "s/^  version : '\(.*\)',\$/\1/p" "$source/meson.build")

tree=$scratch/organ-$version
rm -rf "$tree"
mkdir "$tree"
git -C "$source" ls-files -z --cached --others --exclude-standard |
  tar -C "$source" --null --files-from=- -cf - | tar -C "$tree" -xf - --no-same-owner
cp -r "$tree/packaging/debian" "$tree/debian"
cat >"$tree/debian/changelog" <<TEXT
organ ($version) unstable; urgency=medium

  * CHANGELOG.md says what is new.

 -- The organ authors <organ@packages.debian.org>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
TEXT
cd "$tree"
LC_ALL=C.UTF-8 DEB_BUILD_OPTIONS="noautodbgsym ${DEB_BUILD_OPTIONS-}" \
  dpkg-buildpackage --build=binary --unsigned-changes --no-pre-clean
mv "$scratch"/*.deb "$out/"
