-- Records of the topic of devices, of which an import may have 200,000, move to the log after all others; see
-- src/outbox/outbox-relay.ts.
CREATE INDEX outbox_first ON outbox (position) WHERE topic <> 'devices';
CREATE INDEX outbox_devices ON outbox (position) WHERE topic = 'devices';
