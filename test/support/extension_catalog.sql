-- Everything that the catalogs know of the objects of extension pg_ark, one line each: object, aspect, value. Names instead
-- of OIDs, so that two installations can be compared. What an extension has in its schema without owning it is in it too.
WITH extension AS (
    SELECT * FROM pg_catalog.pg_extension WHERE extname = 'pg_ark'
), member AS (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend d, extension e
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
), space AS (
    SELECT n.* FROM pg_catalog.pg_namespace n JOIN member m ON m.objid = n.oid AND m.classid = 'pg_catalog.pg_namespace'::regclass
), relation AS (
    SELECT c.*, c.oid::regclass::text AS label FROM pg_catalog.pg_class c
    WHERE c.relnamespace IN (SELECT oid FROM space) OR EXISTS (SELECT FROM member m WHERE m.objid = c.oid AND m.classid = 'pg_catalog.pg_class'::regclass)
), routine AS (
    SELECT p.*, p.oid::regprocedure::text AS label FROM pg_catalog.pg_proc p
    WHERE p.pronamespace IN (SELECT oid FROM space) OR EXISTS (SELECT FROM member m WHERE m.objid = p.oid AND m.classid = 'pg_catalog.pg_proc'::regclass)
), type AS (
    SELECT t.*, t.oid::regtype::text AS label FROM pg_catalog.pg_type t
    WHERE t.typnamespace IN (SELECT oid FROM space) OR EXISTS (SELECT FROM member m WHERE m.objid = t.oid AND m.classid = 'pg_catalog.pg_type'::regclass)
), line (object, aspect, value) AS (
    -- The extension itself, and each of its members: nothing is overseen because its kind is not described below.
    SELECT 'extension', 'properties', concat_ws(' ', e.extversion, e.extnamespace::regnamespace, e.extowner::regrole, e.extrelocatable::text,
               (SELECT string_agg(t::regclass::text || coalesce(' ' || e.extcondition[i], ''), ', ' ORDER BY t::regclass::text) FROM unnest(e.extconfig) WITH ORDINALITY u (t, i)))
        FROM extension e
    UNION ALL SELECT 'extension', 'comment', pg_catalog.obj_description(oid, 'pg_extension') FROM extension
    UNION ALL SELECT pg_catalog.pg_describe_object(classid, objid, 0), 'member', i.type || ' ' || i.identity
        FROM member, pg_catalog.pg_identify_object(classid, objid, 0) i
    UNION ALL SELECT pg_catalog.pg_describe_object(m.classid, m.objid, 0), 'initial privileges', (SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(p.initprivs) a)
        FROM member m JOIN pg_catalog.pg_init_privs p ON p.classoid = m.classid AND p.objoid = m.objid AND p.objsubid = 0
    -- What else depends on what: a view on a function, a column's default on a sequence.
    UNION ALL SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), 'depends (' || d.deptype::text || ')', pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
        FROM pg_catalog.pg_depend d JOIN member m ON m.classid = d.classid AND m.objid = d.objid WHERE d.refobjid >= 16384
    UNION ALL SELECT 'schema ' || nspname, 'owner, privileges, comment', concat_ws(' ', nspowner::regrole, privileges, pg_catalog.obj_description(oid, 'pg_namespace'))
        FROM space, LATERAL (SELECT string_agg(a::text, ', ' ORDER BY a::text) AS privileges FROM unnest(coalesce(nspacl, acldefault('n', nspowner))) a) p
    -- Relations and what belongs to them
    UNION ALL SELECT label, 'relation', concat_ws(' ', relkind, relpersistence, relowner::regrole, relam, reloptions::text, reltablespace, relrowsecurity::text, relforcerowsecurity::text, relreplident)
        FROM relation
    UNION ALL SELECT label, 'privileges', (SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) a)
        FROM relation WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL SELECT label, 'comment', pg_catalog.obj_description(oid, 'pg_class') FROM relation
    UNION ALL SELECT label, 'view', pg_catalog.pg_get_viewdef(oid) FROM relation WHERE relkind IN ('v', 'm')
    UNION ALL SELECT label, 'rule', pg_catalog.pg_get_ruledef(r.oid) FROM relation c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid WHERE c.relkind = 'r'
    UNION ALL SELECT label, 'index', concat_ws(' ', pg_catalog.pg_get_indexdef(indexrelid), indisvalid::text, indisclustered::text, indisreplident::text) FROM relation JOIN pg_catalog.pg_index ON indrelid = oid
    UNION ALL SELECT label, 'trigger', pg_catalog.pg_get_triggerdef(t.oid) || ' ' || tgenabled::text FROM relation c JOIN pg_catalog.pg_trigger t ON tgrelid = c.oid WHERE NOT tgisinternal
    UNION ALL SELECT label, 'policy ' || polname, concat_ws(' ', polcmd, polpermissive::text, polroles::text, pg_catalog.pg_get_expr(polqual, polrelid), pg_catalog.pg_get_expr(polwithcheck, polrelid))
        FROM relation c JOIN pg_catalog.pg_policy ON polrelid = c.oid
    UNION ALL SELECT label, 'sequence', concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle::text) FROM relation JOIN pg_catalog.pg_sequence ON seqrelid = oid
    UNION ALL SELECT label, 'constraint ' || conname, concat_ws(' ', contype, pg_catalog.pg_get_constraintdef(k.oid), convalidated::text, pg_catalog.obj_description(k.oid, 'pg_constraint'))
        FROM relation c JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid
    -- A column that was dropped leaves a gap in attnum; the order is what counts. pg_attver is the server's own count of changes.
    UNION ALL SELECT label || '.' || attname, 'column', concat_ws(' ',
               row_number() OVER (PARTITION BY attrelid ORDER BY attnum), pg_catalog.format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
               'DEFAULT ' || pg_catalog.pg_get_expr(adbin, adrelid), attidentity, attgenerated, attstorage, attcompression, attcollation,
               (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(attoptions) o WHERE o NOT LIKE 'pg\_attver=%'))
        FROM relation c JOIN pg_catalog.pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attrelid AND adnum = attnum
    UNION ALL SELECT label || '.' || attname, 'privileges', (SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(attacl) a)
        FROM relation c JOIN pg_catalog.pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT label || '.' || attname, 'comment', pg_catalog.col_description(attrelid, attnum)
        FROM relation c JOIN pg_catalog.pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    -- Functions and procedures, with their source; types
    UNION ALL SELECT label, 'routine', CASE WHEN prokind = 'a' THEN (SELECT a::text FROM pg_catalog.pg_aggregate a WHERE aggfnoid = r.oid) ELSE pg_catalog.pg_get_functiondef(oid) END FROM routine r
    UNION ALL SELECT label, 'owner, privileges', concat_ws(' ', proowner::regrole, (SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(coalesce(proacl, acldefault('f', proowner))) a)) FROM routine
    UNION ALL SELECT label, 'comment', pg_catalog.obj_description(oid, 'pg_proc') FROM routine
    UNION ALL SELECT label, 'type', concat_ws(' ', typtype, typcategory, typowner::regrole, typnotnull::text, typdefault, typbasetype::regtype,
               (SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(coalesce(typacl, acldefault('T', typowner))) a), pg_catalog.obj_description(oid, 'pg_type')) FROM type
    UNION ALL SELECT label, 'labels', string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM type t JOIN pg_catalog.pg_enum ON enumtypid = t.oid GROUP BY label
    UNION ALL SELECT label, 'constraint ' || conname, pg_catalog.pg_get_constraintdef(k.oid) FROM type t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid
    UNION ALL SELECT 'default privileges', defaclobjtype::text, concat_ws(' ', defaclrole::regrole, defaclacl::text) FROM pg_catalog.pg_default_acl WHERE defaclnamespace IN (SELECT oid FROM space)
)
SELECT object || ' | ' || aspect || ' | ' || replace(value, E'\n', E'\\n') FROM line WHERE value IS NOT NULL AND value <> '' ORDER BY object COLLATE "C", aspect COLLATE "C", value COLLATE "C";
