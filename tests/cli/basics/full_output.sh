# SPDX-License-Identifier: Apache-2.0
# Standard output is full: the failure is said and is no success.
organ doctor >/dev/full
