-- The roles that services run as, and what each may do
-- depends: 0003_scope_consents

-- Roles belong to the server and databases are many (tests, shadows, branches), so another database may have made
-- them, or be making them at this moment: both count as done, unless the role has powers that would make the grants
-- below meaningless (one made through Neon's API has: it is a member of neon_superuser). They cannot log in; a deploy
-- that holds the stack's outputs gives them LOGIN and a password, so that no password is ever in a file.
--
-- Times are rendered in UTC for them, whatever the server's default. ALTER ROLE needs the ADMIN option that PostgreSQL
-- 16 gives to whoever made the role. When that was someone else the setting is theirs to make: a warning, not a
-- failure, because what is stored does not depend on it. It is skipped when it stands, and unique_violation or
-- internal_error ("tuple concurrently updated") mean that another database has just made it.
DO $$
DECLARE
    runtime_role text;
BEGIN
    FOREACH runtime_role IN ARRAY ARRAY['server', 'ai_service'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', runtime_role);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;

        IF EXISTS (
            SELECT FROM pg_catalog.pg_roles
            WHERE (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
              AND pg_has_role(runtime_role, oid, 'MEMBER')
        ) THEN
            RAISE EXCEPTION 'role % exists and may do more than a service should', runtime_role
                USING HINT = 'It must not be, or be a member of, a role with SUPERUSER, CREATEROLE, CREATEDB, '
                             'REPLICATION or BYPASSRLS. Drop it; this migration makes it anew.';
        END IF;

        IF NOT EXISTS (
            SELECT FROM pg_catalog.pg_db_role_setting
            WHERE setrole = runtime_role::regrole AND setdatabase = 0 AND 'TimeZone=UTC' = ANY (setconfig)
        ) THEN
            BEGIN
                EXECUTE format('ALTER ROLE %I SET TimeZone = %L', runtime_role, 'UTC');
            EXCEPTION
                WHEN unique_violation OR internal_error THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE WARNING 'role % is not pinned to UTC: % may not alter it', runtime_role, current_user
                        USING HINT = format('As the role''s maker: ALTER ROLE %I SET TimeZone = ''UTC''', runtime_role);
            END;
        END IF;
    END LOOP;

    -- The database's name is not known here: a branch, a shadow and a test each have their own.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO server, ai_service', current_database());
END
$$;

-- A server that began before PostgreSQL 15 lets everyone create in public, also after an upgrade.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO server, ai_service;

-- Table by table, and no default privileges: a new table belongs to nobody until its migration says whose it is.
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE "Thread", "Message" TO server, ai_service;

-- A consent is never changed or taken back by hand; a withdrawal is a row of its own.
GRANT SELECT, INSERT ON TABLE "ScopeConsent" TO server, ai_service;

-- Sign-in is the server's: the tokens in these tables are no business of the AI service.
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE "User", "Account", "Session", "VerificationToken" TO server;
