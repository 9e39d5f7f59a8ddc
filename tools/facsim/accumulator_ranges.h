// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/graph/graph.h"
#include "sim/ops/conv2d.h"

namespace facsim::cli {

/// An input that takes an accumulator out of its width, replayed on the norm before it is shown.
struct OverflowWitness {
  int64_t channel = 0;
  Tensor input;             ///< codes of one receptive field, [KH, KW, IC / groups]
  std::string exact;        ///< the exact total, bias included
  int64_t accumulator = 0;  ///< what the accumulator holds instead
};

/// The convolution of a convolution or linear op, else null.
const sim::Conv2d* convolution_of(const sim::Op& op);

/// What a run showed of a channel's accumulators.
struct ObservedRange {
  int64_t min = 0, max = 0;
};

struct ChannelRange {
  sim::int128 min = 0, max = 0;  ///< any partial sum, bias included where it is
  int bits = 0;                  ///< of the smallest signed register that holds both
};

/// What the weights of a layer prove about its accumulator, for every input.
struct LayerRange {
  enum class Verdict {
    proved,     ///< no input can take any partial sum out of the width
    overflows,  ///< `witness` does
    open,  ///< neither: the accumulator's parts are narrower or rounded, and no witness was found
  };
  std::string name, op;
  sim::Accumulator accumulator;
  Verdict verdict = Verdict::open;
  std::vector<ChannelRange> channels{};
  std::vector<int64_t> leaving{};  ///< channels whose partial sums can leave the width
  std::optional<OverflowWitness> witness{};
  std::vector<ObservedRange> observed{};  ///< by channel; empty if nothing was run

  const ChannelRange& worst() const;
  int64_t worst_channel() const;
};

const char* to_string(LayerRange::Verdict verdict);

/// Every convolution and linear layer of the network; the accumulators have `bits` bits and wrap if
/// given, else what the profile says. `not_analysed` gets the names of other layers with weights.
std::vector<LayerRange> accumulator_ranges(const sim::Graph& graph, std::optional<int> bits,
                                           std::vector<std::string>& not_analysed);

}  // namespace facsim::cli
