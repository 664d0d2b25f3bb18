-- A bit of everything that a server changes while a backup is taken: kinds of tables, indexes, collations.
CREATE SCHEMA churn;
CREATE COLLATION churn.numeric (provider = icu, locale = 'en-u-kn-true');
CREATE COLLATION churn.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

CREATE TABLE churn.things (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plain text COLLATE "C",
    german text COLLATE "de-x-icu",
    version text COLLATE churn.numeric,
    folded text COLLATE churn.blind,
    native text,
    tags int[],
    doc jsonb,
    place point,
    life int4range,
    big text,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 80, autovacuum_vacuum_threshold = 100);
ALTER TABLE churn.things ALTER big SET STORAGE EXTERNAL;
CREATE INDEX ON churn.things (plain);
CREATE INDEX ON churn.things (german);
CREATE INDEX ON churn.things (version);
CREATE INDEX ON churn.things (folded);
CREATE INDEX ON churn.things (native text_pattern_ops);
CREATE INDEX ON churn.things (lower(native), id DESC NULLS LAST) INCLUDE (at);
CREATE INDEX ON churn.things (id) WHERE id % 3 = 0;
CREATE INDEX ON churn.things USING gin (tags);
CREATE INDEX ON churn.things USING gin (doc jsonb_path_ops) WITH (fastupdate = on);
CREATE INDEX ON churn.things USING gist (place);
CREATE INDEX ON churn.things USING spgist (life);
CREATE INDEX ON churn.things USING brin (at) WITH (pages_per_range = 4);
CREATE INDEX ON churn.things USING hash (plain);
CREATE UNIQUE INDEX ON churn.things (id, plain);

CREATE UNLOGGED TABLE churn.loose (id bigint PRIMARY KEY, filler text);
CREATE TABLE churn.parted (n int, part int, filler text, PRIMARY KEY (n, part)) PARTITION BY LIST (part);
CREATE TABLE churn.parted_0 PARTITION OF churn.parted FOR VALUES IN (0);
CREATE TABLE churn.parted_1 PARTITION OF churn.parted DEFAULT;
CREATE TABLE churn.counters (client int PRIMARY KEY, n bigint NOT NULL);
CREATE MATERIALIZED VIEW churn.view AS SELECT client, n FROM churn.counters;
CREATE UNIQUE INDEX ON churn.view (client);
CREATE SEQUENCE churn.numbers CACHE 10;
CREATE TABLE churn.notes (id bigint PRIMARY KEY DEFAULT nextval('churn.numbers'), thing bigint REFERENCES churn.things ON DELETE CASCADE, client int NOT NULL CHECK (client >= 0));
CREATE INDEX ON churn.notes (thing);
CREATE TABLE churn.quiet AS SELECT n, repeat(md5(n::text), 5) AS filler FROM generate_series(1, 20000) n;
CREATE INDEX ON churn.quiet (n);

INSERT INTO churn.counters SELECT n, 0 FROM generate_series(0, 31) n;
INSERT INTO churn.things (plain, german, version, folded, native, tags, doc, place, life, big)
    SELECT md5(n::text), 'ä' || n, 'v' || n, 'Ab' || n, 'name ' || n, ARRAY[n, n % 10], jsonb_build_object('n', n % 100), point(n, -n),
           int4range(n, n + 10), repeat(md5(n::text), n % 200)
    FROM generate_series(1, 5000) n;
