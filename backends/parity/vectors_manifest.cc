// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "backends/json/object_reader-internal.h"
#include "backends/parity/vectors_manifest-internal.h"

namespace facsim::backends::detail {

namespace {

using json::ObjectReader;
using Presence = ObjectReader::Presence;

constexpr std::string_view kFormat = "facsim-vectors-1";
constexpr size_t kMaxCases = 1000000;

bool is_case_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// True for a relative path that stays inside the folder.
bool stays_inside(const std::filesystem::path& path) {
  return !path.empty() && path.is_relative() &&
         std::none_of(path.begin(), path.end(), [](const auto& part) { return part == ".."; });
}

const std::vector<std::string>& dtype_words() {
  static const std::vector<std::string> words{"int8",  "uint8", "int16",  "uint16",
                                              "int32", "int64", "float32"};
  return words;
}

DType dtype_from(const std::string& word) {
  for (const DType dtype :
       {DType::int8, DType::uint8, DType::int16, DType::uint16, DType::int32, DType::int64}) {
    if (to_string(dtype) == word) return dtype;
  }
  return DType::float32;
}

class SuiteReader {
 public:
  SuiteReader(VectorSuite& suite, VectorGoldens goldens) : suite_(suite), goldens_(goldens) {}

  void read() {
    ObjectReader top(suite_.manifest, suite_.manifest.value, "", errors_);
    const std::string format = top.text("format");
    if (errors_.empty() && format != kFormat) {
      top.fail("format", "\"" + format + "\"", "\"" + std::string(kFormat) + "\"", "",
               ErrorCode::unsupported);
    }
    if (!errors_.empty()) throw Error(std::move(errors_));
    const auto cases = top.list("cases", kMaxCases, Presence::required);
    for (size_t i = 0; i < cases.size(); ++i) read_case(cases[i], json::child("/cases", i));
    if (errors_.empty() && suite_.cases.empty()) top.fail("cases", "no cases", "at least one");
    if (!errors_.empty()) throw Error(std::move(errors_));
    read_generator();
  }

 private:
  /// Suites of other makers say there what they like.
  void read_generator() {
    const auto generator = suite_.manifest.value.find("generator");
    if (generator == suite_.manifest.value.end() || !generator->is_object()) return;
    const auto text = [&](const char* key) {
      const auto member = generator->find(key);
      const bool is_text = member != generator->end() && member->is_string();
      return is_text ? member->template get<std::string>() : std::string();
    };
    suite_.generator_profile = text("profile");
    suite_.generator_fingerprint = text("profile_fingerprint");
  }

  void read_case(const json::Json& value, std::string pointer) {
    ObjectReader reader(suite_.manifest, value, pointer, errors_);
    VectorCase c;
    c.name = reader.text("name");
    if (reader.has("name") && !is_case_name(c.name)) {
      reader.fail("name", "\"" + c.name + "\"", "letters, digits and _");
    } else if (!names_.insert(c.name).second) {
      reader.fail("name", "a second case \"" + c.name + "\"", "", "", ErrorCode::duplicate_key);
    }
    c.family = reader.text("family");
    c.op = reader.text("op");
    c.profile = reader.text("profile");
    c.golden = reader.text("golden");
    c.npz = reader.text("npz");
    const std::filesystem::path npz(c.npz);
    if (reader.has("npz") && (!stays_inside(npz) || npz.filename() != npz)) {
      reader.fail("npz", "\"" + c.npz + "\"", "a file name in the suite's folder");
    }
    read_attributes(reader);
    read_arrays(reader, c);
    read_files(reader, c);
    const bool is_there = c.arrays.contains(c.golden);
    if (goldens_ == VectorGoldens::recorded && reader.has("golden") && !is_there) {
      reader.fail("golden", "\"" + c.golden + "\"", "the role of one of the arrays");
    }
    if (goldens_ == VectorGoldens::awaited && is_there) {
      reader.fail("golden", "an array \"" + c.golden + "\"", "none: the device is to make it");
    }
    c.pointer = std::move(pointer);
    suite_.cases.push_back(std::move(c));
  }

  void read_attributes(ObjectReader& reader) {
    const json::Json* attributes = reader.member("attrs", Presence::required);
    if (attributes != nullptr && !attributes->is_object()) {
      reader.fail("attrs", json::excerpt(*attributes), "an object");
    }
  }

  void read_arrays(ObjectReader& reader, VectorCase& c) {
    const json::Json* arrays = reader.member("arrays", Presence::required);
    if (arrays == nullptr) return;
    if (!arrays->is_object()) {
      reader.fail("arrays", json::excerpt(*arrays), "an object");
      return;
    }
    for (const auto& [role, value] : arrays->items()) {
      ObjectReader array(suite_.manifest, value, json::child(reader.pointer("arrays"), role),
                         errors_);
      VectorCase::Array described;
      described.key = array.text("key");
      described.dtype = dtype_from(array.word("dtype", dtype_words(), "an element type"));
      described.shape = Shape(array.integers("shape", {0, int64_t{1} << 40}, {0, 32}));
      c.arrays.emplace(role, std::move(described));
    }
  }

  void read_files(ObjectReader& reader, VectorCase& c) {
    const json::Json* files = reader.member("files", Presence::optional);
    if (files == nullptr) return;
    ObjectReader file_reader(suite_.manifest, *files, reader.pointer("files"), errors_);
    c.model = file_reader.text("model", "");
    if (!c.model.empty() && !stays_inside(c.model)) {
      file_reader.fail("model", "\"" + c.model + "\"", "a path inside the suite's folder");
    }
  }

  VectorSuite& suite_;
  VectorGoldens goldens_;
  std::vector<ErrorInfo> errors_;
  std::set<std::string> names_;
};

}  // namespace

VectorSuite read_vector_suite(const std::filesystem::path& folder, VectorGoldens goldens) {
  VectorSuite suite;
  suite.folder = folder;
  suite.manifest = json::read_json(folder / "manifest.json",
                                   {.max_bytes = uint64_t{256} << 20, .max_depth = 16});
  SuiteReader(suite, goldens).read();
  return suite;
}

}  // namespace facsim::backends::detail
