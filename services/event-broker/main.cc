// penstock-event-broker: the service as a program of its own.
#include "libs/lifecycle/service_main.h"
#include "services/event-broker/app/app.h"

int main(int argc, char** argv) {
  using namespace penstock;
  return lifecycle::ServiceMain<broker::App, broker::Config>(
      {"penstock-event-broker", broker::kServiceName,
       "Keeps events and subscriptions, and sees that events reach their functions."},
      9021, argc, argv);
}
