// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/compare.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "backends/text/did_you_mean.h"
#include "sim/core/check.h"
#include "sim/core/error.h"
#include "sim/core/wide.h"
#include "sim/core/with_dtype.h"

namespace facsim::backends {

namespace {

constexpr int64_t kLimit = TensorComparison::kHistogramLimit;
constexpr int64_t kBlock = int64_t{1} << 12;  // elements that are equal or counted

/// float32 values in order, one step per representable value; -0 and +0 are one, NaNs are one.
int64_t ordered(float value) {
  if (std::isnan(value)) return int64_t{1} << 33;
  const auto bits = std::bit_cast<int32_t>(value);
  return bits >= 0 ? bits : -static_cast<int64_t>(bits & INT32_MAX);
}
template <class T>
int64_t ordered(T value) {
  return static_cast<int64_t>(value);
}

/// got - expected of two ordered values, clamped to 64 bits.
template <class T>
int64_t difference(T got, T expected) {
  const int64_t a = ordered(got), b = ordered(expected);
  if constexpr (sizeof(T) < 8) return a - b;
  const sim::int128 exact = static_cast<sim::int128>(a) - b;
  return static_cast<int64_t>(std::clamp<sim::int128>(exact, INT64_MIN, INT64_MAX));
}

/// Scores of one image: [N, C] or [N, 1, 1, C].
bool holds_classes(const Shape& shape) {
  if (shape.rank() < 2 || shape[shape.rank() - 1] < 2) return false;
  for (int axis = 1; axis + 1 < shape.rank(); ++axis) {
    if (shape[axis] != 1) return false;
  }
  return true;
}

const Tensor* find(const NamedTensors& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  return found == tensors.end() ? nullptr : &found->second;
}

std::string describe(const Tensor& tensor) {
  return fmt::format("{} {}", to_string(tensor.dtype()), to_string(tensor.shape()));
}

}  // namespace

std::vector<int64_t> unflatten(int64_t flat_index, const Shape& shape) {
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()));
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    index[static_cast<size_t>(axis)] = flat_index % shape[axis];
    flat_index /= shape[axis];
  }
  return index;
}

std::string to_string(const StructuralDifference& d) {
  switch (d.kind) {
    case StructuralDifference::Kind::missing_in_got:
      return fmt::format("{}: missing; expected {}", d.name, d.expected);
    case StructuralDifference::Kind::missing_in_expected:
      return fmt::format("{}: {}, not in the expected tensors", d.name, d.got);
    case StructuralDifference::Kind::shape:
      return fmt::format("{}: shape {}; expected {}", d.name, d.got, d.expected);
    case StructuralDifference::Kind::dtype:
      return fmt::format("{}: dtype {}; expected {}", d.name, d.got, d.expected);
  }
  return d.name;
}

int64_t ComparisonReport::compared() const {
  int64_t sum = 0;
  for (const TensorComparison& t : tensors) sum += t.compared;
  return sum;
}

int64_t ComparisonReport::mismatches() const {
  int64_t sum = 0;
  for (const TensorComparison& t : tensors) sum += t.mismatches;
  return sum;
}

uint64_t ComparisonReport::max_difference() const {
  uint64_t largest = 0;
  for (const TensorComparison& t : tensors) largest = std::max(largest, t.max_difference);
  return largest;
}

bool ComparisonReport::equal() const {
  return compared() > 0 && mismatches() == 0 && structure.empty();
}

Tolerance tolerance_from_string(std::string_view text) {
  const std::vector<std::string> words = {"any", "lsb", "rate", "argmax", "never"};
  const auto refuse = [&]() -> Tolerance {
    const std::string_view word = text.substr(0, text.find(':'));
    std::string expected = "any, lsb:N, rate:P (0..1), argmax or never";
    std::string hint = did_you_mean_hint(word, words);
    if (word == "lsb") {
      expected = "lsb:N with a number, an integer from 0";
      hint = "lsb:1 accepts differences of 1";
    } else if (word == "rate") {
      expected = "rate:P with a number from 0 to 1";
      hint = "rate:0.01 accepts one value in a hundred";
    } else if (std::find(words.begin(), words.end(), word) != words.end()) {
      expected = std::string(word) + " without a number";
      hint.clear();
    }
    throw Error(
        {ErrorCode::bad_value, "tolerance", "\"" + std::string(text) + "\"", expected, hint});
  };
  if (text == "any") return {Tolerance::Kind::any, 0, 0};
  if (text == "argmax") return {Tolerance::Kind::argmax, 0, 0};
  if (text == "never") return {Tolerance::Kind::never, 0, 0};
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return refuse();
  const std::string value(text.substr(colon + 1));
  try {
    size_t used = 0;
    if (text.substr(0, colon) == "lsb" && value.find('-') == std::string::npos) {
      const Tolerance tolerance{Tolerance::Kind::lsb, std::stoull(value, &used), 0};
      return used == value.size() ? tolerance : refuse();
    }
    if (text.substr(0, colon) == "rate") {
      const Tolerance tolerance{Tolerance::Kind::rate, 0, std::stod(value, &used)};
      const bool in_range = tolerance.rate >= 0 && tolerance.rate <= 1;
      return used == value.size() && in_range ? tolerance : refuse();
    }
  } catch (const std::logic_error&) {
    return refuse();
  }
  return refuse();
}

bool accepts(const Tolerance& tolerance, const ComparisonReport& report) {
  if (tolerance.kind == Tolerance::Kind::never) return true;
  if (report.compared() == 0 || !report.structure.empty()) return false;
  const auto all = [&](auto predicate) {
    return std::all_of(report.tensors.begin(), report.tensors.end(), predicate);
  };
  switch (tolerance.kind) {
    case Tolerance::Kind::lsb:
      return all([&](const TensorComparison& t) { return t.max_difference <= tolerance.lsb; });
    case Tolerance::Kind::rate:
      return all([&](const TensorComparison& t) { return t.rate() <= tolerance.rate; });
    case Tolerance::Kind::argmax:
      return !all([](const TensorComparison& t) { return t.argmax.images == 0; }) &&
             all([](const TensorComparison& t) { return t.argmax.flips == 0; });
    case Tolerance::Kind::any:
    case Tolerance::Kind::never:
      break;
  }
  return report.mismatches() == 0;
}

TensorComparator::TensorComparator(std::string name, DType dtype, Shape shape, int first_mismatches)
    : first_mismatches_(static_cast<size_t>(std::max(0, first_mismatches))),
      small_(static_cast<size_t>(2 * kLimit + 1)) {
  result_.name = std::move(name);
  result_.dtype = dtype;
  result_.shape = std::move(shape);
  if (holds_classes(result_.shape)) classes_ = result_.shape[result_.shape.rank() - 1];
}

void TensorComparator::count_channels(int axis) {
  FACSIM_CHECK(axis >= 0 && axis < result_.shape.rank());
  channel_stride_ = 1;
  for (int inner = axis + 1; inner < result_.shape.rank(); ++inner) {
    channel_stride_ *= result_.shape[inner];
  }
  result_.channel_mismatches.assign(static_cast<size_t>(result_.shape[axis]), 0);
}

/// Differences of the elements into the histogram.
template <class T>
void TensorComparator::count_differences(const T* got, const T* expected, int64_t count) {
  if constexpr (sizeof(T) == 1) {
    // Every difference is inside the limit. Four histograms, so that runs of one difference do not
    // wait for their own counter.
    std::array<std::array<uint32_t, 2 * kLimit + 1>, 4> counts{};
    for (int64_t i = 0; i < count; ++i) {
      ++counts[static_cast<size_t>(i & 3)][static_cast<size_t>(got[i] - expected[i] + kLimit)];
    }
    for (const auto& part : counts) {
      for (size_t d = 0; d < part.size(); ++d) small_[d] += part[d];
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t d = difference(got[i], expected[i]);
    if (d >= -kLimit && d <= kLimit) {
      ++small_[static_cast<size_t>(d + kLimit)];
      continue;
    }
    ++(d > 0 ? above_ : below_);
    const uint64_t magnitude =
        d < 0 ? uint64_t{0} - static_cast<uint64_t>(d) : static_cast<uint64_t>(d);
    result_.max_difference = std::max(result_.max_difference, magnitude);
  }
}

template <class T>
void TensorComparator::add_first(const T* got, const T* expected, int64_t count,
                                 int64_t first_index) {
  for (int64_t i = 0; i < count && result_.first.size() < first_mismatches_; ++i) {
    const int64_t d = difference(got[i], expected[i]);
    if (d == 0) continue;
    result_.first.push_back({unflatten(first_index + i, result_.shape), first_index + i,
                             fmt::format("{}", +got[i]), fmt::format("{}", +expected[i]), d});
  }
}

template <class T>
void TensorComparator::add_channels(const T* got, const T* expected, int64_t count,
                                    int64_t first_index) {
  const auto channels = static_cast<int64_t>(result_.channel_mismatches.size());
  for (int64_t i = 0; i < count; ++i) {
    if (difference(got[i], expected[i]) == 0) continue;
    const int64_t channel = (first_index + i) / channel_stride_ % channels;
    ++result_.channel_mismatches[static_cast<size_t>(channel)];
  }
}

template <class T>
void TensorComparator::add_argmax(const T* got, const T* expected, int64_t count) {
  while (count > 0) {
    const int64_t n = std::min(count, classes_ - row_.position);
    const bool is_equal_row =
        n == classes_ && std::memcmp(got, expected, static_cast<size_t>(n) * sizeof(T)) == 0;
    for (int64_t i = 0; i < n && !is_equal_row; ++i) {
      const int64_t a = ordered(got[i]), b = ordered(expected[i]);
      const int64_t at = row_.position + i;
      if (at == 0 || a > row_.got_value) row_.got = at, row_.got_value = a;
      if (at == 0 || b > row_.expected_value) row_.expected = at, row_.expected_value = b;
    }
    row_.position += n;
    if (row_.position == classes_) {
      ++result_.argmax.images;
      result_.argmax.flips += is_equal_row || row_.got == row_.expected ? 0 : 1;
      row_ = {};
    }
    got += n;
    expected += n;
    count -= n;
  }
}

template <class T>
void TensorComparator::add_elements(const T* got, const T* expected, int64_t count) {
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t n = std::min(kBlock, count - begin);
    const T* a = got + begin;
    const T* b = expected + begin;
    if (std::memcmp(a, b, static_cast<size_t>(n) * sizeof(T)) == 0) {
      small_[static_cast<size_t>(kLimit)] += n;
      continue;
    }
    count_differences(a, b, n);
    add_first(a, b, n, result_.compared + begin);
    if (channel_stride_ > 0) add_channels(a, b, n, result_.compared + begin);
  }
  if (classes_ > 0) add_argmax(got, expected, count);
  result_.compared += count;
}

/// The public numbers from the counters.
void TensorComparator::summarize() {
  result_.mismatches = above_ + below_;
  result_.histogram.clear();
  if (below_ > 0) result_.histogram[-kLimit - 1] = below_;
  if (above_ > 0) result_.histogram[kLimit + 1] = above_;
  for (int64_t d = -kLimit; d <= kLimit; ++d) {
    const int64_t elements = small_[static_cast<size_t>(d + kLimit)];
    if (elements == 0) continue;
    result_.histogram[d] = elements;
    if (d == 0) continue;
    result_.mismatches += elements;
    result_.max_difference =
        std::max(result_.max_difference, static_cast<uint64_t>(d < 0 ? -d : d));
  }
}

void TensorComparator::add(const void* got, const void* expected, int64_t count) {
  with_dtype(result_.dtype, [&]<class T>() {
    add_elements(static_cast<const T*>(got), static_cast<const T*>(expected), count);
  });
  summarize();
}

void TensorComparator::add(const Tensor& got, const Tensor& expected) {
  FACSIM_CHECK(got.dtype() == result_.dtype && expected.dtype() == result_.dtype);
  FACSIM_CHECK(got.shape() == expected.shape());
  FACSIM_CHECK(got.shape().rank() == result_.shape.rank());
  add(got.raw(), expected.raw(), got.numel());
}

std::optional<StructuralDifference> compare_structure(const std::string& name, DType got_dtype,
                                                      const Shape& got_shape, DType expected_dtype,
                                                      const Shape& expected_shape) {
  using Kind = StructuralDifference::Kind;
  if (got_shape != expected_shape) {
    return StructuralDifference{name, Kind::shape, to_string(got_shape), to_string(expected_shape)};
  }
  if (got_dtype != expected_dtype) {
    return StructuralDifference{name, Kind::dtype, std::string(to_string(got_dtype)),
                                std::string(to_string(expected_dtype))};
  }
  return std::nullopt;
}

ComparisonReport compare(const NamedTensors& got, const NamedTensors& expected,
                         int first_mismatches) {
  using Kind = StructuralDifference::Kind;
  ComparisonReport report;
  for (const auto& [name, tensor] : got) {
    const Tensor* other = find(expected, name);
    if (other == nullptr) {
      report.structure.push_back({name, Kind::missing_in_expected, describe(tensor), ""});
    } else if (auto difference = compare_structure(name, tensor.dtype(), tensor.shape(),
                                                   other->dtype(), other->shape())) {
      report.structure.push_back(std::move(*difference));
    } else {
      TensorComparator comparator(name, tensor.dtype(), tensor.shape(), first_mismatches);
      comparator.add(tensor, *other);
      report.tensors.push_back(comparator.result());
    }
  }
  for (const auto& [name, tensor] : expected) {
    if (find(got, name) == nullptr) {
      report.structure.push_back({name, Kind::missing_in_got, "", describe(tensor)});
    }
  }
  return report;
}

}  // namespace facsim::backends
