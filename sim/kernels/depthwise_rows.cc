// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/depthwise_rows-internal.h"

#include <algorithm>
#include <cstring>

#include "sim/core/float_mode.h"
#include "sim/kernels/conv2d_weights-internal.h"

namespace facsim::sim {
namespace {

constexpr int64_t kRowBlockBytes = 64;  // of a vector; as many elements in the vectors of int32

/// The widest vectors first; what is left as blocks of two or four rows where that fills them.
std::vector<DepthwiseBlock> depthwise_blocks(int64_t channels) {
  std::vector<DepthwiseBlock> blocks;
  for (int64_t first = 0; first < channels;) {
    const int64_t rest = channels - first;
    DepthwiseBlock block{first, std::min(rest, kRowBlockBytes), 1};
    if (rest == 32 || rest == 48) block = {first, 32, 2};
    if (rest == 16) block = {first, 16, 4};
    blocks.push_back(block);
    first += block.channels;
  }
  return blocks;
}

/// The element of the four vectors of int32 at which a byte's sum stands.
int64_t element_of_byte(int64_t byte) { return 16 * (byte / 4 % 4) + 4 * (byte / 16) + byte % 4; }

/// f(channel, element) for each byte of each block; a partial block's last bytes repeat its last
/// channel.
template <class F>
void for_each_row_place(const std::vector<DepthwiseBlock>& blocks, F&& f) {
  for (size_t b = 0; b < blocks.size(); ++b) {
    for (int64_t byte = 0; byte < kRowBlockBytes; ++byte) {
      const int64_t lane = byte % (kRowBlockBytes / blocks[b].rows);
      const int64_t channel = blocks[b].first + std::min(lane, blocks[b].channels - 1);
      f(channel, static_cast<int64_t>(b) * kRowBlockBytes + element_of_byte(byte));
    }
  }
}

/// The program with the operands of its stages in the order of places.
FusedProgram in_places(const FusedProgram& program, const std::vector<DepthwiseBlock>& blocks) {
  FusedProgram placed = program;
  placed.operand_mask = -1;
  const auto place = [&](auto& operand) {
    if (operand.empty()) return;
    const auto original = operand;
    operand.resize(blocks.size() * kRowBlockBytes);
    for_each_row_place(blocks, [&](int64_t channel, int64_t element) {
      operand[static_cast<size_t>(element)] =
          original[static_cast<size_t>(channel & program.operand_mask)];
    });
  };
  for (auto* operand : {&placed.left_shift, &placed.multiplier, &placed.shift, &placed.nudge_high,
                        &placed.nudge_low, &placed.odd_mask}) {
    place(*operand);
  }
  for (auto* operand : {&placed.bias_before, &placed.scale, &placed.bias_after, &placed.bias_end}) {
    place(*operand);
  }
  return placed;
}

bool rows_serve(const Conv2dParams& p, const Conv2dRange& range) {
  const Shape& weights = p.weights.shape();
  return range.exact(p.accumulator) && weights[0] == p.groups && weights[1] <= kDepthwiseTaps &&
         weights[2] <= kDepthwiseTaps && p.window.dilation[1] == 1;
}

}  // namespace

std::unique_ptr<const DepthwiseRows> DepthwiseRows::make(const Conv2dParams& p,
                                                         const Conv2dRange& range,
                                                         const FusedProgram& program) {
  if (!rows_serve(p, range)) return nullptr;
  const DepthwiseRowKernels kernels = depthwise_row_kernels(program, p.window.stride[1]);
  if (kernels.one_row == nullptr) return nullptr;
  std::unique_ptr<DepthwiseRows> made(new DepthwiseRows());
  made->kernels_ = kernels;
  made->blocks_ = depthwise_blocks(p.weights.shape()[0]);
  made->program_ = in_places(program, made->blocks_);
  made->flip_ = static_cast<uint8_t>(unsigned_offset(p.input_type));
  std::fill_n(made->padding_, sizeof made->padding_, static_cast<uint8_t>(p.padding_value));
  const int64_t elements = static_cast<int64_t>(made->blocks_.size()) * kRowBlockBytes;
  const int64_t kh_count = p.weights.shape()[1], kw_count = p.weights.shape()[2];
  made->init_.assign(static_cast<size_t>(elements), 0);
  made->weights_.assign(static_cast<size_t>(elements * kDepthwiseTaps * 4), 0);
  for_each_row_place(made->blocks_, [&](int64_t channel, int64_t element) {
    made->init_[static_cast<size_t>(element)] =
        conv2d_sum_start(p, range, Conv2dKernelKind::depthwise_quads, channel);
    const bool per_channel = p.weight_zero_point.size() > 1;
    const int64_t zero = p.weight_zero_point[per_channel ? static_cast<size_t>(channel) : 0];
    const int64_t block = element / kRowBlockBytes, lane = element % kRowBlockBytes;
    for (int64_t kh = 0; kh < kh_count; ++kh) {
      for (int64_t kw = 0; kw < kw_count; ++kw) {
        const int64_t code = p.weights.int_at((channel * kh_count + kh) * kw_count + kw);
        const int64_t at = ((block * kDepthwiseTaps + kw) * kRowBlockBytes + lane) * 4 + kh;
        made->weights_[static_cast<size_t>(at)] = static_cast<int8_t>(code - zero);
      }
    }
  });
  return made;
}

DepthwiseRowKernel DepthwiseRows::kernel(const DepthwiseBlock& block) const {
  if (block.rows == 4) return kernels_.four_rows;
  if (block.rows == 2) return kernels_.two_rows;
  return block.channels == kRowBlockBytes ? kernels_.one_row : kernels_.partial;
}

DepthwiseRow DepthwiseRows::row(const Conv2dShape& shape, const uint8_t* image, uint8_t* output,
                                int64_t oh) const {
  DepthwiseRow row;
  row.out = output + oh * shape.ow * shape.oc;
  for (int64_t kh = 0; kh < kDepthwiseTaps; ++kh) {
    const int64_t ih =
        oh * shape.window.stride[0] + kh * shape.window.dilation[0] - shape.window.padding.top;
    const bool inside = ih >= 0 && ih < shape.ih && kh < shape.kh;
    row.x[kh] = inside ? image + ih * shape.iw * shape.ic : padding_;
    row.step[kh] = inside ? shape.ic : 0;
  }
  return row;
}

void DepthwiseRows::run(const Conv2dShape& shape, const Tensor& input, void* output,
                        ThreadPool* pool) const {
  if (shape.output().numel() == 0) return;
  // Bands of rows, and parts of the channels where bands are few.
  const int64_t bands = (shape.oh + kDepthwiseRows - 1) / kDepthwiseRows;
  const auto blocks = static_cast<int64_t>(blocks_.size());
  const int64_t wanted = pool == nullptr ? 1 : 4 * pool->threads();
  const int64_t parts = std::clamp<int64_t>(wanted / (shape.n * bands), 1, blocks);
  DepthwiseRowJob whole{};
  whole.out_step = shape.oc;
  whole.padding = padding_;
  whole.columns = shape.iw;
  whole.first_column = -shape.window.padding.left;
  whole.outputs = shape.ow;
  whole.flip = flip_;
  whole.program = &program_;
  parallel_for(pool, shape.n * bands * parts, [&](int64_t index) {
    const FloatMode mode;
    const int64_t part = index % parts, band = index / parts % bands, n = index / parts / bands;
    const auto* image =
        static_cast<const uint8_t*>(input.raw()) + n * shape.ih * shape.iw * shape.ic;
    auto* codes = static_cast<uint8_t*>(output) + n * shape.oh * shape.ow * shape.oc;
    DepthwiseRowJob job = whole;
    DepthwiseRow rows[kDepthwiseRows];
    job.rows = rows;
    job.row_count = std::min(kDepthwiseRows, shape.oh - band * kDepthwiseRows);
    for (int64_t r = 0; r < job.row_count; ++r) {
      rows[r] = row(shape, image, codes, band * kDepthwiseRows + r);
    }
    for (int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
      job.block = blocks_[static_cast<size_t>(b)];
      job.first_operand = b * kRowBlockBytes;
      job.weights = weights_.data() + job.first_operand * kDepthwiseTaps * 4;
      job.init = init_.data() + job.first_operand;
      kernel(job.block)(job);
    }
  });
}

}  // namespace facsim::sim
