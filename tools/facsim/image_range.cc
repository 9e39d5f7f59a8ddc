// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/image_range.h"

#include <charconv>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

/// A whole number that is all of `text`, or -1.
int64_t whole_number(std::string_view text) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

}  // namespace

void ImageRange::add_to(CLI::App& app) {
  app.add_option("--images", text_,
                 "FIRST:LAST: golden holds these of the input images, from 0 on, both included");
}

std::vector<Tensor> ImageRange::of(const std::vector<Tensor>& inputs,
                                   const std::string& file) const {
  if (text_.empty()) return inputs;
  const size_t colon = std::min(text_.find(':'), text_.size());
  const std::string_view text = text_;
  const int64_t first = whole_number(text.substr(0, colon));
  const int64_t last = colon < text.size() ? whole_number(text.substr(colon + 1)) : -1;
  if (first < 0 || last < first) {
    throw UsageError(
        fmt::format("--images \"{}\": expected FIRST:LAST, whole numbers from 0 on: "
                    "0:9 are ten images",
                    printable(text_)));
  }
  std::vector<Tensor> chosen;
  for (const Tensor& input : inputs) {
    const int64_t images = input.shape()[0];
    if (last >= images) {
      throw Error(
          {ErrorCode::bad_value, "--images", text_,
           fmt::format("0:{} at most: {} holds {}", images - 1, file, counted(images, "image")),
           ""});
    }
    chosen.push_back(input.slice(first, last - first + 1));
  }
  return chosen;
}

std::string ImageRange::words() const { return text_.empty() ? "" : " --images " + text_; }

std::string first_images(int64_t count) { return fmt::format("--images 0:{}", count - 1); }

}  // namespace facsim::cli
