// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/graph/int_graph.h"
#include "backends/io/npy.h"
#include "fused/network.h"
#include "fused/train/dataset.h"
#include "fused/train/evaluate.h"

namespace facsim::cli {

/// What the QAT modules computed for the test images.
struct QatEvaluation {
  fused::train::Evaluation accuracy;
  /// Codes of every layer for all images, by the deployed network's tensor names, or only the
  /// network's outputs.
  backends::NamedTensors tensors;
};

enum class Keep { outputs, all };

/// Eval forward (mode simulate, fast kernels) over all images. With Keep::all the input codes are
/// part of the tensors.
QatEvaluation evaluate_qat(fused::Network& network, const backends::IntGraph& deployed,
                           const fused::train::Dataset& data, Keep keep, sim::ThreadPool* pool);

}  // namespace facsim::cli
