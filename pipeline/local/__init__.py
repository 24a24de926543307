"""What a developer does with the local database: start and stop it, look at it, drop and rebuild it."""
