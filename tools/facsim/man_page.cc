// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/facsim/command_tree.h"

namespace facsim::cli {

namespace {

/// Text as it is: no roff escapes, no requests, no hyphens made of minus signs.
std::string escaped(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (line_begins && (byte == '.' || byte == '\'')) out += "\\&";
    line_begins = byte == '\n';
    if (byte == '\\') {
      out += "\\e";
    } else if (byte == '-') {
      out += "\\-";
    } else if (byte < 0x80) {
      out += text[i];
    } else {  // a code point of UTF-8
      const int more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
      uint32_t point = byte & (0x3f >> more);
      for (int k = 0; k < more && i + 1 < text.size(); ++k) {
        point = point << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f);
      }
      out += fmt::format("\\[u{:04X}]", point);
    }
  }
  return out;
}

std::string option_lines(const std::vector<OptionText>& options) {
  std::string out;
  for (const OptionText& option : options) {
    std::string names;
    for (const std::string& name : option.names) {
      names += (names.empty() ? "\\fB" : ", \\fB") + escaped(name) + "\\fR";
    }
    if (!option.value.empty() && !option.is_argument()) {
      names += " \\fI" + escaped(option.value) + "\\fR";
    }
    out += ".TP\n" + names + "\n" + escaped(option.description);
    if (!option.words.empty()) {
      out += escaped(fmt::format(" (one of {})", fmt::join(option.words, ", ")));
    }
    out += option.required ? " (required)\n" : "\n";
  }
  return out;
}

std::string example_lines(const CommandText& command) {
  const std::vector<std::string> examples = command.examples();
  if (examples.empty()) return "";
  std::string out = ".PP\nExamples:\n.PP\n.nf\n.RS\n";
  for (const std::string& example : examples) out += escaped(example) + "\n";
  return out + ".RE\n.fi\n";
}

std::string sections(const CommandText& command) {
  std::string out = ".SS " + escaped(command.path) + "\n" + escaped(command.summary) + ".\n";
  out += option_lines(command.options) + example_lines(command);
  for (const CommandText& nested : command.nested) out += sections(nested);
  return out;
}

}  // namespace

std::string man_page(const CommandText& root, const std::string& version) {
  std::string out = ".TH FACSIM 1 \"\" \"facsim " + escaped(version) + "\" \"User Commands\"\n";
  out += ".SH NAME\nfacsim \\- " + escaped(root.summary.substr(0, root.summary.find('.'))) + "\n";
  out += ".SH SYNOPSIS\n.B facsim\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n";
  out += ".SH DESCRIPTION\n" + escaped(root.summary) + "\n" + example_lines(root);
  out += ".SH GLOBAL OPTIONS\n" + option_lines(root.options);
  out += ".SH COMMANDS\n";
  for (const CommandText& command : root.nested) out += sections(command);
  out += ".SH EXIT STATUS\n";
  const std::pair<const char*, const char*> codes[] = {
      {"0", "done; everything compared was equal"},
      {"1", "a difference, a failed case or a lint finding"},
      {"2", "the command line itself"},
      {"3", "invalid input: a profile, network or tensor file"},
      {"4", "unsupported: valid, but not done by this profile or build"},
      {"5", "an internal error"},
      {"130", "interrupted"}};
  for (const auto& [code, meaning] : codes) {
    out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", code, meaning);
  }
  out +=
      ".SH ENVIRONMENT\n"
      ".TP\n\\fBFACSIM_PROFILE_PATH\\fR\nFolders with profiles, separated by colons, searched "
      "before the shipped ones.\n"
      ".TP\n\\fBNO_COLOR\\fR\nIf it is set and not empty, \\-\\-color auto means never.\n";
  return out;
}

}  // namespace facsim::cli
