-- A transaction that is prepared for a while; for pgbench.
\set n random(1, 1000000000000)
BEGIN;
INSERT INTO churn.things (plain, native, tags) VALUES (:n, 'prepared', ARRAY[:client_id]);
UPDATE churn.counters SET n = n + 1 WHERE client = :client_id + 16;
PREPARE TRANSACTION 'p_:n';
\sleep 100 ms
COMMIT PREPARED 'p_:n';
