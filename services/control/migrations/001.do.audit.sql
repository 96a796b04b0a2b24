-- The audit, as hash chains. Each transaction of control that does something adds its entries; see docs/adr/0028.
--
-- One row for each chain: its last entry. The update of this row is the lock that gives the entries of a chain, and the
-- outbox rows of the same transaction, the order of their commits.
CREATE TABLE audit_chains (
  chain smallint PRIMARY KEY,
  number bigint NOT NULL,
  hash bytea NOT NULL
) WITH (fillfactor = 20);

INSERT INTO audit_chains (chain, number, hash)
SELECT chain, 0, sha256(convert_to('tailrace audit chain ' || chain, 'UTF8')) FROM generate_series(0, 15) AS chain;

CREATE TABLE audit_entries (
  chain smallint NOT NULL REFERENCES audit_chains (chain),
  -- Rises by one with each entry of the chain, from 1.
  number bigint NOT NULL,
  -- SHA-256 of the hash before, the number, and the content.
  hash bytea NOT NULL,
  -- JSON, as it was hashed.
  content text NOT NULL,
  -- For pages of a query over all chains. Not in the order of commits.
  position bigint GENERATED ALWAYS AS IDENTITY,
  -- Copies of fields of the content, so that they cannot differ from it.
  at_ms double precision NOT NULL GENERATED ALWAYS AS (((content::jsonb) ->> 'time')::double precision) STORED,
  subject text NOT NULL GENERATED ALWAYS AS ((content::jsonb) ->> 'subject') STORED,
  action text NOT NULL GENERATED ALWAYS AS ((content::jsonb) ->> 'action') STORED,
  target text NOT NULL GENERATED ALWAYS AS ((content::jsonb) ->> 'target') STORED,
  result text NOT NULL GENERATED ALWAYS AS ((content::jsonb) ->> 'result') STORED,
  PRIMARY KEY (chain, number)
);

CREATE UNIQUE INDEX audit_entries_position ON audit_entries (position);
CREATE INDEX audit_entries_target ON audit_entries (target text_pattern_ops, position);
CREATE INDEX audit_entries_subject ON audit_entries (subject, position);
