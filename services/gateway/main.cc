// penstock-gateway: the service as a program of its own.
#include "libs/lifecycle/service_main.h"
#include "services/gateway/app/app.h"

int main(int argc, char** argv) {
  using namespace penstock;
  return lifecycle::ServiceMain<gateway::App, gateway::Config>(
      {"penstock-gateway", gateway::kServiceName,
       "The public entry: events, management API, HTTP events, gRPC."},
      8083, argc, argv);
}
