// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tests/onnx/network_maker.h"

namespace facsim::test {

/// Random small networks of one kind, in QDQ or QOperator form.
struct Family {
  const char* name;
  const char* op;  ///< of the profile
  void (*make)(NetworkMaker&);
  int networks;
};

/// All kinds that backends/onnx reads.
const std::vector<Family>& families();

}  // namespace facsim::test
