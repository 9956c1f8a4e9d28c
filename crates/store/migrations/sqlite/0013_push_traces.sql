-- Egress: the traces of what made a push necessary, until the shop shows what it should.

-- [traceparent, …]: the first is the trace that the push belongs to; NULL: none.
ALTER TABLE egress_notes ADD COLUMN traces TEXT;
