# SPDX-License-Identifier: Apache-2.0
organ help key generate extra
