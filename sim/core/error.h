// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace facsim {

/// What went wrong, in the few classes a caller can act on. `unsupported` means: valid, but not
/// done by this profile or this build; it is never silently replaced by something else.
enum class ErrorCode {
  bad_json,
  unknown_key,
  duplicate_key,
  missing_key,
  bad_value,
  unsupported,
  shape_mismatch,
  io,
};

std::string_view to_string(ErrorCode code);

/// One finding about input from outside. Every text field may be empty except `found`.
struct ErrorInfo {
  ErrorCode code = ErrorCode::bad_value;
  std::string place;     ///< file:line:column and JSON pointer, node or tensor name
  std::string found;     ///< what is there
  std::string expected;  ///< what would be right
  std::string hint;      ///< what to do (did you mean …)
};

/// "PLACE: FOUND; expected EXPECTED; HINT" on one line, control characters escaped.
std::string to_string(const ErrorInfo& info);

/// Thrown for bad input. Holds every finding of one reading (at least one); `what()` has a line for
/// each. The library never prints, exits or aborts on input.
class Error : public std::runtime_error {
 public:
  explicit Error(ErrorInfo info);
  explicit Error(std::vector<ErrorInfo> infos);
  const std::vector<ErrorInfo>& infos() const { return infos_; }
  ErrorCode code() const { return infos_.front().code; }

 private:
  std::vector<ErrorInfo> infos_;
};

}  // namespace facsim
