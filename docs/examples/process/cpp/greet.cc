// A function in C++ that speaks the line protocol itself, with Boost.JSON:
//   g++ -std=c++20 -O2 -o greet greet.cc -lboost_json
#include <boost/json.hpp>
#include <iostream>
#include <string>

namespace json = boost::json;

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const json::value call = json::parse(line);
    const json::value& payload = call.at("payload");
    const json::value* name =
        payload.is_object() ? payload.as_object().if_contains("name") : nullptr;
    json::object answer;
    if (name != nullptr) {
      std::cerr << "greeting " << name->as_string().c_str() << std::endl;
      answer["payload"] = {{"hello", *name}, {"from", "cpp"}};
    } else {
      answer["error"] = {
          {"category", "InputError"}, {"type", "NoName"}, {"message", "name is missing"}};
    }
    answer["executionId"] = call.at("context").at("executionId");
    std::cout << json::serialize(answer) << std::endl;
  }
}
