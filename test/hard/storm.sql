-- Small relations go, come and are rewritten; hard.moment says which.
DO $$
DECLARE
    moment int := current_setting('hard.moment');
BEGIN
    FOR n IN 1 .. 50 LOOP
        EXECUTE format('DROP TABLE many.t%s', moment * 1000 + n);
        EXECUTE format('CREATE TABLE many.new_%s_%s (n int PRIMARY KEY)', moment, n);
        EXECUTE format('TRUNCATE many.t%s', moment * 1000 + 100 + n);
        EXECUTE format('INSERT INTO many.t%s SELECT generate_series(1, 100)', moment * 1000 + 200 + n);
    END LOOP;
END $$;
VACUUM FULL pg_catalog.pg_class;
