// SPDX-License-Identifier: Apache-2.0
// The recorded networks of FACSIM_MODELS_DIR/mnist_qat, read from their ONNX files and run under
// onnxruntime-cpu, against what ONNX Runtime gave.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>

#include "backends/io/npy.h"
#include "backends/io/read_network.h"
#include "backends/onnx/quantized_network.h"
#include "backends/onnx/to_onnx.h"
#include "tests/backends/report_parity.h"
#include "tests/onnx/run_network.h"

namespace facsim {
namespace {

namespace fs = std::filesystem;
using backends::IntGraph;

/// Codes of uint8 as those of int8: the recordings hold all codes as uint8.
Tensor as_signed(const Tensor& codes) {
  Tensor out(DType::int8, codes.shape());
  for (int64_t i = 0; i < codes.numel(); ++i) out.set_int(i, codes.int_at(i) - 128);
  return out;
}

struct Difference {
  int64_t compared = 0, different = 0;
  int64_t largest = 0;
};

/// Outputs of the first images against recorded codes; recorded uint8, ours minus `offset`.
Difference difference(const Tensor& ours, const Tensor& recorded, int64_t offset) {
  Difference out;
  REQUIRE(ours.numel() >= recorded.numel());
  REQUIRE(
      std::equal(recorded.shape().begin() + 1, recorded.shape().end(), ours.shape().begin() + 1));
  out.compared = recorded.numel();
  for (int64_t i = 0; i < recorded.numel(); ++i) {
    const int64_t by = std::abs(ours.int_at(i) + offset - recorded.int_at(i));
    out.different += by != 0;
    out.largest = std::max(out.largest, by);
  }
  return out;
}

TEST_CASE("onnx goldens: mnist_qat as ONNX Runtime ran it") {
  const char* models = std::getenv("FACSIM_MODELS_DIR");
  if (models == nullptr || !fs::exists(fs::path(models) / "mnist_qat/ort_outputs.npz")) {
    std::cout << "SKIPPED: FACSIM_MODELS_DIR has no mnist_qat\n";
    return;
  }
  const fs::path folder = fs::path(models) / "mnist_qat";
  const backends::NpzFile recorded(folder / "ort_outputs.npz");
  const Tensor images = backends::NpzFile(folder / "qat_export.npz").read("q_quant_all");
  // Recordings: <file>_<graph optimization level>_<tensor>. There is none of mnist_qdq_s8: on x86
  // ONNX Runtime keeps it in float unless session.qdqisint8allowed is set; then, and by default on
  // Arm, it computes what it does for mnist_qlinear_s8 (tests/onnx/onnx_runtime_test.cc).
  const std::vector<std::pair<std::string, std::string>> runs = {
      {"mnist_qlinear_u8", "qlinear_u8_all"},
      {"mnist_qlinear_s8", "qlinear_s8_all"},
      {"mnist_qdq_u8", "qdq_u8_all"},
      {"mnist_qdq_s8", "qlinear_s8_all"}};
  Difference all;
  for (const auto& [file, recording] : runs) {
    CAPTURE(file);
    const bool is_signed = file.ends_with("s8");
    const IntGraph network =
        backends::quantized_network(backends::read_onnx_model(folder / (file + ".onnx")));
    const auto outputs =
        test::run_network(network, "onnxruntime-cpu", {is_signed ? as_signed(images) : images});
    CHECK(outputs.size() == 4);
    for (const std::string tensor : {"c1", "c2", "c3", "fc"}) {
      CAPTURE(tensor);
      REQUIRE(outputs.contains("y_" + tensor));
      const Difference found = difference(
          outputs.at("y_" + tensor), recorded.read(recording + "_" + tensor), is_signed ? 128 : 0);
      CHECK(found.different == 0);
      all.compared += found.compared;
      all.different += found.different;
    }
  }
  CHECK(all.compared == 4 * (200 * (8 * 14 * 14 + 16 * 7 * 7 + 32 * 5 * 5) + 2000 * 10));
  test::report_parity({{"profile", "onnxruntime-cpu"},
                       {"op", "conv2d"},
                       {"recording", "mnist_qat, QDQ and QOperator files"},
                       {"code", "onnxruntime-node 1.30.0"},
                       {"cases", 4},
                       {"compared", all.compared},
                       {"mismatches", all.different}});
}

TEST_CASE("onnx goldens: mnist_qat.tflite written as ONNX computes the same when read back") {
  const char* models = std::getenv("FACSIM_MODELS_DIR");
  if (models == nullptr || !fs::exists(fs::path(models) / "mnist_qat/mnist_qat.tflite")) {
    std::cout << "SKIPPED: FACSIM_MODELS_DIR has no mnist_qat.tflite\n";
    return;
  }
  // Its first operator is a Pad of the input's codes, whose scale only the QLinearConv has.
  const IntGraph network = backends::read_network(fs::path(models) / "mnist_qat/mnist_qat.tflite");
  REQUIRE(network.inputs.size() == 1);
  const auto& input = network.tensors[static_cast<size_t>(network.inputs[0])];
  REQUIRE(input.shape.rank() == 4);
  Tensor images(input.dtype, Shape{3, input.shape[3], input.shape[1], input.shape[2]});
  const int64_t low = input.qparams->type.min();
  for (int64_t i = 0; i < images.numel(); ++i) images.set_int(i, low + i * i % 251);
  const auto expected = test::run_network(network, "onnxruntime-cpu", {images});
  for (const auto form : {backends::OnnxForm::qoperator, backends::OnnxForm::qdq}) {
    CAPTURE(static_cast<int>(form));
    const std::string bytes = backends::onnx_bytes(backends::to_onnx(network, form));
    const IntGraph read = backends::quantized_network(backends::parse_onnx_model(bytes, "written"));
    const auto outputs = test::run_network(read, "onnxruntime-cpu", {images});
    REQUIRE(outputs.size() == expected.size());
    for (const auto& [name, codes] : expected) {
      CAPTURE(name);
      REQUIRE(outputs.contains(name));
      REQUIRE(outputs.at(name).shape() == codes.shape());
      int64_t different = 0;
      for (int64_t i = 0; i < codes.numel(); ++i) {
        different += outputs.at(name).int_at(i) != codes.int_at(i);
      }
      CHECK(different == 0);
    }
  }
}

TEST_CASE("onnx goldens: mnist_qat without graph optimization is another computation") {
  const char* models = std::getenv("FACSIM_MODELS_DIR");
  if (models == nullptr || !fs::exists(fs::path(models) / "mnist_qat/ort_outputs.npz")) {
    std::cout << "SKIPPED: FACSIM_MODELS_DIR has no mnist_qat\n";
    return;
  }
  // With level "disabled" ONNX Runtime runs a QDQ network in float, in an order of sums of its own:
  // 8 of 650 400 codes are one step away from those of the same groups on integers.
  const fs::path folder = fs::path(models) / "mnist_qat";
  const backends::NpzFile recorded(folder / "ort_outputs.npz");
  const std::vector<std::pair<std::string, int64_t>> expected = {
      {"c1", 0}, {"c2", 1}, {"c3", 5}, {"fc", 2}};
  for (const auto& [tensor, count] : expected) {
    CAPTURE(tensor);
    const Difference found = difference(recorded.read("qdq_u8_disabled_" + tensor),
                                        recorded.read("qdq_u8_all_" + tensor), 0);
    CHECK(found.different == count);
    CHECK(found.largest <= 1);
  }
}

}  // namespace
}  // namespace facsim
