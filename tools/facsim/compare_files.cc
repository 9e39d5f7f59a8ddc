// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/compare_files.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "sim/core/error.h"
#include "tools/facsim/interrupt.h"

namespace facsim::cli {

namespace {

using Kind = backends::StructuralDifference::Kind;

constexpr int64_t kPieceBytes = int64_t{1} << 19;         // of each side: both stay in the cache
constexpr int64_t kLargestTransposed = int64_t{1} << 26;  // elements that are read whole on a guess

std::string describe_array(const backends::NamedShape& array) {
  return fmt::format("{} {}", to_string(array.dtype), to_string(array.shape));
}

/// Both arrays from their beginning to their end.
void add_in_pieces(backends::ArrayStream& got, backends::ArrayStream& expected,
                   backends::TensorComparator& comparator) {
  const auto elements = kPieceBytes / static_cast<int64_t>(size_of(got.dtype()));
  Tensor a = Tensor::uninitialized(got.dtype(), {elements});
  Tensor b = Tensor::uninitialized(got.dtype(), {elements});
  while (true) {
    throw_if_interrupted();
    const int64_t count = got.read(a.raw(), elements);
    if (count == 0) break;
    expected.read(b.raw(), count);
    comparator.add(a.raw(), b.raw(), count);
  }
}

class FileComparison {
 public:
  FileComparison(const ArrayFile& got, const ArrayFile& expected, const MatchOptions& match,
                 const CompareOptions& options)
      : got_(got), expected_(expected), match_(match), options_(options) {}

  NetworkComparison run() {
    std::vector<std::string> names = got_.names();
    names.insert(names.end(), expected_.names().begin(), expected_.names().end());
    match_.filter.require_use(names);
    const std::vector<backends::NamedShape> ours = selected(got_), theirs = selected(expected_);
    const backends::NameMatching matching = match_names(ours, theirs);
    std::vector<backends::NameMatch> renamed;
    for (const backends::NameMatch& pair : matching.pairs) {
      compare_pair(find(ours, pair.ours), find(theirs, pair.theirs));
      const bool is_told = pair.ours != pair.theirs && !unnamed_;
      if (is_told) renamed.push_back(pair);
    }
    for (const std::string& name : matching.ours_only) {
      structure().push_back(
          {name, Kind::missing_in_expected, describe_array(find(ours, name)), ""});
    }
    for (const std::string& name : matching.theirs_only) {
      structure().push_back({name, Kind::missing_in_got, "", describe_array(find(theirs, name))});
    }
    refuse_unreadable(got_, ours);
    refuse_unreadable(expected_, theirs);
    result_.notes = name_notes(renamed, matching.suggestions);
    return std::move(result_);
  }

 private:
  std::vector<backends::StructuralDifference>& structure() { return result_.report.structure; }

  std::vector<backends::NamedShape> selected(const ArrayFile& file) const {
    std::vector<backends::NamedShape> arrays = file.shapes();
    std::erase_if(arrays, [&](const auto& array) { return !match_.filter.selects(array.name); });
    return arrays;
  }

  /// An array that no Tensor holds is not passed over in silence.
  void refuse_unreadable(const ArrayFile& file, const std::vector<backends::NamedShape>& arrays) {
    for (const std::string& name : file.names()) {
      const bool known = std::any_of(arrays.begin(), arrays.end(),
                                     [&](const auto& array) { return array.name == name; });
      if (!known && match_.filter.selects(name)) (void)file.read(name);
    }
  }

  static const backends::NamedShape& find(const std::vector<backends::NamedShape>& arrays,
                                          const std::string& name) {
    return *std::find_if(arrays.begin(), arrays.end(),
                         [&](const auto& array) { return array.name == name; });
  }

  backends::NameMatching match_names(const std::vector<backends::NamedShape>& ours,
                                     const std::vector<backends::NamedShape>& theirs) {
    std::map<std::string, std::string> given = match_.map();
    unnamed_ = ours.size() == 1 && theirs.size() == 1 && given.empty() &&
               (got_.is_single() || expected_.is_single());
    if (unnamed_) given = {{ours[0].name, theirs[0].name}};
    return backends::match_names(ours, theirs, given, match_.map_file);
  }

  void compare_pair(const backends::NamedShape& ours, const backends::NamedShape& theirs) {
    const std::string name = name_of(ours.name, theirs.name);
    const std::optional<Layout> layout = match_.layout();
    if (layout && theirs.shape.rank() == 4) {
      compare_transposed(name, ours, theirs, *layout);
      return;
    }
    auto different =
        backends::compare_structure(name, ours.dtype, ours.shape, theirs.dtype, theirs.shape);
    if (different) {
      structure().push_back(std::move(*different));
      if (ours.dtype == theirs.dtype) guess_layout(name, ours, theirs, std::nullopt);
      return;
    }
    backends::ArrayStream a = got_.stream(ours.name), b = expected_.stream(theirs.name);
    backends::TensorComparator comparator = comparator_of(name, ours);
    add_in_pieces(a, b, comparator);
    result_.report.tensors.push_back(comparator.result());
    const int64_t mismatches = comparator.result().mismatches;
    if (mismatches > 0) guess_layout(name, ours, theirs, mismatches);
  }

  /// A file's stem is no name of a tensor: that of the side that has one, else the files' if they
  /// are called alike.
  std::string name_of(const std::string& ours, const std::string& theirs) const {
    if (!unnamed_ || ours == theirs) return ours;
    if (!got_.is_single()) return ours;
    return expected_.is_single() ? "tensor" : theirs;
  }

  backends::TensorComparator comparator_of(const std::string& name,
                                           const backends::NamedShape& array) const {
    backends::TensorComparator comparator(name, array.dtype, array.shape,
                                          options_.first_mismatches);
    if (options_.page && array.shape.rank() > 1) comparator.count_channels(array.shape.rank() - 1);
    return comparator;
  }

  void compare_transposed(const std::string& name, const backends::NamedShape& ours,
                          const backends::NamedShape& theirs, Layout layout) {
    const Shape shape = in_layout(theirs.shape, layout, other(layout));
    auto different = backends::compare_structure(name, ours.dtype, ours.shape, theirs.dtype, shape);
    if (different) {
      structure().push_back(std::move(*different));
      return;
    }
    backends::TensorComparator comparator = comparator_of(name, ours);
    comparator.add(got_.read(ours.name),
                   in_layout(expected_.read(theirs.name), layout, other(layout)));
    result_.report.tensors.push_back(comparator.result());
  }

  void guess_layout(const std::string& name, const backends::NamedShape& ours,
                    const backends::NamedShape& theirs, std::optional<int64_t> as_they_are) {
    if (!may_be_transposed(ours.shape, theirs.shape)) return;
    if (ours.shape.numel() > kLargestTransposed) return;
    auto finding =
        find_layout(name, got_.read(ours.name), expected_.read(theirs.name), as_they_are);
    if (finding) result_.layouts.push_back(std::move(*finding));
  }

  const ArrayFile &got_, &expected_;
  const MatchOptions& match_;
  const CompareOptions& options_;
  bool unnamed_ = false;
  NetworkComparison result_;
};

}  // namespace

NetworkComparison compare_files(const ArrayFile& got, const ArrayFile& expected,
                                const MatchOptions& match, const CompareOptions& options) {
  return FileComparison(got, expected, match, options).run();
}

}  // namespace facsim::cli
