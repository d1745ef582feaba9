# SPDX-License-Identifier: Apache-2.0
# A terminal must never see a control character that came from an argument.
organ "$(printf '\033[2J\007x')"
