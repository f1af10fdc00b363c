#include "libs/rpc/replica_set.h"
