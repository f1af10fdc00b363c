// Services whose descriptors come at run time.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/transcode/route_table.h"

namespace penstock::transcode {

// The types of one set of files, in a pool of their own: nothing that is compiled in, nor another
// set, can be in conflict with them. Immutable, thread-safe. Must outlive every table, message and
// descriptor that comes from it.
class DescriptorSet {
 public:
  // Takes the files in any order. What the set leaves out of the well-known types and the
  // google.api annotations comes from those that are compiled in. INVALID_ARGUMENT naming the file:
  // an import that is missing, files that import each other, what protobuf's own checks refuse.
  static absl::StatusOr<std::shared_ptr<const DescriptorSet>> Build(
      const google::protobuf::FileDescriptorSet& files);

  // The same from the bytes of a FileDescriptorSet, as `protoc --descriptor_set_out` writes it.
  static absl::StatusOr<std::shared_ptr<const DescriptorSet>> Parse(const std::string& bytes);

  ~DescriptorSet();
  DescriptorSet(const DescriptorSet&) = delete;
  DescriptorSet& operator=(const DescriptorSet&) = delete;

  // The bindings of all services of the given files, by the order of files. INVALID_ARGUMENT for a
  // malformed rule.
  absl::StatusOr<std::vector<Binding>> Bindings() const;

  // The method of a full name, "acme.v1.Users/Get", of the given files; null when there is none.
  const google::protobuf::MethodDescriptor* FindMethod(std::string_view full_name) const;
  // The empty message of one of the set's types.
  const google::protobuf::Message* Prototype(const google::protobuf::Descriptor* type) const;

 private:
  class Builder;

  DescriptorSet() = default;

  google::protobuf::DescriptorPool pool_;
  std::vector<const google::protobuf::ServiceDescriptor*> services_;
  // Makes prototypes when they are first asked for.
  mutable google::protobuf::DynamicMessageFactory factory_;
};

}  // namespace penstock::transcode
