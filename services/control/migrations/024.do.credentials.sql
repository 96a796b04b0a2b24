-- Tokens of devices that control has issued, without their secrets; see src/registry/credential-service.ts. Whether a
-- token is valid is decided by the topic of control alone, which every process reads.
CREATE TABLE device_credentials (
  id text PRIMARY KEY,
  -- The path that the token has; that of the device when it was issued.
  device text COLLATE "C" NOT NULL,
  is_gateway boolean NOT NULL,
  label text NOT NULL,
  issued_ms double precision NOT NULL,
  issued_by text NOT NULL,
  -- Absent: never, as of a token that was issued elsewhere.
  expires_ms double precision,
  -- When it is revoked, after a rotation.
  revoke_ms double precision,
  revoked_ms double precision
);

CREATE INDEX device_credentials_device ON device_credentials (device);
CREATE INDEX device_credentials_revoke ON device_credentials (revoke_ms)
  WHERE revoke_ms IS NOT NULL AND revoked_ms IS NULL;
