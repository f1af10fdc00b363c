// JSON Schemas of messages, after the proto3 JSON mapping.
#pragma once

#include <google/protobuf/descriptor.h>

#include <boost/json/object.hpp>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::protoc_gen {

// Collects the schemas of the messages that are referred to, each once, under its full name.
class OpenApiSchemas {
 public:
  // `written` are schemas that stand for the messages of their names: they are kept as they are.
  explicit OpenApiSchemas(boost::json::object written) : schemas_(std::move(written)) {}

  // Whether a schema of this name is there.
  bool Has(std::string_view name) const { return schemas_.contains(name); }

  // The schema of a message: a reference, or the form of a well-known type.
  boost::json::object Of(const google::protobuf::Descriptor& type);

  // The schema of a field with its comment.
  boost::json::object Of(const google::protobuf::FieldDescriptor& field);

  // An object of the fields of a message but for those in `left_out`. Fields whose comments say
  // "Required." are required in messages named …Request: resources are also sent in part.
  boost::json::object ObjectOf(const google::protobuf::Descriptor& type,
                               const std::set<const google::protobuf::FieldDescriptor*>& left_out);

  // All schemas by name, with what they refer to.
  boost::json::object Take();

 private:
  boost::json::object ValueOf(const google::protobuf::FieldDescriptor& field);

  boost::json::object schemas_;
  std::deque<const google::protobuf::Descriptor*> referred_;
};

}  // namespace penstock::protoc_gen
