-- Rules of alarms, the truth about them. The topic <prefix>.rules has a copy, which alarms reads.
CREATE TABLE rules (
  id text PRIMARY KEY,
  -- Rises by one with each change, also over a deletion.
  version integer NOT NULL,
  -- JSON; empty: deleted.
  body text NOT NULL,
  changed_ms double precision NOT NULL
);

CREATE TABLE rule_versions (
  rule text NOT NULL REFERENCES rules (id),
  version integer NOT NULL,
  -- JSON; empty: this version has deleted it.
  body text NOT NULL,
  author text NOT NULL,
  at_ms double precision NOT NULL,
  PRIMARY KEY (rule, version)
);
