
-- Beside the real schema: one of each kind of object that it has none of, for the tests of changes --------------------

CREATE TYPE "Mood" AS ENUM ('happy', 'sad');
CREATE DOMAIN "Email" AS text CONSTRAINT "Email_check" CHECK (VALUE LIKE '%@%');
CREATE TYPE "Place" AS ("x" integer, "y" integer);
CREATE SEQUENCE "ticket_seq" AS bigint;

CREATE TABLE "Note" (
    "id"        bigint GENERATED ALWAYS AS IDENTITY,
    "messageId" uuid NOT NULL,
    "mood"      "Mood" NOT NULL DEFAULT 'happy',
    "title"     varchar(100),
    "stars"     integer NOT NULL DEFAULT 0,
    "price"     numeric(8, 2),
    "email"     "Email",
    "state"     text NOT NULL DEFAULT 'new',
    "at"        timestamptz(3),
    "tags"      text[],
    "code"      text,
    CONSTRAINT "Note_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Note_code_key" UNIQUE ("code"),
    CONSTRAINT "Note_messageId_fkey" FOREIGN KEY ("messageId") REFERENCES "Message" ("id") ON DELETE CASCADE,
    CONSTRAINT "Note_stars_check" CHECK ("stars" >= 0)
);
CREATE INDEX "Note_title_idx" ON "Note" ("title");
COMMENT ON TABLE "Note" IS 'What a person wrote about a message';

CREATE VIEW "HappyNote" AS SELECT "id", "title" FROM "Note" WHERE "mood" = 'happy';
CREATE MATERIALIZED VIEW "NoteCount" AS SELECT "messageId", count(*) AS "n" FROM "Note" GROUP BY "messageId";

CREATE FUNCTION "touch"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE FUNCTION "add_one"("n" integer) RETURNS integer LANGUAGE sql AS $$ SELECT "n" + 1 $$;
CREATE TRIGGER "Note_touch" BEFORE UPDATE ON "Note" FOR EACH ROW EXECUTE FUNCTION "touch"();

CREATE TABLE "Ticket" (
    "id"     serial,
    "number" bigint NOT NULL DEFAULT nextval('ticket_seq'),
    "copy"   bigserial,
    "rank"   integer,
    "during" tsrange,
    CONSTRAINT "Ticket_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Ticket_number_key" UNIQUE ("number"),
    CONSTRAINT "Ticket_during_excl" EXCLUDE USING gist ("during" WITH &&)
);
CREATE UNIQUE INDEX "Ticket_copy_idx" ON "Ticket" ("copy");
CREATE TABLE "Stub" ("ticketId" integer CONSTRAINT "Stub_ticketId_fkey" REFERENCES "Ticket" ("id"));

CREATE TABLE "Event" ("at" timestamptz NOT NULL, "kind" text, "userId" text) PARTITION BY RANGE ("at");
CREATE TABLE "Event_2026" PARTITION OF "Event" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
