// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/avg_pool2d.h"
#include "sim/ops/avg_pool2d_dequantized.h"
#include "sim/ops/max_pool2d.h"
