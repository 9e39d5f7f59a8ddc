// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "backends/profile/profile.h"
#include "backends/profile/profile_fields-internal.h"

namespace facsim::backends {

namespace {

using detail::Field;
using detail::FieldKind;
using Ordered = nlohmann::ordered_json;

Ordered schema_of(const Field& field);

void describe(const Field& field, Ordered& schema) {
  if (!field.description.empty()) schema["description"] = field.description;
  if (!field.example.empty()) {
    schema["description"] = field.description + ". Example: " + field.example;
  }
  if (field.default_value && !(field.kind == FieldKind::object)) {
    schema["default"] = Ordered(*field.default_value);
  }
}

/// Words that many fields share, written once under /definitions.
const char* shared_definition(const Field& field) {
  if (field.noun == "a rounding mode") return "rounding_mode";
  if (field.noun == "an overflow policy") return "overflow_policy";
  return nullptr;
}

/// Every optional member may also be null: in a profile that extends another, null deletes.
Ordered nullable(Ordered schema, const Field& field) {
  if (field.required) return schema;
  if (schema.contains("allOf")) {
    schema["anyOf"] = Ordered::array({schema["allOf"][0], {{"type", "null"}}});
    schema.erase("allOf");
  }
  if (schema.contains("enum")) schema["enum"].push_back(nullptr);
  if (schema.contains("type") && schema["type"].is_string()) {
    schema["type"] = Ordered::array({schema["type"], "null"});
  }
  return schema;
}

Ordered object_schema(const Field& field) {
  Ordered schema = {{"type", "object"}, {"additionalProperties", false}};
  Ordered properties = Ordered::object();
  Ordered required = Ordered::array();
  for (const Field& member : field.members) {
    const bool is_op = field.key == "ops";
    properties[member.key] =
        is_op ? Ordered{{"$ref", "#/definitions/op"}} : nullable(schema_of(member), member);
    if (member.required) required.push_back(member.key);
  }
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

Ordered map_schema(const Field& field) {
  return {
      {"type", "object"},
      {"maxProperties", 256},
      {"propertyNames", {{"pattern", "^" + field.pattern + "$"}}},
      {"additionalProperties", nullable(schema_of(field.members.front()), field.members.front())}};
}

Ordered word_schema(const Field& field) {
  Ordered schema = {{"type", "string"}, {"enum", Ordered::array()}};
  Ordered descriptions = Ordered::array();
  for (const detail::Word& word : field.words) {
    schema["enum"].push_back(word.word);
    descriptions.push_back(word.description);
  }
  schema["enumDescriptions"] = std::move(descriptions);  // read by editors
  return schema;
}

Ordered schema_of(const Field& field) {
  Ordered schema;
  switch (field.kind) {
    case FieldKind::object:
      schema = object_schema(field);
      break;
    case FieldKind::map:
      schema = map_schema(field);
      break;
    case FieldKind::list:
      schema = {{"type", "array"}, {"items", schema_of(field.members.front())}, {"maxItems", 256}};
      break;
    case FieldKind::one_of:
      schema["anyOf"] = Ordered::array();
      for (const Field& alternative : field.members) {
        schema["anyOf"].push_back(schema_of(alternative));
      }
      break;
    case FieldKind::integer:
      schema["type"] = "integer";
      if (field.min != std::numeric_limits<int64_t>::min()) {
        schema["minimum"] = field.min;
        schema["maximum"] = field.max;
      }
      break;
    case FieldKind::number:
      schema["type"] = "number";
      if (field.positive) schema["exclusiveMinimum"] = 0;
      break;
    case FieldKind::boolean:
      schema["type"] = "boolean";
      break;
    case FieldKind::word:
      if (const char* definition = shared_definition(field)) {
        // draft-07 ignores what stands beside a $ref, hence allOf.
        schema["allOf"] = Ordered::array({{{"$ref", std::string("#/definitions/") + definition}}});
      } else {
        schema = word_schema(field);
      }
      break;
    case FieldKind::text:
      schema["type"] = "string";
      if (!field.pattern.empty()) schema["pattern"] = "^" + field.pattern + "$";
      break;
    case FieldKind::null:
      schema["type"] = "null";
      break;
  }
  describe(field, schema);
  return schema;
}

/// Rules that ops and variants hold alike, written once: moved to /definitions/op_<key>.
void share_rules(Ordered& op, Ordered& definitions) {
  Ordered& variant = op["properties"]["variants"]["additionalProperties"]["properties"];
  for (auto& [key, schema] : op["properties"].items()) {
    if (!variant.contains(key) || variant[key] != schema) continue;
    const std::string name = "op_" + key;
    definitions[name] = std::move(schema);
    schema = {{"$ref", "#/definitions/" + name}};
    variant[key] = schema;
  }
}

}  // namespace

std::string profile_schema_json() {
  const Field& root = detail::profile_fields();
  Ordered schema = {
      {"$schema", "http://json-schema.org/draft-07/schema#"},
      {"title", "facsim backend profile, version " + std::to_string(detail::kSchemaVersion)}};
  schema.update(schema_of(root));
  Ordered op = nullable(schema_of(root.member("ops")->members.front()), {});
  op["description"] = "rules of this op, merged over the profile's; {} takes them as they are";
  const Field& rounding = *root.member("activation_bound_rounding");
  const Field& overflow = *root.member("output")->member("overflow");
  schema["definitions"] = {{"rounding_mode", word_schema(rounding)},
                           {"overflow_policy", word_schema(overflow)}};
  share_rules(op, schema["definitions"]);
  schema["definitions"]["op"] = std::move(op);
  return schema.dump(2) + "\n";
}

}  // namespace facsim::backends
