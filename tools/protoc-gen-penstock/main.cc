// protoc's plugin: `protoc --penstock_out=DIR a/b.proto` writes DIR/a/b.json.cc, and
// `protoc --penstock_out=routes:DIR a/b.proto` DIR/a/b.routes.cc.
#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <memory>
#include <string>

#include "tools/protoc-gen-penstock/json_codec.h"
#include "tools/protoc-gen-penstock/names.h"
#include "tools/protoc-gen-penstock/route_code.h"

namespace penstock::protoc_gen {
namespace {

class Generator : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override {
    const bool is_routes = parameter == "routes";
    if (!parameter.empty() && !is_routes) {
      *error = "unknown parameter: " + parameter + ": expected routes, or none";
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
