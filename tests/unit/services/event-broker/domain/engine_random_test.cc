// Seeded runs of the engine in a naive world. Whatever happens, every matched event is acknowledged
// or dead in the end, order by key holds, no limit is passed, and no transaction lets a floor pass
// an event that is neither done nor in a row.
#include <gtest/gtest.h>

#include "tests/unit/services/event-broker/domain/engine_world.h"

namespace penstock::broker {
namespace {

TEST(EngineRandomTest, KeepsItsPromisesWhateverHappens) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    EngineWorld(seed).Run(1200);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(EngineRandomTest, DoesTheSameForTheSameInputs) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    EngineWorld first(seed);
    EngineWorld second(seed);
    first.Run(1000);
    second.Run(1000);
    EXPECT_EQ(first.digest(), second.digest()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace penstock::broker
