# SPDX-License-Identifier: Apache-2.0
# The reader is gone before organ writes: it ends by SIGPIPE (128 + 13), quietly, as other tools do.
{ sleep 0.2; organ doctor --help || echo "exit $?" >&2; } | true
