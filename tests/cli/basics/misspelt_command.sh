# SPDX-License-Identifier: Apache-2.0
organ doctr
