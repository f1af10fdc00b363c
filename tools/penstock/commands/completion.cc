#include "tools/penstock/commands/completion.h"

#include <fmt/format.h>

#include <sstream>
#include <string>
#include <vector>

namespace penstock::cli {
namespace {

struct Node {
  // "function create"; empty for the root.
  std::string path;
  std::vector<const CLI::App*> commands;
  std::vector<const CLI::Option*> options;
};

void Collect(const CLI::App& app, const std::string& path, std::vector<Node>* nodes) {
  Node node;
  node.path = path;
  const auto all = [](const auto*) { return true; };
  for (const CLI::App* const child : app.get_subcommands(all)) node.commands.push_back(child);
  for (const CLI::Option* const option : app.get_options(all)) {
    if (!option->get_lnames().empty()) node.options.push_back(option);
  }
  nodes->push_back(node);
  for (const CLI::App* const child : node.commands) {
    Collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), nodes);
  }
}

// All words that can follow a command: commands, then its flags and the ones that all have.
std::string WordsAfter(const Node& node, const Node& root) {
  std::string words;
  const auto append = [&](const std::string& word) { words += (words.empty() ? "" : " ") + word; };
  for (const CLI::App* const command : node.commands) append(command->get_name());
  for (const CLI::Option* const option : node.options) append("--" + option->get_lnames()[0]);
  if (&node == &root) return words;
  for (const CLI::Option* const option : root.options) {
    if (option->get_lnames()[0] != "help") append("--" + option->get_lnames()[0]);
  }
  return words;
}

std::string BashScript(const std::vector<Node>& nodes) {
  std::string cases;
  for (const Node& node : nodes) {
    cases += fmt::format("    '{}') words='{}' ;;\n", node.path, WordsAfter(node, nodes[0]));
  }
  return fmt::format(
      R"(# bash completion for penstock: source it, or put it into the completions folder.
_penstock() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path='' words='' word i
  for ((i = 1; i < COMP_CWORD && i < 4; i++)); do
    word=${{COMP_WORDS[i]}}
    [[ $word == -* ]] && break
    path="${{path:+$path }}$word"
  done
  while :; do
    case $path in
{}    *) words='' ;;
    esac
    [[ -n $words || $path != *' '* ]] && break
    path=${{path% *}}
  done
  if [[ -z $words || $current == @* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    ((${{#COMPREPLY[@]}})) || mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}}
complete -o filenames -F _penstock penstock
)",
      cases);
}

std::string Escaped(std::string text) {
  for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4) {
    text.replace(at, 1, "'\\''");
  }
  return text;
}

std::string FishScript(const std::vector<Node>& nodes) {
  std::string script =
      "# fish completion for penstock: save it as penstock.fish in the completions folder.\n";
  for (const Node& node : nodes) {
    // True when the command so far is exactly this one.
    std::string condition = "__fish_use_subcommand";
    if (!node.path.empty()) {
      condition.clear();
      std::istringstream words(node.path);
      for (std::string word; words >> word;) {
        condition += fmt::format("{}__fish_seen_subcommand_from {}",
                                 condition.empty() ? "" : "; and ", word);
      }
    }
    for (const CLI::App* const command : node.commands) {
      script += fmt::format("complete -c penstock -n '{}' -f -a {} -d '{}'\n", condition,
                            command->get_name(), Escaped(command->get_description()));
    }
    for (const CLI::Option* const option : node.options) {
      const std::string when = node.path.empty() ? "" : fmt::format(" -n '{}'", condition);
      script += fmt::format("complete -c penstock{} -l {} -d '{}'\n", when, option->get_lnames()[0],
                            Escaped(option->get_description()));
    }
  }
  return script;
}

}  // namespace

std::string CompletionScript(const CLI::App& root, const std::string& shell) {
  std::vector<Node> nodes;
  Collect(root, "", &nodes);
  if (shell == "fish") return FishScript(nodes);
  if (shell == "bash") return BashScript(nodes);
  // zsh runs bash's functions.
  return "#compdef penstock\nautoload -U +X bashcompinit && bashcompinit\n" + BashScript(nodes);
}

}  // namespace penstock::cli
