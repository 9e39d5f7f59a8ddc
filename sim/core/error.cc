// SPDX-License-Identifier: Apache-2.0
#include "sim/core/error.h"

#include <fmt/format.h>

#include "sim/core/check.h"

namespace facsim {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_json:
      return "bad_json";
    case ErrorCode::unknown_key:
      return "unknown_key";
    case ErrorCode::duplicate_key:
      return "duplicate_key";
    case ErrorCode::missing_key:
      return "missing_key";
    case ErrorCode::bad_value:
      return "bad_value";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::shape_mismatch:
      return "shape_mismatch";
    case ErrorCode::io:
      return "io";
  }
  return "?";
}

namespace {

std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string lines(const std::vector<ErrorInfo>& infos) {
  FACSIM_CHECK(!infos.empty());
  std::string out;
  for (const ErrorInfo& info : infos) {
    if (!out.empty()) out += '\n';
    out += to_string(info);
  }
  return out;
}

}  // namespace

std::string to_string(const ErrorInfo& info) {
  std::string out;
  if (!info.place.empty()) out.append(printable(info.place)).append(": ");
  out.append(printable(info.found));
  if (!info.expected.empty()) out.append("; expected ").append(printable(info.expected));
  if (!info.hint.empty()) out.append("; ").append(printable(info.hint));
  return out;
}

Error::Error(ErrorInfo info) : Error(std::vector<ErrorInfo>{std::move(info)}) {}

Error::Error(std::vector<ErrorInfo> infos)
    : std::runtime_error(lines(infos)), infos_(std::move(infos)) {}

}  // namespace facsim
