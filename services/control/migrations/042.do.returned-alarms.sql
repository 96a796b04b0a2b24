-- Alarms that return at once are found by time, as those that are raised.
CREATE INDEX alarm_transitions_returned ON alarm_transitions (at_ms) WHERE cause = 'returned';
