// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sim/core/tensor.h"

namespace CLI {
class App;
}

namespace facsim::cli {

/// --images FIRST:LAST: which of the input images a golden file holds, from 0 on, both included.
class ImageRange {
 public:
  void add_to(CLI::App& app);
  /// Those images of every network input (all, without the option), which `file` holds. UsageError
  /// unless the text is FIRST:LAST; Error bad_value if the file holds fewer.
  std::vector<Tensor> of(const std::vector<Tensor>& inputs, const std::string& file) const;
  /// The words of a command that repeats this one: " --images 0:3", or nothing.
  std::string words() const;

 private:
  std::string text_;
};

/// "--images 0:3": the first `count` images.
std::string first_images(int64_t count);

}  // namespace facsim::cli
