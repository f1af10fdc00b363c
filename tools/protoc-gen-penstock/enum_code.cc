#include "tools/protoc-gen-penstock/enum_code.h"

#include <algorithm>
#include <map>
#include <set>

#include "tools/protoc-gen-penstock/names.h"

namespace penstock::protoc_gen {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::Printer;

std::vector<const EnumDescriptor*> EnumsOf(const std::vector<const Descriptor*>& messages) {
  std::vector<const EnumDescriptor*> enums;
  for (const Descriptor* type : messages) {
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      if (field->is_map()) field = field->message_type()->map_value();
      const EnumDescriptor* found =
          field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM ? field->enum_type() : nullptr;
      if (found != nullptr && std::find(enums.begin(), enums.end(), found) == enums.end()) {
        enums.push_back(found);
      }
    }
  }
  return enums;
}

void PrintNameSwitch(const std::vector<std::pair<std::string, std::string>>& name_to_code,
                     std::string_view text, Printer& printer) {
  std::map<std::size_t, std::vector<const std::pair<std::string, std::string>*>> by_size;
  for (const auto& entry : name_to_code) by_size[entry.first.size()].push_back(&entry);
  const std::string variable(text);
  printer.Print("  switch ($text$.size()) {\n", "text", variable);
  for (const auto& [size, entries] : by_size) {
    printer.Print("    case $size$:\n", "size", std::to_string(size));
    for (const auto* entry : entries) {
      printer.Print("      if ($text$ == $name$) $code$\n", "text", variable, "name",
                    Literal(entry->first), "code", entry->second);
    }
    printer.Print("      break;\n");
  }
  printer.Print("    default: break;\n  }\n");
}

void PrintEnum(const EnumDescriptor& type, Printer& printer) {
  const std::string id = Identifier(type.full_name());
  printer.Print("bool ByName_$id$(std::string_view name, int* number) {\n", "id", id);
  std::vector<std::pair<std::string, std::string>> names;
  for (int i = 0; i < type.value_count(); ++i) {
    names.emplace_back(type.value(i)->name(),
                       "return *number = " + std::to_string(type.value(i)->number()) + ", true;");
  }
  PrintNameSwitch(names, "name", printer);
  printer.Print(
      "  return false;\n}\n\n"
      "[[maybe_unused]] std::string_view NameOf_$id$(int number) {\n"
      "  switch (number) {\n",
      "id", id);
  std::set<int> printed;  // an alias is read, but the first name of a number is written
  for (int i = 0; i < type.value_count(); ++i) {
    if (!printed.insert(type.value(i)->number()).second) continue;
    printer.Print("    case $number$: return $name$;\n", "number",
                  std::to_string(type.value(i)->number()), "name", Literal(type.value(i)->name()));
  }
  printer.Print("    default: return {};\n  }\n}\n\n");
}

}  // namespace penstock::protoc_gen
