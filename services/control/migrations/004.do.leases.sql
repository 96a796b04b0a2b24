-- Who controls a device or a subtree alone; see src/leases/lease.ts.
CREATE SEQUENCE lease_tokens AS bigint;

CREATE TABLE leases (
  -- A device path, or a pattern.
  scope text PRIMARY KEY,
  token bigint NOT NULL,
  holder text NOT NULL,
  acquired_ms double precision NOT NULL,
  until_ms double precision NOT NULL
);

CREATE INDEX leases_until ON leases (until_ms);
