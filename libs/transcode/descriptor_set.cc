#include "libs/transcode/descriptor_set.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "libs/base/status.h"
#include "libs/protojson/protojson.h"

namespace penstock::transcode {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::Message;

// Imports nested above this are refused: each is a step of recursion.
constexpr int kImportDepthMax = 200;

// Keeps the first thing that protobuf says about a file.
class FirstError final : public DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string&, const std::string& element, const Message*, ErrorLocation,
                const std::string& message) override {
    if (text_.empty()) text_ = fmt::format("{}: {}", element, message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Whether a file that a set leaves out may be taken from what is compiled in.
bool IsStandard(std::string_view name) {
  return name.starts_with("google/protobuf/") || name.starts_with("google/api/") ||
         name.starts_with("google/rpc/");
}

}  // namespace

// Adds files in the order of their imports.
class DescriptorSet::Builder {
 public:
  Builder(const FileDescriptorSet& files, DescriptorPool* pool) : pool_(*pool) {
    for (const FileDescriptorProto& file : files.file()) files_.emplace(file.name(), &file);
  }

  absl::StatusOr<const FileDescriptor*> Add(const std::string& name, int depth = 0) {
    if (const FileDescriptor* known = pool_.FindFileByName(name)) return known;
    if (depth > kImportDepthMax) {
      return absl::InvalidArgumentError(
          fmt::format("{}: files import each other, or too deeply", name));
    }
    FileDescriptorProto standard;
    const FileDescriptorProto* file = Find(name, &standard);
    if (file == nullptr) {
      return absl::InvalidArgumentError(fmt::format(
          "{}: is imported, but is not in the set (protoc needs --include_imports)", name));
    }
    for (const std::string& import : file->dependency()) {
      RETURN_IF_ERROR(Add(import, depth + 1).status());
    }
    FirstError error;
    const FileDescriptor* built = pool_.BuildFileCollectingErrors(*file, &error);
    if (built != nullptr) return built;
    return absl::InvalidArgumentError(fmt::format("{}: {}", name, error.text()));
  }

 private:
  const FileDescriptorProto* Find(const std::string& name, FileDescriptorProto* standard) const {
    const auto found = files_.find(name);
    if (found != files_.end()) return found->second;
    const FileDescriptor* compiled =
        IsStandard(name) ? DescriptorPool::generated_pool()->FindFileByName(name) : nullptr;
    if (compiled == nullptr) return nullptr;
    compiled->CopyTo(standard);
    return standard;
  }

  DescriptorPool& pool_;
  std::map<std::string, const FileDescriptorProto*> files_;
};

absl::StatusOr<std::shared_ptr<const DescriptorSet>> DescriptorSet::Build(
    const FileDescriptorSet& files) {
  std::shared_ptr<DescriptorSet> set(new DescriptorSet);
  Builder builder(files, &set->pool_);
  for (const FileDescriptorProto& proto : files.file()) {
    ASSIGN_OR_RETURN(const FileDescriptor* file, builder.Add(proto.name()));
    for (int i = 0; i < file->service_count(); ++i) set->services_.push_back(file->service(i));
  }
  return set;
}

absl::StatusOr<std::shared_ptr<const DescriptorSet>> DescriptorSet::Parse(
    const std::string& bytes) {
  FileDescriptorSet files;
  if (!files.ParseFromString(bytes)) {
    return absl::InvalidArgumentError(
        "is no FileDescriptorSet, as protoc --descriptor_set_out writes it");
  }
  return Build(files);
}

DescriptorSet::~DescriptorSet() { protojson::ForgetTypes(&pool_); }

absl::StatusOr<std::vector<Binding>> DescriptorSet::Bindings() const {
  ASSIGN_OR_RETURN(auto bindings, ReadBindings(services_));
  for (Binding& binding : bindings) binding.factory = &factory_;
  return bindings;
}

const google::protobuf::MethodDescriptor* DescriptorSet::FindMethod(
    std::string_view full_name) const {
  const std::size_t slash = full_name.find('/');
  if (slash == std::string_view::npos) return nullptr;
  const std::string_view service_name = full_name.substr(0, slash);
  for (const auto* service : services_) {
    if (service->full_name() != service_name) continue;
    return service->FindMethodByName(std::string(full_name.substr(slash + 1)));
  }
  return nullptr;
}

const Message* DescriptorSet::Prototype(const google::protobuf::Descriptor* type) const {
  return factory_.GetPrototype(type);
}

}  // namespace penstock::transcode
