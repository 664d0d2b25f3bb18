-- Rows of every kind of relation change; for pgbench.
\set id random(1, 135000)
\set t random(1, 300)
\set lo 70001 + :client_id * 30 + random(0, 29)
\set n random(1, 1000000000)
BEGIN;
UPDATE hard.big SET n = :n WHERE id BETWEEN :id AND :id + 3;
UPDATE hard.toasted SET outside = repeat(md5(:n::text), 300), pglz = repeat(md5(:n::text), 500) WHERE id = :t;
INSERT INTO hard.tree VALUES (:n % 20, chr(97 + :n % 3), :n, 'f' || :n) ON CONFLICT DO NOTHING;
UPDATE hard.tree SET y = (y + 7) % 20 WHERE n = :t AND kind = 'a';
INSERT INTO hard.children (parent) VALUES (:t);
INSERT INTO hard.loose (t) VALUES ('more');
SELECT lo_put(:lo, 10, decode(md5(:n::text), 'hex'));
SELECT lo_unlink(lo_from_bytea(0, decode(md5(:n::text), 'hex')));
SELECT nextval('running.cached'), nextval('running.cycled'), nextval('running.down');
COMMIT;
