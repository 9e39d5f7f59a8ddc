// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/model_file.h"

#include <charconv>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "tools/facsim/command.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

std::pair<std::string, int64_t> parse_dim(const std::string& text) {
  const size_t equals = text.rfind('=');
  int64_t extent = 0;
  const bool parsed = equals != std::string::npos && equals > 0 && [&] {
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data() + equals + 1, end, extent);
    return result.ec == std::errc() && result.ptr == end && extent > 0;
  }();
  if (!parsed) {
    throw UsageError(fmt::format("--dim \"{}\": expected NAME=N with N >= 1", printable(text)));
  }
  return {text.substr(0, equals), extent};
}

}  // namespace

void ModelFile::add_to(CLI::App& app, const std::string& option, const std::string& help) {
  app.add_option(option, file_, help + ": facsim's .json, .tflite or .onnx");
  app.add_option("--dim", dims_, "NAME=N: size of a symbolic dimension of an ONNX file; repeatable")
      ->allow_extra_args(false);
  app.add_option("--qdq", qdq_,
                 "ONNX groups of DequantizeLinear, op and QuantizeLinear that become integer ops: "
                 "those of ONNX Runtime's CPU provider (onnxruntime), or every one")
      ->check(one_of({"onnxruntime", "every"}))
      ->capture_default_str();
}

ModelFile::ModelFile(std::string file, const std::map<std::string, int64_t>& dims, std::string qdq)
    : file_(std::move(file)), qdq_(std::move(qdq)) {
  for (const auto& [name, extent] : dims) dims_.push_back(fmt::format("{}={}", name, extent));
}

std::map<std::string, int64_t> ModelFile::dims() const {
  std::map<std::string, int64_t> dims;
  for (const std::string& text : dims_) {
    const auto dim = parse_dim(text);
    if (!dims.insert(dim).second) {
      throw UsageError(fmt::format("--dim {}: given twice", printable(dim.first)));
    }
  }
  return dims;
}

backends::QuantizedNetworkOptions ModelFile::onnx_options() const {
  backends::QuantizedNetworkOptions onnx;
  if (qdq_ == "every") onnx.groups = backends::QdqGroups::every;
  for (const auto& [name, extent] : dims()) onnx.dims[name] = extent;
  const bool asked = !dims_.empty() || qdq_ != "onnxruntime";
  if (asked && backends::network_file_kind(file_) != backends::NetworkFile::onnx) {
    throw UsageError("--dim and --qdq are for .onnx files");
  }
  return onnx;
}

backends::IntGraph ModelFile::read() const { return backends::read_network(file_, onnx_options()); }

std::variant<backends::IntGraph, backends::FloatGraph> ModelFile::read_any() const {
  return backends::read_any_network(file_, onnx_options());
}

}  // namespace facsim::cli
