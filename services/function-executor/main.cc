// penstock-function-executor: the service as a program of its own.
#include "libs/lifecycle/service_main.h"
#include "services/function-executor/app/app.h"

int main(int argc, char** argv) {
  using namespace penstock;
  return lifecycle::ServiceMain<executor::App, executor::Config>(
      {"penstock-function-executor", executor::kServiceName,
       "Runs functions and keeps a record of each run."},
      9041, argc, argv);
}
