-- Rows come, change and go, in subtransactions too; for pgbench.
\set id random(1, 5000)
\set n random(1, 100000)
BEGIN;
UPDATE churn.counters SET n = n + 1 WHERE client = :client_id;
SAVEPOINT a;
INSERT INTO churn.things (plain, german, version, folded, native, tags, doc, place, life, big)
    VALUES (md5(:n::text), 'ö' || :n, 'v' || :n, 'aB' || :n, 'Name ' || :n, ARRAY[:n, :n % 10], jsonb_build_object('n', :n % 100), point(:n, :id), int4range(:id, :id + 5), repeat(md5(:n::text), :n % 300));
SAVEPOINT b;
UPDATE churn.things SET native = native || '.', doc = doc || '{"x": 1}', place = point(:n, :n) WHERE id = :id;
ROLLBACK TO b;
UPDATE churn.things SET at = clock_timestamp(), big = repeat('z', :n % 9000) WHERE id = :id + 1;
RELEASE a;
INSERT INTO churn.notes (thing, client) SELECT id, :client_id FROM (SELECT id FROM churn.things WHERE id >= :n % 5000 ORDER BY id LIMIT 2 FOR KEY SHARE SKIP LOCKED) AS there;
DELETE FROM churn.things WHERE id = (SELECT min(id) + :n % 50 FROM churn.things);
INSERT INTO churn.parted VALUES (nextval('churn.numbers'), :n % 3, repeat('f', :n % 100));
INSERT INTO churn.loose VALUES (nextval('churn.numbers'), 'loose');
COMMIT;
