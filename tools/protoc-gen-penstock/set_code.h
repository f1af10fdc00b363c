// Generated code that sets fields by name from plain text: path variables and query parameters.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

#include <vector>

namespace penstock::protoc_gen {

// The types of `requests` and of the messages in them whose fields can be named one by one, each
// once, in the order in which they are met.
std::vector<const google::protobuf::Descriptor*> SettableTypes(
    const std::vector<const google::protobuf::Descriptor*>& requests);

// Prints the declaration of Set_<type>.
void PrintSetDeclaration(const google::protobuf::Descriptor& type,
                         google::protobuf::io::Printer& printer);

// Prints Set_<type>: sets the field that a path of fields names, or gives up. Maps and lists of
// messages without a text form are left to reflection.
void PrintSet(const google::protobuf::Descriptor& type, google::protobuf::io::Printer& printer);

}  // namespace penstock::protoc_gen
