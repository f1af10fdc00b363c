// The tables of the broker's state file.
#pragma once

#include "libs/sqlite/connection.h"

namespace penstock::broker {

// One migration a released version; released ones never change.
inline constexpr char kStateMigration1[] = R"sql(
    CREATE TABLE revisions (
      uid TEXT NOT NULL,
      match_revision INTEGER NOT NULL,
      effective INTEGER,            -- The log's sequence; NULL while pending.
      deleted INTEGER NOT NULL,
      adopted TEXT,                 -- The uid whose lane this first revision took over.
      body BLOB NOT NULL,
      PRIMARY KEY (uid, match_revision)) WITHOUT ROWID;
    CREATE TABLE live_names (
      space TEXT NOT NULL,
      id TEXT NOT NULL,
      uid TEXT NOT NULL,
      PRIMARY KEY (space, id)) WITHOUT ROWID;
    CREATE INDEX live_names_by_uid ON live_names (uid);
    CREATE TABLE live_routes (
      route_key TEXT PRIMARY KEY,
      uid TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX live_routes_by_uid ON live_routes (uid);
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

    -- A lane is a subscription's uid, or uid.replay.
    CREATE TABLE cursors (
      lane TEXT PRIMARY KEY,
      floor INTEGER NOT NULL,
      acked BLOB NOT NULL,
      matched INTEGER NOT NULL,
      delivered INTEGER NOT NULL,
      dead INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE retry_rows (
      lane TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      dead_reason INTEGER NOT NULL,
      member INTEGER NOT NULL,
      append_time INTEGER NOT NULL,
      ordering_key INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      attempts_made INTEGER NOT NULL,
      attempts_sent INTEGER NOT NULL,
      lost INTEGER NOT NULL,
      rejected INTEGER NOT NULL,
      due INTEGER NOT NULL,
      delay INTEGER NOT NULL,
      age_from INTEGER NOT NULL,
      redrives INTEGER NOT NULL,
      attempts BLOB NOT NULL,
      PRIMARY KEY (lane, sequence)) WITHOUT ROWID;

    -- Of subscriptions that ended, until another one adopts it or their last revision goes.
    CREATE TABLE ended_cursors (
      lane TEXT PRIMARY KEY,
      floor INTEGER NOT NULL,
      acked BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE ended_rows (
      lane TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      dead_reason INTEGER NOT NULL,
      member INTEGER NOT NULL,
      append_time INTEGER NOT NULL,
      ordering_key INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      attempts_made INTEGER NOT NULL,
      attempts_sent INTEGER NOT NULL,
      lost INTEGER NOT NULL,
      rejected INTEGER NOT NULL,
      due INTEGER NOT NULL,
      delay INTEGER NOT NULL,
      age_from INTEGER NOT NULL,
      redrives INTEGER NOT NULL,
      attempts BLOB NOT NULL,
      PRIMARY KEY (lane, sequence)) WITHOUT ROWID;

    CREATE TABLE dead_letters (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      lane TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      last_sequence INTEGER NOT NULL,
      space TEXT NOT NULL,
      subscription TEXT NOT NULL,
      function TEXT NOT NULL,
      event_id TEXT NOT NULL,
      event_type TEXT NOT NULL,
      append_time INTEGER NOT NULL,
      ordering_key INTEGER NOT NULL,
      reason INTEGER NOT NULL,
      attempts_made INTEGER NOT NULL,
      redrives INTEGER NOT NULL,
      time INTEGER NOT NULL,
      error_type TEXT NOT NULL,     -- Of the last attempt.
      error_message TEXT NOT NULL,
      edits INTEGER NOT NULL,
      bytes INTEGER NOT NULL,       -- Of `event`.
      attempts BLOB NOT NULL,
      event BLOB NOT NULL,
      original_event BLOB NOT NULL,
      UNIQUE (lane, sequence));
    CREATE INDEX dead_letters_by_space ON dead_letters (space, position);
    CREATE INDEX dead_letters_by_subscription ON dead_letters (space, subscription, position);
    CREATE INDEX dead_letters_by_event ON dead_letters (space, event_id, position);
    CREATE INDEX dead_letters_by_lane
      ON dead_letters (lane, ordering_key, sequence, bytes, redrives, reason);

    CREATE TABLE replays (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      uid TEXT NOT NULL,
      replay TEXT NOT NULL,
      first INTEGER NOT NULL,
      last INTEGER NOT NULL,
      rate INTEGER NOT NULL,
      state INTEGER NOT NULL,
      floor INTEGER NOT NULL,       -- This and the counts are kept in `cursors` while it runs.
      matched INTEGER NOT NULL,
      delivered INTEGER NOT NULL,
      dead INTEGER NOT NULL,
      create_time INTEGER NOT NULL,
      end_time INTEGER,             -- NULL until it ends.
      UNIQUE (uid, replay));
    CREATE INDEX replays_by_end ON replays (end_time);

    CREATE TABLE scheduled (
      space TEXT NOT NULL,
      key TEXT NOT NULL,
      type TEXT NOT NULL,
      source TEXT NOT NULL,
      id TEXT NOT NULL,
      ordering_key TEXT NOT NULL,
      content_hash INTEGER NOT NULL,
      due INTEGER NOT NULL,
      create_time INTEGER NOT NULL,
      body BLOB NOT NULL,
      UNIQUE (space, key));
    CREATE INDEX scheduled_by_due ON scheduled (due, space, key);
    CREATE INDEX scheduled_by_space ON scheduled (space, due, key);
    -- Keys of events that were published a short time ago.
    CREATE TABLE published_keys (
      space TEXT NOT NULL,
      key TEXT NOT NULL,
      until INTEGER NOT NULL,
      PRIMARY KEY (space, key)) WITHOUT ROWID;
    CREATE INDEX published_keys_by_until ON published_keys (until);
)sql";

inline sqlite::Schema StateSchema() {
  return {.application_id = 0x50534231,  // "PSB1"
          .migrations = {kStateMigration1}};
}

}  // namespace penstock::broker
