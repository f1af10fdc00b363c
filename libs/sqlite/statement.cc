#include "libs/sqlite/statement.h"
