// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/io/npy.h"
#include "sim/core/tensor.h"

namespace facsim::backends {

/// The indices of element `flat_index` of a tensor, one per axis.
std::vector<int64_t> unflatten(int64_t flat_index, const Shape& shape);

/// One differing element.
struct Mismatch {
  std::vector<int64_t> index;  ///< one per axis
  int64_t flat_index = 0;
  std::string got, expected;  ///< decimal; float32 shortest form that reads back the same
  int64_t difference = 0;     ///< got - expected
};

/// Classes decided by the largest element of each image (ties: the first).
struct ArgmaxComparison {
  int64_t images = 0;
  int64_t flips = 0;
};

/// One tensor against another of the same name, shape and dtype.
///
/// A difference counts in LSB: got - expected of integer codes; of float32 the number of
/// representable values between them (ULP), where -0 equals +0 and a NaN equals any NaN only.
/// Differences outside 64 bits count as the nearest that fits.
struct TensorComparison {
  /// Differences beyond ±kHistogramLimit share the outermost entries, ±(kHistogramLimit + 1).
  static constexpr int64_t kHistogramLimit = 255;

  std::string name;
  Shape shape;
  DType dtype = DType::int8;
  int64_t compared = 0;
  int64_t mismatches = 0;
  uint64_t max_difference = 0;              ///< largest |difference|
  std::map<int64_t, int64_t> histogram;     ///< difference -> elements, 0 included
  std::vector<Mismatch> first;              ///< the first mismatches in memory order
  ArgmaxComparison argmax;                  ///< of tensors [N, C] or [N, 1, 1, C] with C >= 2
  std::vector<int64_t> channel_mismatches;  ///< by index of the channel axis, if it was asked for

  double rate() const {
    return compared == 0 ? 0 : static_cast<double>(mismatches) / static_cast<double>(compared);
  }
};

/// What could not be compared: it makes the whole different, whatever the values.
struct StructuralDifference {
  enum class Kind { missing_in_got, missing_in_expected, shape, dtype };
  std::string name;
  Kind kind = Kind::shape;
  std::string got, expected;
};
std::string to_string(const StructuralDifference& difference);

struct ComparisonReport {
  std::vector<TensorComparison> tensors;
  std::vector<StructuralDifference> structure;

  int64_t compared() const;
  int64_t mismatches() const;
  uint64_t max_difference() const;
  /// True only if something was compared and nothing differed: "0 of 0" is not equal.
  bool equal() const;
};

/// Which differences a caller refuses.
struct Tolerance {
  enum class Kind {
    any,     ///< every mismatch
    lsb,     ///< a difference above `lsb`
    rate,    ///< mismatches above `rate` of a tensor's elements, 0..1
    argmax,  ///< an image whose class changed
    never,
  };
  Kind kind = Kind::any;
  uint64_t lsb = 0;
  double rate = 0;
};
/// "any", "lsb:1", "rate:0.001", "argmax", "never". Error bad_value.
Tolerance tolerance_from_string(std::string_view text);
/// True if the report passes. Structural differences and an empty report pass only under `never`;
/// argmax needs a tensor of classes.
bool accepts(const Tolerance& tolerance, const ComparisonReport& report);

/// Compares one tensor in pieces, so that neither side must be in memory as a whole.
class TensorComparator {
 public:
  /// `first_mismatches` elements are kept with their index.
  TensorComparator(std::string name, DType dtype, Shape shape, int first_mismatches);
  /// Also counts mismatches by the index of an axis.
  void count_channels(int axis);
  /// The tensor holds no classes, whatever its shape.
  void ignore_classes() { classes_ = 0; }
  /// The next elements of both, in memory order: whole images, dtype and trailing shape as declared
  /// (CHECK).
  void add(const Tensor& got, const Tensor& expected);
  /// The next `count` elements of both, any piece of the tensors.
  void add(const void* got, const void* expected, int64_t count);
  const TensorComparison& result() const { return result_; }

 private:
  template <class T>
  void add_elements(const T* got, const T* expected, int64_t count);
  template <class T>
  void count_differences(const T* got, const T* expected, int64_t count);
  template <class T>
  void add_first(const T* got, const T* expected, int64_t count, int64_t first_index);
  template <class T>
  void add_channels(const T* got, const T* expected, int64_t count, int64_t first_index);
  template <class T>
  void add_argmax(const T* got, const T* expected, int64_t count);
  void summarize();

  /// The largest element of a row of classes so far, on both sides.
  struct Row {
    int64_t position = 0;
    int64_t got = 0, expected = 0;  ///< where it is
    int64_t got_value = INT64_MIN, expected_value = INT64_MIN;
  };

  TensorComparison result_;
  size_t first_mismatches_;
  std::vector<int64_t> small_;     // histogram of -limit..limit
  int64_t below_ = 0, above_ = 0;  // differences beyond it
  int64_t channel_stride_ = 0, classes_ = 0;
  Row row_;
};

/// Compares tensors whose names occur on both sides; a name on one side only, another shape or
/// another dtype is a StructuralDifference.
ComparisonReport compare(const NamedTensors& got, const NamedTensors& expected,
                         int first_mismatches = 10);

/// The structural difference of two tensors of one name, if there is one.
std::optional<StructuralDifference> compare_structure(const std::string& name, DType got_dtype,
                                                      const Shape& got_shape, DType expected_dtype,
                                                      const Shape& expected_shape);

}  // namespace facsim::backends
