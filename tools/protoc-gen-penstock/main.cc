// protoc's plugin: `protoc --penstock_out=DIR a/b.proto` writes DIR/a/b.json.cc.
#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <memory>
#include <string>

#include "tools/protoc-gen-penstock/json_codec.h"
#include "tools/protoc-gen-penstock/names.h"

namespace penstock::protoc_gen {
namespace {

// One part a file; what else is to be generated from a file is another part beside this one.
class Generator : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override {
    if (!parameter.empty()) {
      *error = "unknown parameter: " + parameter + ": there are none";
      return false;
    }
    if (file->syntax() != google::protobuf::FileDescriptor::SYNTAX_PROTO3) {
      *error = "expected syntax = \"proto3\"";
      return false;
    }
    const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> stream(
        context->Open(Stem(*file) + ".json.cc"));
    google::protobuf::io::Printer printer(stream.get(), '$');
    PrintJsonCodecs(*file, printer);
    return true;
  }

  std::uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace
}  // namespace penstock::protoc_gen

int main(int argc, char** argv) {
  const penstock::protoc_gen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
