"""What every service imports to reach its database: connection strings, a pool, pages. Importing it opens nothing."""
