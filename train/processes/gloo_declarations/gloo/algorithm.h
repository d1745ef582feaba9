// SPDX-License-Identifier: Apache-2.0
// See context.h; c10d's header names nothing of this one.
#pragma once
