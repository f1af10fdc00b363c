#include "libs/sqlite/connection.h"
