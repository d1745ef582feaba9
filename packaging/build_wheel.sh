#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build_wheel.sh OUT [PIP_OPTION...]: builds the Python wheel of organ and organ-train from this
# checkout into OUT. Equal sources and SOURCE_DATE_EPOCH (default: the newest commit's) give equal
# bytes. With ORGAN_TORCH_ROOT LibTorch is taken from there and no torch is fetched for building.
set -euo pipefail
umask 022
source=$(realpath -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/..")
out=$1
shift
mkdir -p "$out"
if [[ -z ${SOURCE_DATE_EPOCH-} ]]; then
  SOURCE_DATE_EPOCH=$(git -C "$source" log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH
export CCACHE_DISABLE=1  # what is given away was compiled from its sources
LC_ALL=C.UTF-8 ${PYTHON:-python3} -m pip wheel --no-deps --wheel-dir "$out" "$@" "$source"
