#include "libs/config/yaml.h"

#include <exception>
#include <map>
#include <sstream>
#include <string>
#include <utility>

#include "fmt/format.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace penstock::config {
namespace {

constexpr int kDepthMax = 32;
// YAML's own limit is 1024 characters, as ToYaml writes it: a byte may take four.
constexpr std::size_t kKeyBytesMax = 250;

class Reader {
 public:
  Reader(const std::string& source, Problems& problems) : source_(source), problems_(problems) {}

  Place At(const YAML::Mark& mark) const {
    if (mark.is_null()) return {source_, 1, 1};
    return {source_, mark.line + 1, mark.column + 1};
  }

  Value Read(const YAML::Node& node, const std::string& key, int depth) {
    Value value;
    value.place = At(node.Mark());
    if (++nodes_ > kYamlNodesMax || depth > kDepthMax) {
      if (!std::exchange(over_limit_, true)) {
        problems_.Add(value.place, key,
                      fmt::format("has more than {} values, or more than {} levels", kYamlNodesMax,
                                  kDepthMax));
      }
      return value;
    }
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: break;
      case YAML::NodeType::Scalar:
        value.kind = Value::Kind::kScalar;
        value.text = node.Scalar();
        value.quoted = node.Tag() == "!";
        break;
      case YAML::NodeType::Sequence:
        value.kind = Value::Kind::kList;
        for (const YAML::Node& item : node) {
          if (over_limit_) break;
          const std::string item_key = fmt::format("{}[{}]", key, value.items.size());
          value.items.push_back(Read(item, item_key, depth + 1));
        }
        break;
      case YAML::NodeType::Map: ReadMap(node, key, depth, &value); break;
    }
    return value;
  }

 private:
  void ReadMap(const YAML::Node& node, const std::string& key, int depth, Value* value) {
    value->kind = Value::Kind::kMap;
    std::map<std::string, Place> seen;
    for (const auto& pair : node) {
      if (over_limit_) return;
      const Place place = At(pair.first.Mark());
      if (!pair.first.IsScalar()) {
        problems_.Add(place, key, "a key must be a single word");
        continue;
      }
      const std::string& name = pair.first.Scalar();
      if (name.size() > kKeyBytesMax) {
        problems_.Add(
            place, key,
            fmt::format("a key has {} bytes; expected at most {}", name.size(), kKeyBytesMax));
        continue;
      }
      const std::string full = key.empty() ? name : key + "." + name;
      const auto [first, is_new] = seen.emplace(name, place);
      if (!is_new) {
        problems_.Add(place, full,
                      fmt::format("is here twice; the first is at line {}", first->second.line));
        continue;
      }
      value->entries.push_back({.key = name,
                                .key_place = place,
                                .value = Read(pair.second, full, depth + 1),
                                .comment = {}});
      // A value that is left out has no place of its own.
      Value& read = value->entries.back().value;
      if (read.is_null()) read.place = place;
    }
  }

  const std::string& source_;
  Problems& problems_;
  std::size_t nodes_ = 0;
  bool over_limit_ = false;
};

// Counts the documents of a text, up to two: reading all of them does not end for some malformed
// texts, of which yaml-cpp makes empty documents for ever.
class DocumentCounter final : public YAML::EventHandler {
 public:
  int count = 0;
  YAML::Mark last;

  void OnDocumentStart(const YAML::Mark& mark) override {
    ++count;
    last = mark;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

}  // namespace

Value ParseYaml(std::string_view text, const std::string& source, Problems& problems) {
  if (text.size() > kYamlBytesMax) {
    problems.Add({source, 0, 0}, "", fmt::format("is larger than {} bytes", kYamlBytesMax));
    return Value::Null();
  }
  Reader reader(source, problems);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    DocumentCounter documents;
    while (documents.count < 2 && parser.HandleNextDocument(documents)) {
    }
    if (documents.count == 0) return Value::Null();
    if (documents.count > 1) {
      problems.Add(reader.At(documents.last), "", "expected one document, found several");
    }
    return reader.Read(YAML::Load(std::string(text)), "", 0);
  } catch (const YAML::Exception& error) {
    problems.Add(reader.At(error.mark), "", fmt::format("is not valid YAML: {}", error.msg));
  } catch (const std::exception& error) {
    problems.Add({source, 0, 0}, "", fmt::format("cannot be read: {}", error.what()));
  }
  return Value::Null();
}

}  // namespace penstock::config
