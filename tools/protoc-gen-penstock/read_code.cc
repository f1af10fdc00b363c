#include "tools/protoc-gen-penstock/read_code.h"

#include <google/protobuf/compiler/cpp/names.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/protoc-gen-penstock/enum_code.h"
#include "tools/protoc-gen-penstock/field_code.h"
#include "tools/protoc-gen-penstock/names.h"

namespace penstock::protoc_gen {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::compiler::cpp::QualifiedClassName;
using google::protobuf::io::Printer;
using Variables = std::map<std::string, std::string>;

// How a value that was read is put into its place. `set` takes what is in `value`; `slot` is an
// expression that makes and gives the place of a string or message.
struct Place {
  std::string set;
  std::string slot;
};

void PrintReadOne(const FieldDescriptor& field, const Place& place, Printer& printer) {
  Variables variables = FieldVariables(field);
  variables["set"] = place.set;
  variables["slot"] = place.slot;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return printer.Print(variables, "if (!codec::ReadMessage(in, $slot$)) return false;\n");
    case FieldDescriptor::CPPTYPE_STRING:
      variables["read"] = field.type() == FieldDescriptor::TYPE_BYTES ? "ReadBytes" : "Read";
      return printer.Print(variables, "if (!codec::$read$(in, $slot$)) return false;\n");
    case FieldDescriptor::CPPTYPE_ENUM:
      variables["read"] = InfoOfField(field).is_null_value ? "ReadNullValue" : "ReadEnum";
      return printer.Print(
          variables,
          "int number = 0;\n"
          "bool known = false;\n"
          "if (!codec::$read$(in, &ByName_$enum$, &number, &known)) return false;\n"
          "const auto value = static_cast<$type$>(number);\n"
          "if (known) $set$;\n");
    default:
      return printer.Print(variables,
                           "$type$ value{};\n"
                           "if (!codec::Read(in, &value)) return false;\n"
                           "$set$;\n");
  }
}

void PrintReadList(const FieldDescriptor& field, Printer& printer) {
  const Variables variables = FieldVariables(field);
  printer.Print(
      "if (!in.BeginArray()) return false;\n"
      "while (in.NextElement()) {\n");
  printer.Indent();
  PrintReadOne(field,
               {.set = "to.add_" + variables.at("name") + "(value)",
                .slot = "to.add_" + variables.at("name") + "()"},
               printer);
  printer.Outdent();
  printer.Print("}\nif (in.failed()) return false;\n");
}

void PrintReadMap(const FieldDescriptor& field, Printer& printer) {
  Variables variables = FieldVariables(field);
  variables["key_type"] = ScalarType(*field.message_type()->map_key());
  printer.Print(variables,
                "if (!in.BeginObject()) return false;\n"
                "while (in.NextKey(&name)) {\n"
                "  $key_type$ key{};\n"
                "  if (!codec::ReadKey(name, &key)) return in.Fail();\n"
                "  const auto [entry, is_new] = to.mutable_$name$()->try_emplace(std::move(key));\n"
                "  if (!is_new) return in.Fail();\n");
  printer.Indent();
  PrintReadOne(*field.message_type()->map_value(),
               {.set = "entry->second = value", .slot = "&entry->second"}, printer);
  printer.Outdent();
  printer.Print("}\nif (in.failed()) return false;\n");
}

void PrintReadField(const FieldDescriptor& field, Printer& printer) {
  const Variables variables = FieldVariables(field);
  printer.Print(variables, "case $index$: {  // $proto$\n");
  printer.Indent();
  if (field.is_repeated() || !InfoOfField(field).NullIsValue())
    printer.Print("if (in.TakeNull()) break;\n");
  if (variables.contains("oneof")) {
    printer.Print(variables,
                  "if (to.$oneof$_case() != 0 && to.$oneof$_case() != $class$::$oneof_case$) {\n"
                  "  return in.Fail();\n"
                  "}\n");
  }
  if (field.is_map()) {
    PrintReadMap(field, printer);
  } else if (field.is_repeated()) {
    PrintReadList(field, printer);
  } else {
    PrintReadOne(field,
                 {.set = "to.set_" + variables.at("name") + "(value)",
                  .slot = "to.mutable_" + variables.at("name") + "()"},
                 printer);
  }
  printer.Print("break;\n");
  printer.Outdent();
  printer.Print("}\n");
}

}  // namespace

void PrintFieldLookup(const Descriptor& type, Printer& printer) {
  const protojson::TypeInfo& info = protojson::InfoOf(&type);
  std::vector<std::pair<std::string, std::string>> names;
  // By declaration, as the order of by_name changes from run to run.
  for (const protojson::FieldInfo& field : info.fields) {
    const std::string& json_name = field.descriptor->json_name();
    const std::string& name = field.descriptor->name();
    const std::string code = "return " + std::to_string(field.index) + ";";
    if (info.Find(json_name) == &field) names.emplace_back(json_name, code);
    if (name != json_name && info.Find(name) == &field) names.emplace_back(name, code);
  }
  printer.Print("int FieldOf_$id$(std::string_view name) {\n", "id", Identifier(type.full_name()));
  PrintNameSwitch(names, "name", printer);
  printer.Print("  return -1;\n}\n\n");
}

void PrintRead(const Descriptor& type, Printer& printer) {
  printer.Print(
      "bool Read_$id$(JsonReader& in, ::google::protobuf::Message* message) {\n"
      "  [[maybe_unused]] auto& to = *static_cast<$class$*>(message);\n"
      "  if (!in.BeginObject()) return false;\n"
      "  codec::SeenFields<$count$> seen;\n"
      "  std::string_view name;\n"
      "  while (in.NextKey(&name)) {\n"
      "    const int field = FieldOf_$id$(name);\n"
      "    if (field < 0) {\n"
      "      if (!codec::SkipUnknown(in)) return false;\n"
      "      continue;\n"
      "    }\n"
      "    if (!seen.Mark(field)) return in.Fail();\n"
      "    switch (field) {\n",
      "id", Identifier(type.full_name()), "class", QualifiedClassName(&type), "count",
      std::to_string(type.field_count()));
  for (int i = 0; i < 3; ++i) printer.Indent();
  for (int i = 0; i < type.field_count(); ++i) PrintReadField(*type.field(i), printer);
  for (int i = 0; i < 3; ++i) printer.Outdent();
  printer.Print(
      "      default: break;\n"
      "    }\n"
      "  }\n"
      "  return !in.failed();\n"
      "}\n\n");
}

}  // namespace penstock::protoc_gen
