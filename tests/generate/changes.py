"""The kinds of change that a developer may make to schema.sql, each with how generating its migration must end."""

from __future__ import annotations

from tests.generate.change import Change, add, edit
from tests.generate.changes_of_keys import CHANGES_OF_KEYS

_TAGS = '    "tags"      text[],\n'
_NOTE_END = '    CONSTRAINT "Note_pkey" PRIMARY KEY ("id"),\n'


def note_column(name: str, definition: str, **more: object) -> Change:
    return edit("new column", name, _TAGS, f"{_TAGS}    {definition},\n", **more)


CHANGES = [
    # columns
    note_column("nullable", '"extra" text'),
    note_column("with a default", "\"extra\" text NOT NULL DEFAULT 'x'"),
    note_column("with a default of the moment", '"extra" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP'),
    note_column("with a default for each row", '"extra" uuid NOT NULL DEFAULT gen_random_uuid()'),
    note_column("required, without a default", '"extra" text NOT NULL', ending="draft"),
    note_column("json", '"extra" jsonb'),
    note_column("array", '"extra" integer[] NOT NULL DEFAULT ARRAY[]::integer[]'),
    note_column("of an enum", '"extra" "Mood"'),
    note_column("of a domain", '"extra" "Email"'),
    note_column("of a composite type", '"extra" "Place"'),
    note_column("serial", '"extra" serial'),
    note_column("generated", '"extra" integer GENERATED ALWAYS AS ("stars" * 2) STORED'),
    note_column("with a foreign key", '"extra" text CONSTRAINT "Note_extra_fkey" REFERENCES "User" ("id")'),
    note_column("with a check", '"extra" integer CONSTRAINT "Note_extra_check" CHECK ("extra" > 0)'),
    note_column("unique", '"extra" text CONSTRAINT "Note_extra_key" UNIQUE'),
    edit("dropped column", "plain", _TAGS, "", allow_destructive=True),
    edit("dropped column", "without leave", _TAGS, "", ending="refused"),
    Change(
        "dropped column",
        "with its unique constraint",
        replace=(('    "code"      text,\n', ""), ('    CONSTRAINT "Note_code_key" UNIQUE ("code"),\n', "")),
        allow_destructive=True,
    ),
    Change(
        "dropped column",
        "with its index",
        replace=(
            ('    "title"     varchar(100),\n', ""),
            ('CREATE INDEX "Note_title_idx" ON "Note" ("title");\n', ""),
            ('SELECT "id", "title" FROM "Note"', 'SELECT "id" FROM "Note"'),
        ),
        allow_destructive=True,
    ),
    edit("renamed column", "said", '"tags"      text[]', '"labels"    text[]', renames=("Note.tags=labels",)),
    edit("renamed column", "not said", '"tags"      text[]', '"labels"    text[]', ending="refused"),
    Change(
        "renamed column",
        "with its index",
        replace=(
            ('    "title"     varchar(100)', '    "heading"   varchar(100)'),
            (
                'CREATE INDEX "Note_title_idx" ON "Note" ("title")',
                'CREATE INDEX "Note_heading_idx" ON "Note" ("heading")',
            ),
            ('SELECT "id", "title" FROM "Note"', 'SELECT "id", "heading" AS "title" FROM "Note"'),
        ),
        renames=("Note.title=Note.heading",),
    ),
    edit(
        "renamed column",
        "and changed",
        '"price"     numeric(8, 2)',
        '"cost"      numeric(10, 2) DEFAULT 1',
        ending="refused",
    ),
    # types
    edit("type", "longer varchar", '"title"     varchar(100)', '"title"     varchar(200)'),
    edit("type", "varchar to text", '"title"     varchar(100)', '"title"     text'),
    edit(
        "type",
        "shorter varchar, without leave",
        '"title"     varchar(100)',
        '"title"     varchar(50)',
        ending="refused",
    ),
    edit("type", "shorter varchar", '"title"     varchar(100)', '"title"     varchar(50)', allow_destructive=True),
    edit(
        "type",
        "shorter varchar than the rows have",
        '"title"     varchar(100)',
        '"title"     varchar(2)',
        allow_destructive=True,
        ending="draft",
    ),
    edit("type", "integer to bigint", '"stars"     integer', '"stars"     bigint'),
    edit("type", "integer to text", '"expires_at"        integer,', '"expires_at"        text,'),
    edit(
        "type",
        "integer to boolean",
        '"expires_at"        integer,',
        '"expires_at"        boolean,',
        allow_destructive=True,
    ),
    edit("type", "wider numeric", "numeric(8, 2)", "numeric(12, 4)"),
    edit("type", "numeric to integer", "numeric(8, 2)", "integer", allow_destructive=True),
    edit("type", "finer instant", '"at"        timestamptz(3)', '"at"        timestamptz(6)'),
    edit("type", "text to integer", '"code"      text', '"code"      integer', allow_destructive=True, ending="draft"),
    edit(
        "type",
        "text to jsonb",
        "\"state\"     text NOT NULL DEFAULT 'new'",
        '"state"     jsonb',
        allow_destructive=True,
        ending="draft",
    ),
    edit(
        "type",
        "text to an enum that rows are not in",
        "\"state\"     text NOT NULL DEFAULT 'new'",
        '"state"     "Mood" NOT NULL DEFAULT \'happy\'',
        allow_destructive=True,
        ending="draft",
    ),
    edit("type", "array to text", '"tags"      text[]', '"tags"      text', allow_destructive=True),
    edit("type", "with another collation", '"title"     varchar(100)', '"title"     varchar(100) COLLATE "C"'),
    # nullability and defaults
    edit("not null", "set", '"title"     varchar(100)', '"title"     varchar(100) NOT NULL'),
    edit(
        "not null",
        "set where rows are null",
        '    "image"         text,',
        '    "image"         text NOT NULL,',
        ending="draft",
    ),
    edit("not null", "dropped", '"mood"      "Mood" NOT NULL', '"mood"      "Mood"'),
    edit("default", "set", '"price"     numeric(8, 2)', '"price"     numeric(8, 2) DEFAULT 1'),
    edit("default", "changed", '"stars"     integer NOT NULL DEFAULT 0', '"stars"     integer NOT NULL DEFAULT 5'),
    edit("default", "dropped", '"stars"     integer NOT NULL DEFAULT 0', '"stars"     integer NOT NULL'),
    # constraints
    edit("check", "added", _NOTE_END, _NOTE_END + '    CONSTRAINT "Note_price_check" CHECK ("price" > 0),\n'),
    edit(
        "check",
        "added, which rows violate",
        _NOTE_END,
        _NOTE_END + '    CONSTRAINT "Note_price_check" CHECK ("price" > 100),\n',
        ending="draft",
    ),
    edit("check", "changed", 'CHECK ("stars" >= 0)', 'CHECK ("stars" >= -1)'),
    edit("check", "renamed", '"Note_stars_check"', '"Note_stars_positive"'),
    edit("check", "dropped", ',\n    CONSTRAINT "Note_stars_check" CHECK ("stars" >= 0)', ""),
    edit("check", "a fifth role", "'tool', 'system')", "'tool', 'system', 'critic')"),
    add(
        "foreign key",
        "added",
        'ALTER TABLE "Note" ADD CONSTRAINT "Note_code_fkey" FOREIGN KEY ("messageId") REFERENCES "Message" ("id");',
    ),
    add(
        "foreign key",
        "added, which rows violate",
        'ALTER TABLE "Note" ADD CONSTRAINT "Note_code_fkey" FOREIGN KEY ("code") REFERENCES "User" ("id");',
        ending="draft",
    ),
    add(
        "foreign key",
        "added without validation",
        'ALTER TABLE "Note" ADD CONSTRAINT "Note_code_fkey" FOREIGN KEY ("code") REFERENCES "User" ("id") NOT VALID;',
    ),
    edit(
        "foreign key",
        "another action",
        'REFERENCES "Message" ("id") ON DELETE CASCADE',
        'REFERENCES "Message" ("id") ON DELETE RESTRICT',
    ),
    edit(
        "foreign key",
        "deferrable",
        'REFERENCES "Message" ("id") ON DELETE CASCADE',
        'REFERENCES "Message" ("id") ON DELETE CASCADE DEFERRABLE',
    ),
    edit(
        "foreign key",
        "dropped",
        '    CONSTRAINT "Note_messageId_fkey" FOREIGN KEY ("messageId") REFERENCES "Message" ("id") ON DELETE CASCADE,\n',
        "",
    ),
    edit(
        "unique",
        "constraint added",
        _NOTE_END,
        _NOTE_END + '    CONSTRAINT "Note_messageId_key" UNIQUE ("messageId"),\n',
    ),
    edit(
        "unique",
        "constraint added, which rows violate",
        _NOTE_END,
        _NOTE_END + '    CONSTRAINT "Note_state_key" UNIQUE ("state"),\n',
        ending="draft",
    ),
    edit("unique", "constraint dropped", '    CONSTRAINT "Note_code_key" UNIQUE ("code"),\n', ""),
    edit(
        "primary key", "another column", '"Note_pkey" PRIMARY KEY ("id")', '"Note_pkey" PRIMARY KEY ("id", "messageId")'
    ),
    # indexes
    add("index", "on a table in use", 'CREATE INDEX "Note_at_idx" ON "Note" ("at");'),
    add("index", "unique", 'CREATE UNIQUE INDEX "Note_code_idx" ON "Note" ("code");'),
    add("index", "partial", 'CREATE INDEX "Note_at_idx" ON "Note" ("at") WHERE "stars" > 3;'),
    add("index", "on an expression", 'CREATE INDEX "Note_lower_idx" ON "Note" (lower("title"));'),
    add("index", "with INCLUDE", 'CREATE INDEX "Note_at_idx" ON "Note" ("at" DESC NULLS LAST) INCLUDE ("title");'),
    add("index", "gin", 'CREATE INDEX "Note_tags_idx" ON "Note" USING gin ("tags");'),
    add(
        "index",
        "two at once",
        'CREATE INDEX "Note_at_idx" ON "Note" ("at"); CREATE INDEX "Note_mood_idx" ON "Note" ("mood");',
    ),
    add("index", "on a materialized view", 'CREATE UNIQUE INDEX "NoteCount_key" ON "NoteCount" ("messageId");'),
    add("index", "on a partitioned table", 'CREATE INDEX "Event_kind_idx" ON "Event" ("kind");'),
    edit("index", "dropped", 'CREATE INDEX "Note_title_idx" ON "Note" ("title");', ""),
    edit(
        "index",
        "changed",
        'CREATE INDEX "Note_title_idx" ON "Note" ("title");',
        'CREATE INDEX "Note_title_idx" ON "Note" ("title", "at");',
    ),
    edit("index", "renamed", 'CREATE INDEX "Note_title_idx"', 'CREATE INDEX "Note_title_index"'),
    # tables
    add("table", "new", 'CREATE TABLE "Tag" ("id" uuid PRIMARY KEY DEFAULT gen_random_uuid(), "name" text NOT NULL);'),
    add(
        "table",
        "new, with keys and an index",
        'CREATE TABLE "Tag" ("id" serial PRIMARY KEY, "noteId" bigint NOT NULL REFERENCES "Note" ("id"));\n'
        'CREATE INDEX "Tag_noteId_idx" ON "Tag" ("noteId");',
    ),
    add(
        "table",
        "two new that refer to each other",
        'CREATE TABLE "A" ("id" int PRIMARY KEY, "b" int); CREATE TABLE "B" ("id" int PRIMARY KEY, "a" int REFERENCES "A");\n'
        'ALTER TABLE "A" ADD CONSTRAINT "A_b_fkey" FOREIGN KEY ("b") REFERENCES "B" ("id");',
    ),
    add(
        "table",
        "new, with its enum",
        'CREATE TYPE "Level" AS ENUM (\'a\', \'b\'); CREATE TABLE "Tag" ("level" "Level" NOT NULL DEFAULT \'a\');',
    ),
    edit(
        "table",
        "dropped",
        "CREATE TABLE \"Event_2026\" PARTITION OF \"Event\" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');\n",
        "",
        ending="refused",
    ),
    Change(
        "table",
        "dropped, with leave",
        replace=(
            (
                (
                    'CREATE TABLE "VerificationToken" (\n    "identifier" text NOT NULL,\n    "token"      text NOT NULL,\n'
                    '    "expires"    timestamptz(3) NOT NULL,\n'
                    '    CONSTRAINT "VerificationToken_pkey" PRIMARY KEY ("identifier", "token")\n);\n'
                ),
                "",
            ),
        ),
        allow_destructive=True,
    ),
    Change(
        "table",
        "renamed",
        replace=(
            ('CREATE TABLE "VerificationToken" (', 'CREATE TABLE "LoginToken" ('),
            ('"VerificationToken_pkey"', '"LoginToken_pkey"'),
        ),
        renames=("VerificationToken=LoginToken",),
    ),
    Change(
        "table",
        "renamed, with foreign keys and indexes",
        replace=(
            ('CREATE TABLE "Account" (', 'CREATE TABLE "Login" ('),
            ('"Account_pkey"', '"Login_pkey"'),
            ('"Account_userId_fkey"', '"Login_userId_fkey"'),
            ('CREATE INDEX "Account_userId_idx" ON "Account"', 'CREATE INDEX "Login_userId_idx" ON "Login"'),
        ),
        renames=("Account=Login",),
    ),
    edit("table", "unlogged", 'CREATE TABLE "Note" (', 'CREATE UNLOGGED TABLE "Note" (', asked=("unlogged-table",)),
    add(
        "table",
        "with row security",
        'ALTER TABLE "Note" ENABLE ROW LEVEL SECURITY; CREATE POLICY "p" ON "Note" USING (true);',
    ),
    add("table", "fill factor", 'ALTER TABLE "Note" SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);'),
    add(
        "table", "storage of a column", 'ALTER TABLE "Note" ALTER COLUMN "state" SET STORAGE EXTERNAL;', ending="draft"
    ),
    add(
        "table", "statistics of a column", 'ALTER TABLE "Note" ALTER COLUMN "state" SET STATISTICS 500;', ending="draft"
    ),
    add("table", "replica identity", 'ALTER TABLE "Note" REPLICA IDENTITY FULL;'),
    add("table", "inheriting", 'CREATE TABLE "OldNote" () INHERITS ("Note");'),
    add(
        "partition",
        "new",
        "CREATE TABLE \"Event_2027\" PARTITION OF \"Event\" FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');",
    ),
    add("partition", "default", 'CREATE TABLE "Event_rest" PARTITION OF "Event" DEFAULT;'),
    # enums, domains, types
    edit("enum", "value added", "('happy', 'sad')", "('happy', 'sad', 'angry')"),
    edit("enum", "value added in between", "('happy', 'sad')", "('happy', 'fine', 'sad')"),
    Change(
        "enum",
        "value added and used as a default",
        replace=(
            ("('happy', 'sad')", "('happy', 'sad', 'angry')"),
            ("\"Mood\" NOT NULL DEFAULT 'happy'", "\"Mood\" NOT NULL DEFAULT 'angry'"),
        ),
        ending="draft",
    ),
    edit("enum", "value renamed, not said", "('happy', 'sad')", "('happy', 'gloomy')", ending="refused"),
    edit(
        "enum",
        "value renamed",
        "('happy', 'sad')",
        "('happy', 'gloomy')",
        renames=("Mood.sad=gloomy",),
        rewritten=("Note.mood",),
    ),
    edit(
        "enum", "value dropped that rows have", "('happy', 'sad')", "('happy')", allow_destructive=True, ending="draft"
    ),
    add("enum", "new", "CREATE TYPE \"Level\" AS ENUM ('a', 'b');"),
    edit("domain", "check changed", "CHECK (VALUE LIKE '%@%')", "CHECK (VALUE LIKE '%@%.%')"),
    edit("domain", "not null", 'CREATE DOMAIN "Email" AS text ', 'CREATE DOMAIN "Email" AS text NOT NULL '),
    add("domain", "new", 'CREATE DOMAIN "Positive" AS integer CHECK (VALUE > 0);'),
    edit("composite type", "attribute added", '("x" integer, "y" integer)', '("x" integer, "y" integer, "z" integer)'),
    add("range type", "new", 'CREATE TYPE "TimeSpan" AS RANGE (subtype = timestamptz);'),
    # code
    add("view", "new", 'CREATE VIEW "SadNote" AS SELECT "id" FROM "Note" WHERE "mood" = \'sad\';'),
    edit("view", "a column more", 'SELECT "id", "title" FROM "Note"', 'SELECT "id", "title", "stars" FROM "Note"'),
    edit("view", "a column less", 'SELECT "id", "title" FROM "Note"', 'SELECT "id" FROM "Note"'),
    edit(
        "view", "dropped", 'CREATE VIEW "HappyNote" AS SELECT "id", "title" FROM "Note" WHERE "mood" = \'happy\';\n', ""
    ),
    edit(
        "materialized view",
        "changed",
        'count(*) AS "n" FROM',
        'count(*) AS "n", max("stars") AS "best" FROM',
        allow_destructive=True,
    ),
    edit("function", "body changed", '"n" + 1', '"n" + 2 - 1'),
    edit(
        "function", "another result", '"add_one"("n" integer) RETURNS integer', '"add_one"("n" integer) RETURNS bigint'
    ),
    edit("function", "an argument more", '"add_one"("n" integer)', '"add_one"("n" integer, "m" integer)'),
    add(
        "function",
        "new, over a table",
        'CREATE FUNCTION "notes"() RETURNS SETOF "Note" LANGUAGE sql STABLE AS $$ SELECT * FROM "Note" $$;',
    ),
    add("procedure", "new", 'CREATE PROCEDURE "p"() LANGUAGE sql AS $$ DELETE FROM "Note" WHERE false $$;'),
    add("trigger", "new", 'CREATE TRIGGER "t" AFTER INSERT ON "Note" FOR EACH STATEMENT EXECUTE FUNCTION "touch"();'),
    edit(
        "trigger",
        "dropped",
        'CREATE TRIGGER "Note_touch" BEFORE UPDATE ON "Note" FOR EACH ROW EXECUTE FUNCTION "touch"();\n',
        "",
    ),
    add("rule", "new", 'CREATE RULE "r" AS ON DELETE TO "HappyNote" DO INSTEAD NOTHING;'),
    add("aggregate", "new", "CREATE AGGREGATE \"total\"(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');"),
    # the rest
    edit("comment", "changed", "'What a person wrote about a message'", "'A person''s own words'"),
    add("comment", "on a column", 'COMMENT ON COLUMN "Note"."stars" IS \'from 0; 5 is best\''),
    edit(
        "sequence",
        "changed",
        'CREATE SEQUENCE "ticket_seq" AS bigint',
        'CREATE SEQUENCE "ticket_seq" AS bigint INCREMENT BY 10 CACHE 5',
    ),
    add("sequence", "new", 'CREATE SEQUENCE "other_seq";'),
    add(
        "schema",
        "new, with a table",
        'CREATE SCHEMA "billing"; CREATE TABLE "billing"."Invoice" ("id" int PRIMARY KEY);',
    ),
    add("extension", "new", "CREATE EXTENSION citext;"),
    add(
        "extension",
        "trigram index",
        'CREATE EXTENSION pg_trgm; CREATE INDEX "Note_trgm_idx" ON "Note" USING gin ("title" gin_trgm_ops);',
    ),
    add("statistics", "extended", 'CREATE STATISTICS "s" ON "mood", "stars" FROM "Note";', ending="draft"),
    add("text search", "configuration", 'CREATE TEXT SEARCH CONFIGURATION "plain" (COPY = simple);', ending="draft"),
    add("collation", "new", 'CREATE COLLATION "plain" FROM "C";'),
    add(
        "operator",
        "new",
        "CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);",
        ending="draft",
    ),
    add("publication", "new", 'CREATE PUBLICATION "p" FOR TABLE "Note";', asked=("logical-replication",)),
    add("policy", "for a runtime role", 'CREATE POLICY "q" ON "Note" FOR SELECT TO server USING (true);'),
    add("nothing", "a comment in schema.sql", "-- only words"),
    *CHANGES_OF_KEYS,
]
