#include "libs/rpc/peer_auth.h"
