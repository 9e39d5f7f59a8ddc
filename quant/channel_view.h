// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "quant/qparams.h"
#include "sim/core/error.h"
#include "sim/core/shape.h"

namespace facsim::quant {

/// A tensor seen as [outer, channels, inner] around its channel axis.
struct ChannelView {
  int64_t outer = 1, channels = 1, inner = 1;
};

/// Error shape_mismatch if the qparams do not fit the shape.
inline ChannelView channel_view(const Shape& shape, const QParams& qparams) {
  ChannelView view;
  if (!qparams.per_channel()) {
    view.inner = shape.numel();
    return view;
  }
  const int axis = qparams.channel_axis;
  if (axis >= shape.rank() || shape[axis] != static_cast<int64_t>(qparams.scale.size())) {
    throw Error({ErrorCode::shape_mismatch, "tensor " + to_string(shape),
                 std::to_string(qparams.scale.size()) + " scales on axis " + std::to_string(axis),
                 "one scale per index of the channel axis", ""});
  }
  for (int i = 0; i < axis; ++i) view.outer *= shape[i];
  view.channels = shape[axis];
  for (int i = axis + 1; i < shape.rank(); ++i) view.inner *= shape[i];
  return view;
}

}  // namespace facsim::quant
