#include "libs/sqlite/writer.h"
