// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/shape.h"
#include "sim/core/types.h"

namespace facsim::backends {

struct NamedShape {
  std::string name;
  DType dtype = DType::int8;
  Shape shape;
};

/// One tensor under two names.
struct NameMatch {
  enum class How {
    given,    ///< the caller said so
    same,     ///< the names are equal
    trimmed,  ///< equal without what converters add: see `trimmed_name`
  };
  std::string ours, theirs;
  How how = How::same;
};

/// Which tensors of two sides are the same.
struct NameMatching {
  std::vector<NameMatch> pairs;  ///< in the order of our names
  std::vector<std::string> ours_only, theirs_only;
  /// Left-over tensors that agree in type, shape and order, and in how many there are: a guess for
  /// people to confirm, never used.
  std::vector<NameMatch> suggestions;
};

/// A name without what converters add to it, as often as it is there: an output number ":0"; the
/// endings /Relu /Relu6 /BiasAdd _quantized _quant /quant .quant _int8 _uint8; the beginnings
/// quant_ quantized_ quant/; a leading "/". Never empty.
std::string_view trimmed_name(std::string_view name);

/// Matches by `given` (ours -> theirs), then equal names, then trimmed names, then trimmed names
/// without the beginning or ending that all names of a side share ("ref_", up to a separator). The
/// last two need names that are unique on both sides, the same type and the same number of
/// elements. Error missing_key (place `map_place`) where `given` names a tensor that is not there,
/// with the nearest; duplicate_key where two of ours are given one of theirs.
NameMatching match_names(std::span<const NamedShape> ours, std::span<const NamedShape> theirs,
                         const std::map<std::string, std::string>& given,
                         std::string_view map_place);

/// A file of such names: {"ours": "theirs", …}, at most 65536. Error io, bad_json, duplicate_key or
/// bad_value with line and column.
std::map<std::string, std::string> read_name_map(const std::string& file);

}  // namespace facsim::backends
