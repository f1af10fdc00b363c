// The tables of the broker's state file.
#pragma once

#include "libs/sqlite/connection.h"

namespace penstock::broker {

// One migration a released version; released ones never change.
inline sqlite::Schema StateSchema() {
  return {.application_id = 0x50534231,  // "PSB1"
          .migrations = {R"sql(
    CREATE TABLE revisions (
      uid TEXT NOT NULL,
      match_revision INTEGER NOT NULL,
      effective INTEGER,            -- The log's sequence; NULL while pending.
      deleted INTEGER NOT NULL,
      body BLOB NOT NULL,
      PRIMARY KEY (uid, match_revision)) WITHOUT ROWID;
    CREATE TABLE live_names (
      space TEXT NOT NULL,
      id TEXT NOT NULL,
      uid TEXT NOT NULL,
      PRIMARY KEY (space, id)) WITHOUT ROWID;
    CREATE TABLE live_routes (
      route_key TEXT PRIMARY KEY,
      uid TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE cursors (
      uid TEXT PRIMARY KEY,
      floor INTEGER NOT NULL,
      acked BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE retry_rows (
      uid TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      append_time INTEGER NOT NULL,
      attempts_made INTEGER NOT NULL,
      lost INTEGER NOT NULL,
      rejected INTEGER NOT NULL,
      due INTEGER NOT NULL,
      delay INTEGER NOT NULL,
      age_from INTEGER NOT NULL,
      redrives INTEGER NOT NULL,
      attempts BLOB NOT NULL,
      PRIMARY KEY (uid, sequence)) WITHOUT ROWID;
    CREATE TABLE dead_letters (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      uid TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      space TEXT NOT NULL,
      subscription TEXT NOT NULL,
      function TEXT NOT NULL,
      event_id TEXT NOT NULL,
      append_time INTEGER NOT NULL,
      reason INTEGER NOT NULL,
      attempts_made INTEGER NOT NULL,
      redrives INTEGER NOT NULL,
      time INTEGER NOT NULL,
      attempts BLOB NOT NULL,
      event BLOB NOT NULL,
      UNIQUE (uid, sequence));
    CREATE INDEX dead_letters_by_space ON dead_letters (space, position);
  )sql"}};
}

}  // namespace penstock::broker
