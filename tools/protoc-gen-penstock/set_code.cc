#include "tools/protoc-gen-penstock/set_code.h"

#include <google/protobuf/compiler/cpp/names.h>

#include <algorithm>
#include <map>
#include <string>

#include "libs/protojson/read_well_known.h"
#include "libs/protojson/type_info.h"
#include "tools/protoc-gen-penstock/field_code.h"
#include "tools/protoc-gen-penstock/names.h"
#include "tools/protoc-gen-penstock/read_code.h"

namespace penstock::protoc_gen {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::compiler::cpp::QualifiedClassName;
using google::protobuf::io::Printer;
using Variables = std::map<std::string, std::string>;

bool IsMessage(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

// A message whose fields are named one by one.
bool Descends(const FieldDescriptor& field) {
  return IsMessage(field) && !field.is_repeated() &&
         protojson::InfoOf(field.message_type()).form == protojson::Form::kPlain;
}

bool HasText(const FieldDescriptor& field) {
  return !field.is_map() &&
         (!IsMessage(field) || protojson::HasTextForm(protojson::InfoOf(field.message_type())));
}

void PrintStore(const FieldDescriptor& field, const Variables& variables, Printer& printer) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return printer.Print(variables, "return codec::ReadMessageText(text, to.$slot$());\n");
    case FieldDescriptor::CPPTYPE_ENUM:
      return printer.Print(
          variables,
          "int number = 0;\n"
          "if (!codec::ReadEnumText(text, &ByName_$enum$, &number)) return false;\n"
          "to.$set$(static_cast<$type$>(number));\n"
          "return true;\n");
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() == FieldDescriptor::TYPE_BYTES) {
        return printer.Print(variables, "return codec::ReadBytesText(text, to.$slot$());\n");
      }
      return printer.Print(variables, "return codec::ReadText(text, to.$slot$());\n");
    default:
      return printer.Print(variables,
                           "$type$ value{};\n"
                           "if (!codec::ReadText(text, &value)) return false;\n"
                           "to.$set$(value);\n"
                           "return true;\n");
  }
}

void PrintField(const FieldDescriptor& field, Printer& printer) {
  if (!Descends(field) && !HasText(field)) return;
  Variables variables = FieldVariables(field);
  const std::string& name = variables.at("name");
  variables["number"] = std::to_string(field.number());
  variables["set"] = (field.is_repeated() ? "add_" : "set_") + name;
  variables["slot"] = (field.is_repeated() ? "add_" : "mutable_") + name;
  printer.Print(variables, "case $index$: {  // $proto$\n");
  printer.Indent();
  if (Descends(field)) {
    variables["message"] = QualifiedClassName(field.message_type());
    variables["id"] = Identifier(field.message_type()->full_name());
    printer.Print(variables,
                  "if (path.is_last || HasOwnForm<$message$>() || set.Has(&to, $number$)) {\n"
                  "  return false;\n"
                  "}\n");
  } else if (field.is_repeated()) {
    printer.Print(variables, "if (!path.is_last || set.Has(&to, $number$)) return false;\n");
  } else {
    printer.Print(variables, "if (!path.is_last || !set.Mark(&to, $number$)) return false;\n");
  }
  if (variables.contains("oneof")) {
    printer.Print(variables,
                  "if (to.$oneof$_case() != 0 && to.$oneof$_case() != $class$::$oneof_case$) {\n"
                  "  return false;\n"
                  "}\n");
  }
  if (Descends(field)) {
    printer.Print(variables, "return Set_$id$(path.rest, text, *to.$slot$(), set);\n");
  } else {
    if (field.type() == FieldDescriptor::TYPE_STRING && !field.is_repeated()) {
      // The body may have said it, but not something else.
      printer.Print(variables, "if (!to.$name$().empty() && to.$name$() != text) return false;\n");
    }
    PrintStore(field, variables, printer);
  }
  printer.Outdent();
  printer.Print("}\n");
}

}  // namespace

std::vector<const Descriptor*> SettableTypes(const std::vector<const Descriptor*>& requests) {
  std::vector<const Descriptor*> types;
  const auto add = [&](const Descriptor* type) {
    if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
  };
  for (const Descriptor* type : requests) add(type);
  for (std::size_t i = 0; i < types.size(); ++i) {
    const Descriptor* type = types[i];
    for (int f = 0; f < type->field_count(); ++f) {
      if (Descends(*type->field(f))) add(type->field(f)->message_type());
    }
  }
  return types;
}

void PrintSetDeclaration(const Descriptor& type, Printer& printer) {
  printer.Print(
      "bool Set_$id$(std::string_view name, std::string_view text, $class$& to, SetFields& set);\n",
      "id", Identifier(type.full_name()), "class", QualifiedClassName(&type));
}

void PrintSet(const Descriptor& type, Printer& printer) {
  PrintFieldLookup(type, printer);
  printer.Print(
      "bool Set_$id$(std::string_view name, [[maybe_unused]] std::string_view text,\n"
      "              [[maybe_unused]] $class$& to, [[maybe_unused]] SetFields& set) {\n"
      "  const FieldName path(name);\n"
      "  switch (FieldOf_$id$(path.first)) {\n",
      "id", Identifier(type.full_name()), "class", QualifiedClassName(&type));
  printer.Indent();
  printer.Indent();
  for (int i = 0; i < type.field_count(); ++i) PrintField(*type.field(i), printer);
  printer.Outdent();
  printer.Outdent();
  printer.Print("    default: return false;\n  }\n}\n\n");
}

}  // namespace penstock::protoc_gen
