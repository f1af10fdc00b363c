#include "tools/protoc-gen-penstock/write_code.h"

#include <google/protobuf/compiler/cpp/names.h>

#include <map>
#include <string>
#include <string_view>

#include "tools/protoc-gen-penstock/field_code.h"
#include "tools/protoc-gen-penstock/names.h"

namespace penstock::protoc_gen {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::compiler::cpp::QualifiedClassName;
using google::protobuf::io::Printer;
using Variables = std::map<std::string, std::string>;

// Prints statements that write the value of the expression `value`.
void PrintWriteOne(const FieldDescriptor& field, std::string_view value, Printer& printer) {
  Variables variables = FieldVariables(field);
  variables["value"] = value;
  if (InfoOfField(field).is_null_value) return printer.Print("out.json.Null();\n");
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return printer.Print(variables, "if (!codec::WriteMessage($value$, out)) return false;\n");
    case FieldDescriptor::CPPTYPE_ENUM:
      return printer.Print(variables, "codec::WriteEnum(NameOf_$enum$($value$), $value$, out);\n");
    case FieldDescriptor::CPPTYPE_STRING:
      variables["write"] = field.type() == FieldDescriptor::TYPE_BYTES ? "WriteBytes" : "Write";
      return printer.Print(variables, "codec::$write$($value$, out);\n");
    default: return printer.Print(variables, "codec::Write($value$, out);\n");
  }
}

// The expression that says whether a field is written.
std::string IsWritten(const FieldDescriptor& field) {
  const std::string name = FieldVariables(field).at("name");
  if (field.is_repeated()) {
    const bool prints_empty = InfoOfField(field).is_repeated &&
                              protojson::InfoOf(field.containing_type()).is_list_response;
    return "from." + name + "_size() > 0" +
           (prints_empty ? " || out.options.print_empty_lists" : "");
  }
  if (field.has_presence()) return "from.has_" + name + "()";
  return "codec::IsSet(from." + name + "())";
}

void PrintWriteField(const FieldDescriptor& field, Printer& printer) {
  Variables variables = FieldVariables(field);
  variables["is_written"] = IsWritten(field);
  printer.Print(variables, "if ($is_written$) {\n  out.json.CommaKey($key$);\n");
  printer.Indent();
  if (field.is_map()) {
    printer.Print(variables,
                  "const bool written = codec::WriteMap(from.$name$(), out, "
                  "[&]([[maybe_unused]] const auto& value) {\n");
    printer.Indent();
    PrintWriteOne(*field.message_type()->map_value(), "value", printer);
    printer.Print("return true;\n");
    printer.Outdent();
    printer.Print("});\nif (!written) return false;\n");
  } else if (field.is_repeated()) {
    printer.Print(variables,
                  "out.json.BeginArray();\n"
                  "for ([[maybe_unused]] const auto& value : from.$name$()) {\n");
    printer.Indent();
    PrintWriteOne(field, "value", printer);
    printer.Outdent();
    printer.Print("}\nout.json.EndArray();\n");
  } else {
    PrintWriteOne(field, "from." + variables.at("name") + "()", printer);
  }
  printer.Outdent();
  printer.Print("}\n");
}

}  // namespace

void PrintWrite(const Descriptor& type, Printer& printer) {
  printer.Print(
      "bool Write_$id$(const ::google::protobuf::Message& message, CodecOutput& out) {\n"
      "  [[maybe_unused]] const auto& from = static_cast<const $class$&>(message);\n"
      "  out.json.BeginObject();\n",
      "id", Identifier(type.full_name()), "class", QualifiedClassName(&type));
  printer.Indent();
  for (int i = 0; i < type.field_count(); ++i) PrintWriteField(*type.field(i), printer);
  printer.Outdent();
  printer.Print("  out.json.EndObject();\n  return true;\n}\n\n");
}

}  // namespace penstock::protoc_gen
