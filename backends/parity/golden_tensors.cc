// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "backends/parity/compare.h"
#include "backends/parity/golden_run-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

Tensor fitted(const sim::Graph::TensorInfo& info, int64_t images, const Tensor& golden,
              std::vector<std::string>& notes) {
  Shape shape = info.shape;
  shape[0] = images;
  if (golden.dtype() == info.dtype && golden.shape() == shape) return golden;
  if (golden.dtype() == info.dtype && shape.rank() == 4 && golden.shape() == nchw_of(shape)) {
    notes.push_back(fmt::format("golden \"{}\" is laid out NCHW {}: taken as NHWC {}", info.name,
                                to_string(golden.shape()), to_string(shape)));
    return nhwc_from_nchw(golden);
  }
  throw Error({ErrorCode::shape_mismatch, fmt::format("golden \"{}\"", info.name),
               fmt::format("{} {}", to_string(golden.dtype()), to_string(golden.shape())),
               fmt::format("{} {}", to_string(info.dtype), to_string(shape)), ""});
}

}  // namespace

Shape nchw_of(const Shape& nhwc) { return Shape{nhwc[0], nhwc[3], nhwc[1], nhwc[2]}; }

Tensor nhwc_from_nchw(const Tensor& nchw) {
  const Shape& s = nchw.shape();
  Tensor out = Tensor::uninitialized(nchw.dtype(), Shape{s[0], s[2], s[3], s[1]});
  const size_t width = nchw.bytes() / static_cast<size_t>(nchw.numel());
  auto* to = static_cast<std::byte*>(out.raw());
  const auto* from = static_cast<const std::byte*>(nchw.raw());
  for (int64_t n = 0; n < s[0]; ++n) {
    for (int64_t pixel = 0; pixel < s[2] * s[3]; ++pixel) {
      for (int64_t c = 0; c < s[1]; ++c) {
        const int64_t flat = (n * s[1] + c) * s[2] * s[3] + pixel;
        std::copy_n(from + static_cast<size_t>(flat) * width, width, to);
        to += width;
      }
    }
  }
  return out;
}

std::vector<Tensor> golden_tensors(const sim::Graph& graph, const std::vector<Tensor>& inputs,
                                   const NamedTensors& golden, std::vector<std::string>& notes) {
  const int64_t images = inputs[0].shape()[0];
  std::vector<Tensor> tensors(graph.tensors.size());
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    tensors[static_cast<size_t>(graph.inputs[i])] = inputs[i];
  }
  size_t known = 0;
  for (const auto& [name, values] : golden) {
    const auto info = std::find_if(graph.tensors.begin(), graph.tensors.end(),
                                   [&, &wanted = name](const auto& t) { return t.name == wanted; });
    if (info == graph.tensors.end()) {
      notes.push_back(fmt::format("golden \"{}\" is no tensor of the network", name));
      continue;
    }
    Tensor held = fitted(*info, images, values, notes);
    Tensor& slot = tensors[static_cast<size_t>(info - graph.tensors.begin())];
    if (slot.empty()) {
      ++known;
    } else if (const int64_t differ = count_of(differing(slot, held)); differ > 0) {
      notes.push_back(
          fmt::format("inputs differ: the device was given another \"{}\" ({} of {} values): "
                      "golden's is used",
                      name, differ, held.numel()));
    }
    slot = std::move(held);
  }
  if (known == 0) {
    throw Error({ErrorCode::shape_mismatch, "golden", "no output of a node",
                 "an array named as a tensor of the network", ""});
  }
  return tensors;
}

bool is_nchw_by_values(const Tensor& own, const Tensor& golden) {
  const Shape& shape = own.shape();
  if (shape.rank() != 4 || nchw_of(shape) != shape || shape[3] == 1) return false;
  const int64_t as_it_is = count_of(differing(own, golden));
  return as_it_is > 0 && count_of(differing(own, nhwc_from_nchw(golden))) * 2 < as_it_is;
}

}  // namespace facsim::backends::detail
