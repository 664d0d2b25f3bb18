-- One line per table that outlives a crash: name, rows, and a sum over all rows that changes with any value.
SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM %s t;',
              c.oid::regclass, c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND c.relispopulated AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'ark')
ORDER BY n.nspname, c.relname
\gexec
