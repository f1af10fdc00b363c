#include "libs/rpc/server_plugins.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/impl/server_initializer.h>

namespace penstock::rpc {
namespace {

class NamesPlugin final : public grpc::ServerBuilderPlugin {
 public:
  explicit NamesPlugin(std::vector<std::string>& names) : names_(names) {}
  std::string name() override { return "penstock_names"; }
  void InitServer(grpc::ServerInitializer*) override {}
  void Finish(grpc::ServerInitializer* server) override { names_ = *server->GetServiceList(); }
  void ChangeArguments(const std::string&, void*) override {}

 private:
  std::vector<std::string>& names_;
};

class PluginsOption final : public grpc::ServerBuilderOption {
 public:
  PluginsOption(bool reflection, std::vector<std::string>* names)
      : reflection_(reflection), names_(names) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    auto reflection = std::make_unique<grpc::reflection::ProtoServerReflectionPlugin>();
    std::erase_if(*plugins,
                  [&](const auto& plugin) { return plugin->name() == reflection->name(); });
    if (reflection_) plugins->push_back(std::move(reflection));
    if (names_ != nullptr) plugins->push_back(std::make_unique<NamesPlugin>(*names_));
  }

 private:
  const bool reflection_;
  std::vector<std::string>* const names_;
};

}  // namespace

std::unique_ptr<grpc::ServerBuilderOption> ServerPlugins(bool reflection,
                                                         std::vector<std::string>* names) {
  return std::make_unique<PluginsOption>(reflection, names);
}

}  // namespace penstock::rpc
