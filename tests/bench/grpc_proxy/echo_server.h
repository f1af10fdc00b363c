// What is measured against: gRPC's library, and nothing behind it.
#pragma once

namespace penstock::gateway {

// Prints the port, and waits until the standard input ends.
void Serve(int port);

// Sends each unary message back, by gRPC's callback API. Serves as above.
int RunEchoServer();

}  // namespace penstock::gateway
