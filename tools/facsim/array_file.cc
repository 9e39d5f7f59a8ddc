// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/array_file.h"

#include <fnmatch.h>

#include <algorithm>

#include <fmt/format.h>

#include "backends/text/did_you_mean.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

bool matches_any(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return fnmatch(glob.c_str(), name.c_str(), 0) == 0;
  });
}

void require_match(const char* option, const std::vector<std::string>& globs,
                   const std::vector<std::string>& names) {
  for (const std::string& glob : globs) {
    const bool used = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return fnmatch(glob.c_str(), name.c_str(), 0) == 0;
    });
    if (used) continue;
    const std::string hint = backends::did_you_mean_hint(glob, names);
    throw UsageError(fmt::format("{} \"{}\" matches no tensor{}{}", option, printable(glob),
                                 hint.empty() ? "" : "; ", printable(hint)));
  }
}

}  // namespace

ArrayFile::ArrayFile(const std::filesystem::path& file) : file_(file) {
  if (file.extension() == ".npz") {
    npz_.emplace(file);
    names_ = npz_->names();
  } else {
    names_ = {file.stem().string()};
  }
}

std::vector<backends::NamedShape> ArrayFile::shapes() const {
  std::vector<backends::NamedShape> shapes;
  for (const std::string& name : names_) {
    try {
      const backends::ArrayStream array = stream(name);
      shapes.push_back({name, array.dtype(), array.shape()});
    } catch (const Error& error) {
      if (is_single() || error.code() != ErrorCode::unsupported) throw;
    }
  }
  return shapes;
}

std::optional<backends::Provenance> ArrayFile::provenance() const {
  return npz_ ? backends::provenance_from_comment(npz_->comment()) : std::nullopt;
}

Tensor ArrayFile::read(const std::string& name) const {
  return npz_ ? npz_->read(name) : backends::read_npy(file_);
}

backends::ArrayStream ArrayFile::stream(const std::string& name) const {
  return npz_ ? npz_->stream(name) : backends::ArrayStream(file_);
}

bool NameFilter::selects(const std::string& name) const {
  return (layers.empty() || matches_any(layers, name)) && !matches_any(ignore, name);
}

void NameFilter::require_use(const std::vector<std::string>& names) const {
  require_match("--layers", layers, names);
  require_match("--ignore", ignore, names);
}

}  // namespace facsim::cli
