// penstock-function-manager: the service as a program of its own.
#include "libs/lifecycle/service_main.h"
#include "services/function-manager/app/app.h"

int main(int argc, char** argv) {
  using namespace penstock;
  return lifecycle::ServiceMain<functions::App, functions::Config>(
      {"penstock-function-manager", functions::kServiceName,
       "Keeps functions, their versions and who needs them."},
      9031, argc, argv);
}
