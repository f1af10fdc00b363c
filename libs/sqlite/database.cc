#include "libs/sqlite/database.h"
