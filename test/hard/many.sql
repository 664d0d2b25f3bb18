-- Small relations by the thousand, tables and their indexes; as many as hard.relations says.
CREATE SCHEMA many;
DO $$
BEGIN
    FOR n IN 1 .. current_setting('hard.relations')::int / 2 LOOP
        EXECUTE format('CREATE TABLE many.t%s (n int PRIMARY KEY)', n);
        IF n % 2 = 0 THEN
            EXECUTE format('INSERT INTO many.t%s VALUES (%s)', n, n);
        END IF;
        IF n % 500 = 0 THEN
            COMMIT;    -- so many locks has a transaction, and no more
        END IF;
    END LOOP;
END $$;
