// SPDX-License-Identifier: Apache-2.0
// A dialogue with a device as files: the rows to run on it, and what was answered so far.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/json/object_reader-internal.h"
#include "backends/parity/identify_state-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using json::Document;
using json::ObjectReader;
using StateJson = nlohmann::ordered_json;

constexpr const char* kIdentifyFormat = "facsim-identify-1";
const std::vector<std::string> kKnobWords = {"if_nothing_fits", "always"};
constexpr size_t kMostStateRows = 1'000'000;
constexpr json::IntegerRange kAnyInteger{INT64_MIN, INT64_MAX};

template <class T>
void put_column(StateJson& json, const char* name, const std::vector<T>& column) {
  if (!column.empty()) json[name] = column;
}

StateJson state_rows_json(const IdentifyRows& rows) {
  StateJson json = {{"acc", rows.acc},
                    {"shift_sign", rows.shift_is_left ? "left" : "right"},
                    {"output_bits", rows.output.bits},
                    {"output_signed", rows.output.is_signed}};
  put_column(json, "multiplier", rows.multiplier);
  put_column(json, "shift", rows.shift);
  put_column(json, "scale", rows.scale);
  put_column(json, "input_scale", rows.input_scale);
  put_column(json, "weight_scale", rows.weight_scale);
  put_column(json, "output_scale", rows.output_scale);
  put_column(json, "zero_point", rows.zero_point);
  put_column(json, "clamp_min", rows.clamp_min);
  put_column(json, "clamp_max", rows.clamp_max);
  if (!rows.integers.empty()) json["integers"] = rows.integers;
  if (!rows.reals.empty()) json["reals"] = rows.reals;
  if (rows.out.empty()) return json;
  std::vector<int64_t> out, refused;
  for (size_t i = 0; i < rows.out.size(); ++i) {
    out.push_back(rows.out[i].value_or(0));
    if (!rows.out[i]) refused.push_back(static_cast<int64_t>(i));
  }
  json["out"] = out;
  put_column(json, "refused", refused);
  return json;
}

/// Reads one set of rows.
IdentifyRows read_state_rows(const Document& document, const json::Json& value,
                             const std::string& pointer, std::vector<ErrorInfo>& errors) {
  ObjectReader reader(document, value, pointer, errors);
  const json::CountRange count{0, kMostStateRows};
  const ObjectReader::Integers none;
  const ObjectReader::Numbers no_numbers;
  IdentifyRows rows;
  rows.acc = reader.integers("acc", kAnyInteger, count);
  const std::string signs[] = {"left", "right"};
  rows.shift_is_left = reader.word("shift_sign", signs, "a sign") == "left";
  rows.output.bits = static_cast<int>(reader.integer("output_bits", {2, 64}));
  rows.output.is_signed = reader.boolean("output_signed");
  if (!rows.output.is_signed && rows.output.bits > 63) {
    reader.fail("output_bits", "64 without a sign", "at most 63");
  }
  rows.multiplier = reader.integers("multiplier", kAnyInteger, count, none);
  rows.shift = reader.integers("shift", kAnyInteger, count, none);
  rows.scale = reader.numbers("scale", count, no_numbers);
  rows.input_scale = reader.numbers("input_scale", count, no_numbers);
  rows.weight_scale = reader.numbers("weight_scale", count, no_numbers);
  rows.output_scale = reader.numbers("output_scale", count, no_numbers);
  rows.zero_point = reader.integers("zero_point", kAnyInteger, count, none);
  rows.clamp_min = reader.integers("clamp_min", kAnyInteger, count, none);
  rows.clamp_max = reader.integers("clamp_max", kAnyInteger, count, none);
  const auto further = [&](const char* key, auto&& read) {
    const json::Json* all = reader.member(key, ObjectReader::Presence::optional);
    if (all == nullptr) return;
    ObjectReader members(document, *all, reader.pointer(key), errors);
    if (!all->is_object()) return;
    for (const auto& [name, column] : all->items()) read(members, name);
    members.finish();
  };
  further("integers", [&](ObjectReader& members, const std::string& name) {
    rows.integers[name] = members.integers(name, kAnyInteger, count);
  });
  further("reals", [&](ObjectReader& members, const std::string& name) {
    rows.reals[name] = members.numbers(name, count);
  });
  for (const int64_t out : reader.integers("out", kAnyInteger, count, none))
    rows.out.push_back(out);
  for (const int64_t row :
       reader.integers("refused", {0, static_cast<int64_t>(kMostStateRows)}, count, none)) {
    if (row < static_cast<int64_t>(rows.out.size())) {
      rows.out[static_cast<size_t>(row)].reset();
    } else {
      reader.fail("refused", std::to_string(row), "a row of out");
    }
  }
  reader.finish();
  return rows;
}

Tensor column_tensor(const std::vector<int64_t>& column) {
  return Tensor::from<int64_t>(Shape{static_cast<int64_t>(column.size())}, column);
}
Tensor column_tensor(const std::vector<float>& column) {
  return Tensor::from<float>(Shape{static_cast<int64_t>(column.size())}, column);
}

}  // namespace

namespace detail {

void put_asked(nlohmann::ordered_json& json, const IdentifyAsked& asked) {
  json["seed"] = asked.seed;
  json["knobs"] = asked.knobs == IdentifyOptions::Knobs::always ? kKnobWords[1] : kKnobWords[0];
  if (!asked.space.empty()) json["space"] = asked.space;
  if (asked.limits.acc) json["acc_range"] = {asked.limits.acc->first, asked.limits.acc->second};
  if (asked.limits.keeps_parameters) json["keep_scales"] = true;
}

IdentifyAsked read_asked(json::ObjectReader& reader) {
  IdentifyAsked asked;
  // Files of older versions do not say.
  asked.seed = static_cast<uint64_t>(reader.integer("seed", {0, INT64_MAX}, int64_t{1}));
  if (reader.has("knobs") && reader.word("knobs", kKnobWords, "when") == kKnobWords[1]) {
    asked.knobs = IdentifyOptions::Knobs::always;
  }
  asked.space = reader.text("space", "");
  if (reader.has("acc_range")) {
    const auto range = reader.integers("acc_range", kAnyInteger, {2, 2});
    if (range.size() == 2) asked.limits.acc = {range[0], range[1]};
    if (range.size() == 2 && range[0] > range[1]) {
      reader.fail("acc_range", fmt::format("{} above {}", range[0], range[1]), "lowest, highest");
    }
  }
  asked.limits.keeps_parameters = reader.boolean("keep_scales", false);
  return asked;
}

}  // namespace detail

void write_identify_state(const std::filesystem::path& file, const IdentifyState& state) {
  StateJson json = {{"format", kIdentifyFormat},
                    {"op", state.op},
                    {"round", state.round},
                    {"suggested", state.suggested},
                    {"pending", state_rows_json(state.pending)},
                    {"rows", state_rows_json(state.rows)}};
  detail::put_asked(json, state.asked);
  write_file_atomically(file, json.dump() + "\n");
}

IdentifyState read_identify_state(const std::filesystem::path& file) {
  json::ReadOptions options;
  options.max_bytes = uint64_t{1} << 28;
  const Document document = json::read_json(file, options);
  std::vector<ErrorInfo> errors;
  ObjectReader reader(document, document.value, "", errors);
  IdentifyState state;
  const std::string formats[] = {kIdentifyFormat};
  reader.word("format", formats, "a format");
  state.op = reader.text("op");
  constexpr int64_t kMany = int64_t{1} << 40;
  state.round = reader.integer("round", {0, kMany});
  state.suggested = reader.integer("suggested", {0, kMany});
  state.asked = detail::read_asked(reader);
  for (const char* key : {"pending", "rows"}) {
    const json::Json* rows = reader.member(key, ObjectReader::Presence::required);
    if (rows == nullptr) continue;
    (key[0] == 'p' ? state.pending : state.rows) =
        read_state_rows(document, *rows, reader.pointer(key), errors);
  }
  reader.finish();
  if (!errors.empty()) throw Error(std::move(errors));
  detail::check_identify_rows(state.rows, true);
  if (state.pending.size() > 0) {
    detail::check_identify_rows(state.pending, false);
    detail::require_same_columns(state.rows, state.pending, document.place("/pending"));
  }
  return state;
}

void answer(IdentifyState& state, const std::vector<int64_t>& out,
            const std::set<size_t>& refused) {
  const size_t wanted = state.pending.size();
  if (out.size() != wanted) {
    throw Error({ErrorCode::shape_mismatch, "answers", fmt::format("{} values", out.size()),
                 fmt::format("{}, one per suggested row", wanted), ""});
  }
  const sim::IntType type = state.pending.output;
  state.pending.out.clear();
  for (size_t i = 0; i < out.size(); ++i) {
    if (refused.contains(i)) {
      state.pending.out.push_back(std::nullopt);
      continue;
    }
    if (out[i] < type.min() || out[i] > type.max()) {
      throw Error({ErrorCode::bad_value, fmt::format("answers, row {}", i),
                   fmt::format("{}", out[i]), fmt::format("a code of {}", sim::to_string(type)),
                   ""});
    }
    state.pending.out.push_back(out[i]);
  }
  for (const size_t row : refused) {
    if (row < wanted) continue;
    throw Error({ErrorCode::bad_value, "refused rows", fmt::format("{}", row),
                 fmt::format("a row below {}", wanted), ""});
  }
  detail::append_rows(state.rows, state.pending);
  state.pending = {};
}

void write_identify_rows(const std::filesystem::path& folder, const IdentifyRows& rows) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw Error({ErrorCode::io, folder.string(), error.message(), "a folder to write to", ""});
  }
  const auto write = [&](const std::string& name, const auto& column) {
    if (!column.empty()) write_npy(folder / (name + ".npy"), column_tensor(column));
  };
  write("acc", rows.acc);
  write("multiplier", rows.multiplier);
  write("shift", rows.shift);
  write("scale", rows.scale);
  write("input_scale", rows.input_scale);
  write("weight_scale", rows.weight_scale);
  write("output_scale", rows.output_scale);
  write("zero_point", rows.zero_point);
  write("clamp_min", rows.clamp_min);
  write("clamp_max", rows.clamp_max);
  for (const auto& [name, column] : rows.integers) write(detail::file_stem_of(name), column);
  for (const auto& [name, column] : rows.reals) write(detail::file_stem_of(name), column);
}

}  // namespace facsim::backends
