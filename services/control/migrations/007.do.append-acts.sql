-- Appends acts: their audit entries and their records for the log, in one statement; see src/journal.ts and docs/adr/0028.
--
-- acts: [{"chain": 3, "content": "{…}", "records": [{"topic": "events", "key": "a.b", "value": "0a1f", "traceparent": ""}]}]
CREATE FUNCTION append_acts(acts jsonb, now_ms double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  act jsonb;
  entry text;
  head audit_chains;
BEGIN
  -- In the order of chains, so that two transactions do not wait for each other.
  FOR act IN
    SELECT element FROM jsonb_array_elements(acts) WITH ORDINALITY AS listed (element, place)
     ORDER BY (element ->> 'chain')::smallint, place
  LOOP
    entry := act ->> 'content';
    -- Locks the chain until the commit. The rows of the outbox take their positions after it, so that rows of one chain
    -- have the order of their commits. The hash is that of `hashOf` in src/audit/audit-entry.ts.
    UPDATE audit_chains
       SET number = number + 1,
           hash = sha256(hash || convert_to(E'\n' || (number + 1) || E'\n' || entry, 'UTF8'))
     WHERE chain = (act ->> 'chain')::smallint
    RETURNING * INTO STRICT head;
    INSERT INTO audit_entries (chain, number, hash, content) VALUES (head.chain, head.number, head.hash, entry);
    INSERT INTO outbox (topic, key, value, at_ms)
    VALUES ('audit', head.chain::text,
            convert_to('{"chain":' || head.chain || ',"number":' || head.number || ',"hash":"' || encode(head.hash, 'hex')
                       || '","entry":' || entry || '}', 'UTF8'),
            now_ms);
    INSERT INTO outbox (topic, key, value, traceparent, at_ms)
    SELECT element ->> 'topic', element ->> 'key', decode(element ->> 'value', 'hex'), element ->> 'traceparent', now_ms
      FROM jsonb_array_elements(act -> 'records') WITH ORDINALITY AS listed (element, place)
     ORDER BY place;
  END LOOP;
END;
$$;
