// protoc's plugin: `protoc --penstock_out=DIR a/b.proto` writes DIR/a/b.json.cc,
// `protoc --penstock_out=routes:DIR a/b.proto` DIR/a/b.routes.cc, and
// `protoc --penstock_out=openapi,base=FILE,version=1.2.3:DIR a/b.proto c/d.proto` DIR/openapi.json.
#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "tools/protoc-gen-penstock/json_codec.h"
#include "tools/protoc-gen-penstock/names.h"
#include "tools/protoc-gen-penstock/openapi.h"
#include "tools/protoc-gen-penstock/route_code.h"

namespace penstock::protoc_gen {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::compiler::GeneratorContext;

// The description of the API of all `files`, after the parameters that follow `openapi`.
absl::Status WriteOpenApi(const std::vector<const FileDescriptor*>& files,
                          const std::vector<std::pair<std::string, std::string>>& parameters,
                          GeneratorContext& context) {
  std::string base = "{}";
  std::string version = "0";
  for (const auto& [name, value] : parameters) {
    if (name == "version") {
      version = value;
    } else if (name == "base") {
      std::ifstream file(value);
      if (!file) return FieldError("base", "cannot be read: " + value);
      base.assign(std::istreambuf_iterator<char>(file), {});
    } else if (name != "openapi") {
      return FieldError(name, "unknown parameter: expected base or version after openapi");
    }
  }
  ASSIGN_OR_RETURN(const std::string document, OpenApiDocument(files, base, version));
  const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> stream(
      context.Open("openapi.json"));
  google::protobuf::io::Printer printer(stream.get(), '$');
  printer.PrintRaw(document);
  return absl::OkStatus();
}

class Generator : public google::protobuf::compiler::CodeGenerator {
 public:
  bool GenerateAll(const std::vector<const FileDescriptor*>& files, const std::string& parameter,
                   GeneratorContext* context, std::string* error) const override {
    std::vector<std::pair<std::string, std::string>> parameters;
    google::protobuf::compiler::ParseGeneratorParameter(parameter, &parameters);
    if (parameters.empty() || parameters.front().first != "openapi") {
      return CodeGenerator::GenerateAll(files, parameter, context, error);
    }
    const absl::Status written = WriteOpenApi(files, parameters, *context);
    if (!written.ok()) *error = std::string(written.message());
    return written.ok();
  }

  bool Generate(const FileDescriptor* file, const std::string& parameter, GeneratorContext* context,
                std::string* error) const override {
    const bool is_routes = parameter == "routes";
    if (!parameter.empty() && !is_routes) {
      *error = "unknown parameter: " + parameter + ": expected routes, openapi, or none";
      return false;
    }
    if (file->syntax() != google::protobuf::FileDescriptor::SYNTAX_PROTO3) {
      *error = "expected syntax = \"proto3\"";
      return false;
    }
    const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> stream(
        context->Open(Stem(*file) + (is_routes ? ".routes.cc" : ".json.cc")));
    google::protobuf::io::Printer printer(stream.get(), '$');
    if (!is_routes) {
      PrintJsonCodecs(*file, printer);
      return true;
    }
    const absl::Status printed = PrintRoutes(*file, printer);
    if (!printed.ok()) *error = std::string(printed.message());
    return printed.ok();
  }

  std::uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace
}  // namespace penstock::protoc_gen

int main(int argc, char** argv) {
  const penstock::protoc_gen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
