// Runs rule_cases.txt, which says what each of its lines means.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "libs/protojson/protojson.h"
#include "libs/transcode/route_table.h"
#include "libs/transcode/transcoder.h"
#include "tests/unit/libs/transcode/case.pb.h"

namespace penstock::transcode {
namespace {

constexpr std::string_view kArrow = " => ";

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// METHOD TEMPLATE [body=…] [response_body=…] [rpc=…]
Binding ParseRule(const std::vector<std::string>& words, std::size_t at) {
  const auto* service = testing::transcode::cases::CaseRequest::descriptor()->file()->service(0);
  Binding binding{.method = service->FindMethodByName("Unary"),
                  .http_method = words.at(at),
                  .path_template = words.at(at + 1),
                  .body = {},
                  .response_body = {}};
  for (std::size_t i = at + 2; i < words.size(); ++i) {
    const std::string value = words[i].substr(words[i].find('=') + 1);
    if (words[i].starts_with("body=")) binding.body = value;
    if (words[i].starts_with("response_body=")) binding.response_body = value;
    if (words[i].starts_with("rpc=")) binding.method = service->FindMethodByName(value);
  }
  return binding;
}

std::string WithLineBreaks(std::string text) {
  for (std::size_t at = 0; (at = text.find("\\n", at)) != std::string::npos; ++at) {
    text.replace(at, 2, "\n");
  }
  return text;
}

class RuleCases {
 public:
  void Line(const std::string& line) {
    if (line.empty() || line.starts_with('#')) return;
    if (line == "table") return NewTable();
    if (line.starts_with("rule ")) return AddRule(Words(line));
    const std::size_t arrow = line.rfind(kArrow);
    ASSERT_NE(arrow, std::string::npos) << line;
    const std::string left = line.substr(0, arrow);
    const std::string right = line.substr(arrow + kArrow.size());
    ++cases_;
    if (left.starts_with("bad ")) {
      ExpectRefusal(Words(left), right);
    } else {
      EXPECT_EQ(Answer(left, right), right) << line;
    }
  }

  int cases() const { return cases_; }

 private:
  void NewTable() {
    names_.clear();
    bindings_.clear();
    table_.reset();
  }

  void AddRule(const std::vector<std::string>& words) {
    names_.push_back(words.at(1));
    bindings_.push_back(ParseRule(words, 2));
    table_.reset();
  }

  void ExpectRefusal(const std::vector<std::string>& words, const std::string& part) {
    std::vector<Binding> bindings = bindings_;
    bindings.push_back(ParseRule(words, 1));
    const auto table = RouteTable::Build(std::span<const Binding>(bindings));
    ASSERT_FALSE(table.ok()) << words.at(1) << " " << words.at(2);
    const std::string message(table.status().message());
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find("google.api.http of penstock.testing"), std::string::npos) << message;
  }

  // What comes of a request, in the words of the file. Where `expected` is a part of an error's
  // text only, it is the answer if it is in it.
  std::string Answer(const std::string& request, const std::string& expected) {
    if (!table_) table_ = RouteTable::Build(std::span<const Binding>(bindings_));
    if (!table_->ok()) return std::string(table_->status().message());
    const std::size_t bar = request.find(" | ");
    const std::vector<std::string> words = Words(request.substr(0, bar));
    const std::string body =
        bar == std::string::npos ? "" : WithLineBreaks(request.substr(bar + 3));
    const std::string target = words.at(1);
    const std::size_t mark = target.find('?');
    const std::string query = mark == std::string::npos ? "" : target.substr(mark + 1);
    const std::string path = target.substr(0, mark);  // which the bindings refer to
    const MatchResult match = (*table_)->Match(words.at(0), path);
    if (match.route == nullptr) {
      if (match.allowed_methods.empty()) return "404";
      return fmt::format("405 {}", fmt::join(match.allowed_methods, ","));
    }
    const auto messages = Build(match, query, {"application/json", body});
    if (!messages.ok()) {
      const std::string text = "400 " + std::string(messages.status().message());
      const bool as_expected =
          expected.starts_with("400 ") && text.find(expected.substr(4), 4) != std::string::npos;
      return as_expected ? expected : text;
    }
    return NameOf(match.route) + *messages;
  }

  // The JSON of all request messages, each after a space.
  absl::StatusOr<std::string> Build(const MatchResult& match, std::string_view query,
                                    const RequestBody& body) const {
    const Route& route = *match.route;
    std::vector<std::unique_ptr<google::protobuf::Message>> messages;
    if (route.client_streaming) {
      auto built = BuildRequests(route, match.bindings, query, body);
      if (!built.ok()) return built.status();
      messages = *std::move(built);
    } else {
      auto built = BuildRequest(route, match.bindings, query, body);
      if (!built.ok()) return built.status();
      messages.push_back(*std::move(built));
    }
    std::string text;
    for (const auto& message : messages) {
      text += " ";
      EXPECT_TRUE(protojson::AppendJson(*message, &text).ok());
    }
    return text;
  }

  std::string NameOf(const Route* route) const {
    const auto& routes = (*table_)->routes();
    for (std::size_t i = 0; i < routes.size(); ++i) {
      if (routes[i].get() == route) return names_[i];
    }
    return "a route of another table";
  }

  std::vector<std::string> names_;
  std::vector<Binding> bindings_;
  std::optional<absl::StatusOr<RouteTable>> table_;
  int cases_ = 0;
};

TEST(RuleCasesTest, AllHold) {
  std::ifstream file(PENSTOCK_RULE_CASES);
  ASSERT_TRUE(file) << PENSTOCK_RULE_CASES;
  RuleCases cases;
  for (std::string line; std::getline(file, line);) cases.Line(line);
  EXPECT_GE(cases.cases(), 300);
  RecordProperty("cases", cases.cases());
}

}  // namespace
}  // namespace penstock::transcode
