-- The role that owns the database of a local server. Like the owner that Neon gives, it may create roles and databases
-- but is no superuser: what works for it here works there. Run once by psql, as the superuser.
\set ON_ERROR_STOP on
\getenv owner DATABASE_OWNER
\getenv database DATABASE_NAME
\getenv password DATABASE_OWNER_PASSWORD
CREATE ROLE :"owner" LOGIN CREATEROLE CREATEDB PASSWORD :'password';
-- Neon's owners may end each other's sessions, which `DROP DATABASE … WITH (FORCE)` needs.
GRANT pg_signal_backend TO :"owner";
CREATE DATABASE :"database" OWNER :"owner";
