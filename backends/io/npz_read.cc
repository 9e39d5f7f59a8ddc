// SPDX-License-Identifier: Apache-2.0
#include <zip.h>

#include <algorithm>
#include <memory>
#include <set>

#include "backends/io/file-internal.h"
#include "backends/io/npy.h"
#include "backends/io/npy_codec-internal.h"
#include "backends/io/npy_stream-internal.h"

namespace facsim::backends {

namespace detail {

/// A member of an archive (not in the anonymous namespace: NpzFile::Impl holds them).
struct NpzEntry {
  std::string name;   ///< without ".npy"
  std::string place;  ///< archive!member
  uint64_t size = 0;
};

}  // namespace detail

namespace {

constexpr int64_t kMaxMembers = 65536;
constexpr uint64_t kMaxTotalBytes = uint64_t{4} << 30;

using Archive = std::unique_ptr<zip_t, decltype(&zip_discard)>;

[[noreturn]] void fail(ErrorCode code, std::string place, std::string found,
                       std::string expected = "") {
  throw Error({code, std::move(place), std::move(found), std::move(expected), ""});
}

[[noreturn]] void fail_open(const std::string& place, int zip_error) {
  if (zip_error == ZIP_ER_EXISTS) {
    fail(ErrorCode::duplicate_key, place, "two members of the same name");
  }
  zip_error_t error;
  zip_error_init_with_code(&error, zip_error);
  const std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  fail(ErrorCode::bad_value, place, "not a readable zip archive: " + text);
}

[[noreturn]] void fail_absent(const std::string& place, std::string_view name) {
  fail(ErrorCode::missing_key, place, "no array \"" + std::string(name) + "\"");
}

/// The array's name of a member: its name without ".npy".
std::string array_name(const char* member, const std::string& place) {
  const std::string name = member == nullptr ? "" : member;
  constexpr std::string_view kSuffix = ".npy";
  if (!name.ends_with(kSuffix)) {
    fail(ErrorCode::bad_value, place, "member \"" + name + "\"", "a name that ends in .npy");
  }
  std::string array = name.substr(0, name.size() - kSuffix.size());
  if (!detail::is_array_name(array)) {
    fail(ErrorCode::bad_value, place, "member \"" + name + "\"", "a name without .. and \\");
  }
  return array;
}

/// Size and method of a member, checked before anything of it is read.
zip_stat_t checked_stat(zip_t* archive, zip_uint64_t index, const std::string& place) {
  zip_stat_t stat;
  zip_stat_init(&stat);
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (zip_stat_index(archive, index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
    fail(ErrorCode::bad_value, place, zip_strerror(archive));
  }
  if (stat.encryption_method != ZIP_EM_NONE) {
    fail(ErrorCode::unsupported, place, "encrypted member");
  }
  if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
    fail(ErrorCode::unsupported, place, "compression method " + std::to_string(stat.comp_method),
         "stored or deflated");
  }
  constexpr uint64_t kMaxMemberBytes = detail::kMaxArrayBytes + 65536 + 12;
  if (stat.size > kMaxMemberBytes) {
    fail(ErrorCode::bad_value, place, "member of " + std::to_string(stat.size) + " bytes",
         "at most " + std::to_string(kMaxMemberBytes));
  }
  // Deflate cannot expand by more than 1032:1, so a larger claim is a lie.
  if (stat.size / detail::kLargestDeflateExpansion > stat.comp_size) {
    fail(ErrorCode::bad_value, place,
         std::to_string(stat.size) + " bytes claimed of " + std::to_string(stat.comp_size) +
             " compressed");
  }
  return stat;
}

/// Checks name, size and method of every member.
std::vector<detail::NpzEntry> list_entries(zip_t* archive, const std::string& place) {
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  if (count > kMaxMembers) {
    fail(ErrorCode::bad_value, place, std::to_string(count) + " members",
         "at most " + std::to_string(kMaxMembers));
  }
  std::vector<detail::NpzEntry> entries;
  std::set<std::string> names;
  uint64_t total = 0;
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
    const char* raw_name = zip_get_name(archive, i, ZIP_FL_ENC_GUESS);
    detail::NpzEntry entry{array_name(raw_name, place), place + "!" + raw_name, 0};
    if (!names.insert(entry.name).second) {
      fail(ErrorCode::duplicate_key, entry.place, "two members of the same name");
    }
    entry.size = checked_stat(archive, i, entry.place).size;
    total += entry.size;
    if (total > kMaxTotalBytes) {
      fail(ErrorCode::bad_value, entry.place,
           "members of more than " + std::to_string(kMaxTotalBytes) + " bytes in all");
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

struct NpzFile::Impl {
  explicit Impl(const std::filesystem::path& file) : place(file.string()) {
    detail::RegularFile in = detail::open_regular_file(file);
    if (in.size > kMaxTotalBytes) {
      fail(ErrorCode::io, place, "file of " + std::to_string(in.size) + " bytes",
           "at most " + std::to_string(kMaxTotalBytes));
    }
    int code = 0;
    archive.reset(zip_fdopen(in.fd.get(), ZIP_CHECKCONS, &code));
    if (!archive) fail_open(place, code);
    in.fd.release();  // zip_fdopen closed it
    index();
  }

  Impl(std::string_view bytes, std::string where) : place(std::move(where)) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    if (source != nullptr) {
      archive.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
      if (!archive) zip_source_free(source);
    }
    const int code = zip_error_code_zip(&error);
    zip_error_fini(&error);
    if (!archive) fail_open(place, code);
    index();
  }

  void index() {
    entries = list_entries(archive.get(), place);
    for (const detail::NpzEntry& entry : entries) names.push_back(entry.name);
  }

  /// What reads a member's bytes from its start.
  detail::ReadBytes reader(size_t i) const {
    const detail::NpzEntry& entry = entries[i];
    const std::shared_ptr<zip_file_t> member(zip_fopen_index(archive.get(), i, 0), [](auto* file) {
      if (file != nullptr) zip_fclose(file);
    });
    if (!member) fail(ErrorCode::bad_value, entry.place, zip_strerror(archive.get()));
    return [member, place = entry.place](void* buffer, size_t count) {
      size_t done = 0;
      while (done < count) {
        const zip_int64_t got =
            zip_fread(member.get(), static_cast<char*>(buffer) + done, count - done);
        if (got < 0) fail(ErrorCode::bad_value, place, zip_file_strerror(member.get()));
        if (got == 0) break;
        done += static_cast<size_t>(got);
      }
      return done;
    };
  }

  /// Calls decode(read, size, place) on a member's bytes and makes sure that they end there.
  template <class Decode>
  auto decode(size_t i, Decode decode_bytes) const {
    const detail::NpzEntry& entry = entries[i];
    const detail::ReadBytes read = reader(i);
    auto result = decode_bytes(read, entry.size, entry.place);
    detail::require_end(read, entry.size, entry.place);
    return result;
  }

  size_t find(std::string_view name) const {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) fail_absent(place, name);
    return static_cast<size_t>(found - names.begin());
  }

  NamedTensors read_all() const {
    NamedTensors tensors;
    for (size_t i = 0; i < entries.size(); ++i) {
      tensors.emplace_back(names[i], decode(i, detail::decode_npy));
    }
    return tensors;
  }

  std::string place;
  Archive archive{nullptr, &zip_discard};
  std::vector<detail::NpzEntry> entries;
  std::vector<std::string> names;
};

NpzFile::NpzFile(const std::filesystem::path& file) : impl_(std::make_unique<Impl>(file)) {}
NpzFile::NpzFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NpzFile::~NpzFile() = default;
NpzFile::NpzFile(NpzFile&&) noexcept = default;
NpzFile& NpzFile::operator=(NpzFile&&) noexcept = default;

const std::vector<std::string>& NpzFile::names() const { return impl_->names; }

Tensor NpzFile::read(std::string_view name) const {
  return impl_->decode(impl_->find(name), detail::decode_npy);
}

ArrayStream NpzFile::stream(std::string_view name) const {
  const size_t i = impl_->find(name);
  const detail::NpzEntry& entry = impl_->entries[i];
  return ArrayStream(
      std::make_unique<ArrayStream::Impl>(impl_->reader(i), entry.size, entry.place));
}

std::vector<double> NpzFile::read_float64(std::string_view name) const {
  return impl_->decode(impl_->find(name), detail::decode_npy_float64);
}

NamedTensors NpzFile::read_all() const { return impl_->read_all(); }

std::string NpzFile::comment() const {
  int size = 0;
  const char* text = zip_get_archive_comment(impl_->archive.get(), &size, ZIP_FL_ENC_RAW);
  return text == nullptr ? "" : std::string(text, static_cast<size_t>(size));
}

NpzFile NpzFile::from_bytes(std::string_view bytes, std::string place) {
  return NpzFile(std::make_unique<Impl>(bytes, std::move(place)));
}

NamedTensors read_npz(const std::filesystem::path& file) { return NpzFile(file).read_all(); }

const Tensor& member(const NamedTensors& tensors, std::string_view name, std::string_view file) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  if (found == tensors.end()) {
    fail_absent(std::string(file), name);
  }
  return found->second;
}

}  // namespace facsim::backends
