// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/kernels/backward_plan-internal.h"
#include "sim/core/parallel.h"

namespace facsim::fused::kernels {

/// All outputs of some images: sums[group][tap][ic][oc of the group], depthwise [tap][oc].
void accumulate_all(const Conv2dShape& s, const BackwardPlan& plan, const LaidOut& images,
                    float* sums);
/// dw[oc][tap][ic] = factor[oc] (null: 1) * the chunks' sums, added in order.
void add_chunks(const Conv2dShape& s, const BackwardPlan& plan, const float* sums,
                const float* factor, float* dw, sim::ThreadPool* pool);
/// dw over all images at once, one task per block of outputs.
void accumulate_by_output(const BackwardPlan& plan, const LaidOut& all, const float* factor,
                          float* dw, sim::ThreadPool* pool);

}  // namespace facsim::fused::kernels
