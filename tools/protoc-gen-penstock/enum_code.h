// Generated code for enums: names to numbers and back.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

#include <string>
#include <utility>
#include <vector>

namespace penstock::protoc_gen {

// The enums that fields of `messages` and values of their maps have, each once.
std::vector<const google::protobuf::EnumDescriptor*> EnumsOf(
    const std::vector<const google::protobuf::Descriptor*>& messages);

// Prints the functions ByName_<type> and NameOf_<type>.
void PrintEnum(const google::protobuf::EnumDescriptor& type,
               google::protobuf::io::Printer& printer);

// Prints a switch over the size of `text` (a variable of that name), which does what each name
// says. Names are unique.
void PrintNameSwitch(const std::vector<std::pair<std::string, std::string>>& name_to_code,
                     std::string_view text, google::protobuf::io::Printer& printer);

}  // namespace penstock::protoc_gen
