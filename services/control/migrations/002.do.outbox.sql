-- Records for the log that are committed and not yet in it. Rows of one key are inserted after the update of the audit
-- chain of that key, so that their positions have the order of their commits.
CREATE TABLE outbox (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Without the prefix of the installation: events, rules, audit.
  topic text NOT NULL,
  key text NOT NULL,
  -- Empty: a tombstone.
  value bytea NOT NULL,
  traceparent text NOT NULL DEFAULT '',
  at_ms double precision NOT NULL
);

-- Which process moves the rows to the log: one at a time, or the order of a key would be lost.
CREATE TABLE outbox_relay (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  holder text NOT NULL,
  until_ms double precision NOT NULL
);

INSERT INTO outbox_relay (holder, until_ms) VALUES ('', 0);
