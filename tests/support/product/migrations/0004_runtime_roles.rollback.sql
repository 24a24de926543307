-- Undo: what the runtime roles may do
--
-- The roles stay: they belong to the server, and other databases use them. CREATE on public is not given back to
-- PUBLIC, which has not had it by default since PostgreSQL 15.

REVOKE ALL ON TABLE "User", "Account", "Session", "VerificationToken", "Thread", "Message", "ScopeConsent"
    FROM server, ai_service;
REVOKE ALL ON SCHEMA public FROM server, ai_service;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM server, ai_service', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
END
$$;
