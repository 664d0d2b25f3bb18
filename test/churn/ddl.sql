-- Files come, change and go; for pgbench.
\set kind random(1, 9)
CREATE TABLE IF NOT EXISTS churn.own_:client_id (id int PRIMARY KEY, t text);
\if :kind = 1
DROP TABLE churn.own_:client_id;
\elif :kind = 2
BEGIN;
TRUNCATE churn.own_:client_id;
INSERT INTO churn.own_:client_id SELECT n, repeat('t', 300) FROM generate_series(1, 3000) n;
COMMIT;
\elif :kind = 3
DELETE FROM churn.own_:client_id WHERE id > 100;
VACUUM churn.own_:client_id;
\elif :kind = 4
ALTER TABLE churn.own_:client_id ALTER id TYPE bigint;
ALTER TABLE churn.own_:client_id ALTER id TYPE int;
\elif :kind = 5
VACUUM FULL churn.own_:client_id;
\elif :kind = 6
CREATE INDEX IF NOT EXISTS own_t_:client_id ON churn.own_:client_id (t);
REINDEX TABLE churn.own_:client_id;
\elif :kind = 7
BEGIN;
CREATE TABLE churn.never_:client_id AS SELECT n FROM generate_series(1, 5000) n;
ROLLBACK;
\elif :kind = 8
REFRESH MATERIALIZED VIEW CONCURRENTLY churn.view;
CREATE TEMPORARY TABLE temp_:client_id AS SELECT n FROM generate_series(1, 2000) n;
DROP TABLE temp_:client_id;
\else
VACUUM churn.things;
TRUNCATE churn.loose;
\endif
