"""What is asked of one table alone, by its name: for who changes it, or tries a change of its rows on a copy."""

from __future__ import annotations

# What a column is, and what hangs on it, as one JSON object; of `{table}` and `{column}`, as literals.
COLUMN = """
SELECT json_build_object(
    'kind', c.relkind, 'is_part', c.relispartition OR EXISTS (SELECT FROM pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent)),
    'type', format_type(a.atttypid, a.atttypmod),
    'collation', (SELECT format('%I.%I', n.nspname, l.collname) FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
                    JOIN pg_type t ON t.oid = a.atttypid WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation),
    'not_null', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid),
    'made', a.attidentity <> '' OR a.attgenerated <> '' OR EXISTS (SELECT FROM pg_depend s
              WHERE s.refobjid = c.oid AND s.refobjsubid = a.attnum AND s.deptype IN ('a', 'i')
                AND s.classid = 'pg_class'::regclass
                AND (SELECT relkind FROM pg_class WHERE oid = s.objid) = 'S'),
    'constraints', (SELECT coalesce(json_agg(json_build_object('name', k.conname, 'kind', k.contype,
                       'definition', pg_get_constraintdef(k.oid),
                       'references', (SELECT format('%I.%I', n.nspname, r.relname) FROM pg_class r
                                        JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = k.confrelid),
                       'referenced', (SELECT attname FROM pg_attribute WHERE attrelid = k.confrelid
                                        AND attnum = k.confkey[array_position(k.conkey, a.attnum)])) ORDER BY k.conname), '[]')
                      FROM pg_constraint k WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND k.contype <> 'n'),
    'indexes', (SELECT coalesce(json_agg(json_build_object('name', x.relname, 'definition', pg_get_indexdef(x.oid))
                       ORDER BY x.relname), '[]')
                  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                 WHERE i.indrelid = c.oid
                   AND EXISTS (SELECT FROM pg_depend p WHERE p.classid = 'pg_class'::regclass AND p.objid = x.oid
                                  AND p.refobjid = c.oid AND p.refobjsubid = a.attnum)
                   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.conrelid = c.oid)),
    'referenced_by', (SELECT coalesce(json_agg(format('%s on %s', k.conname, k.conrelid::regclass) ORDER BY 1), '[]')
                        FROM pg_constraint k WHERE k.confrelid = c.oid AND a.attnum = ANY (k.confkey)),
    'used_by', (SELECT coalesce(json_agg(DISTINCT pg_describe_object(p.classid, p.objid, p.objsubid)), '[]')
                  FROM pg_depend p WHERE p.refclassid = 'pg_class'::regclass AND p.refobjid = c.oid AND p.refobjsubid = a.attnum
                   AND p.deptype IN ('n', 'a') AND p.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass,
                       'pg_trigger'::regclass, 'pg_proc'::regclass, 'pg_statistic_ext'::regclass)))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.oid = to_regclass({table}) AND a.attname = {column} AND NOT a.attisdropped AND a.attnum > 0
"""

# The columns of a unique btree index without nulls that has not the column `{without}`, in order: the primary key first.
ROW_KEY = """
SELECT a.attname
  FROM (SELECT i.indrelid, i.indkey
          FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
         WHERE i.indrelid = to_regclass({table}) AND i.indisunique AND i.indisvalid AND i.indimmediate AND m.amname = 'btree'
           AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
           AND NOT EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = i.indrelid AND o.attnum = ANY (i.indkey)
                              AND (NOT o.attnotnull OR o.attname = {without}))
         ORDER BY i.indisprimary DESC, i.indnkeyatts, x.relname LIMIT 1) k
  JOIN unnest(k.indkey::smallint[]) WITH ORDINALITY AS named(number, position) ON true
  JOIN pg_attribute a ON a.attrelid = k.indrelid AND a.attnum = named.number
 ORDER BY named.position
"""

# The columns of `{table}` with the name and the category of their types, whether they have a default, and an enum's labels.
WRITTEN = """
SELECT a.attname, t.typname, t.typcategory, a.atthasdef OR a.attidentity <> '',
       (SELECT string_agg(e.enumlabel, E'\\n' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""

# Statements that lift what `{table}` demands beside the constraints `{kept}` and the columns `{columns}`, as arrays.
LIFTED = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname) FROM pg_constraint k
 WHERE k.conrelid = {table}::regclass AND k.contype IN ('f', 'c', 'u', 'x') AND NOT k.conname = ANY ({kept}::text[])
UNION ALL
SELECT format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', a.attrelid::regclass, a.attname) FROM pg_attribute a
 WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND a.attnotnull AND a.attidentity = ''
   AND NOT a.attname = ANY ({columns}::text[])
   AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey))
"""

# The columns of `{table}` that an INSERT may give, as a list.
INSERTED = """
SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ',') FROM pg_catalog.pg_attribute
 WHERE attrelid = pg_catalog.to_regclass({table}) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""

# What would refuse rows of `{table}` without those that they refer to, and what would do a statement's work before it, goes.
ALONE = """
DO $alone$
DECLARE
    foreign_key text;
BEGIN
    FOR foreign_key IN SELECT conname FROM pg_catalog.pg_constraint
                        WHERE conrelid = {table}::pg_catalog.regclass AND contype = 'f' AND conparentid = 0 LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', {table}::pg_catalog.regclass, foreign_key);
    END LOOP;
    EXECUTE pg_catalog.format('ALTER TABLE %s DISABLE TRIGGER USER', {table}::pg_catalog.regclass);
END
$alone$
"""
