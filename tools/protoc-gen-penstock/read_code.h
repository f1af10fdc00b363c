// Generated code that reads messages.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

namespace penstock::protoc_gen {

// Prints FieldOf_<type>: the index of the field that JSON calls by a name, or -1.
void PrintFieldLookup(const google::protobuf::Descriptor& type,
                      google::protobuf::io::Printer& printer);

// Prints Read_<type>, the `read` of its JsonCodec.
void PrintRead(const google::protobuf::Descriptor& type, google::protobuf::io::Printer& printer);

}  // namespace penstock::protoc_gen
