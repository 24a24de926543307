-- Undo: consents

DROP TABLE "ScopeConsent";
