# SPDX-License-Identifier: Apache-2.0
organ --version --json
organ --json --version
